import Vocabulary

/// What is due because time has passed.
extension LeaseKeeper {
  /// As long as a lease is wanted, used or owed, people see this host among those that are there.
  var isRegistered: Bool {
    switch phase {
    case .serving, .retiring, .closing(nil): leases.values.contains { !$0.isSettled }
    case .closing, .closed: false
    }
  }

  mutating func passTime(_ now: BootInstant) {
    for name in leases.keys.sorted() {
      passTime(name, now)
      if leases[name]?.countWait(now) == true { actions.append(.announce(.waitsLong(name))) }
    }
    beatIfDue(now)
    closeIfDue(now)
  }

  private mutating func passTime(_ name: LeaseName, _ now: BootInstant) {
    guard var lease = leases[name], let deadline = lease.deadline(timing), deadline <= now else { return }
    switch lease.standing {
    case .apart:
      let exchange = ask(.acquire(name, above: lease.highestToken))
      lease.standing = .asking(exchange, sentAt: now)
      leases[name] = lease
    case .asking:
      lease.isUncertain = true
      lease.standing = .apart(tryAt: now + jittered(timing.retry))
      leases[name] = lease
      storeFails("no answer for \(timing.retry.milliseconds) ms")
    case .held(let tenure):
      withdraw(name, tenure, .unproven, now)
      // A host that was suspended may be past this as well.
      passTime(name, now)
    case .leaving(let tenure, var departure):
      departure.isKilled = true
      leases[name]?.standing = .leaving(tenure, departure)
      actions.append(.kill(name))
    case .returning(var back):
      if back.until <= now {
        lease.isUncertain = false
        lease.standing = .apart(tryAt: now)
        actions.append(.announce(.leftToExpire(name)))
      } else {
        if back.exchange != nil { storeFails("no answer for \(timing.retry.milliseconds) ms") }
        back.exchange = ask(.release(name))
        back.sendAt = now + timing.retry
        lease.standing = .returning(back)
      }
      leases[name] = lease
      if back.until <= now { passTime(name, now) }
    }
  }

  private mutating func beatIfDue(_ now: BootInstant) {
    guard isRegistered else { return }
    if let sent = heartbeat.sent {
      guard sent.at + timing.retry <= now else { return }
      storeFails("no answer for \(timing.retry.milliseconds) ms")
      heartbeat.nextAt = now
    }
    guard heartbeat.nextAt <= now else { return }
    let tokens = leases.compactMapValues { $0.tenure?.token }
    heartbeat.sent = .init(exchange: ask(.beat(tokens)), at: now, tokens: tokens)
  }

  private mutating func closeIfDue(_ now: BootInstant) {
    guard case .closing(var farewell) = phase, leases.values.allSatisfy(\.isSettled) else { return }
    // Never registered, nothing to remove.
    guard !leases.isEmpty else { return finish() }
    if farewell == nil { farewell = .init(sendAt: now, until: now + timing.timeToLive) }
    guard var farewell, min(farewell.sendAt, farewell.until) <= now || farewell.exchange == nil else { return }
    if farewell.until <= now { return finish() }
    guard farewell.sendAt <= now else { return phase = .closing(farewell) }
    farewell.exchange = ask(.unregister)
    farewell.sendAt = now + timing.retry
    phase = .closing(farewell)
  }

  private mutating func ask(_ request: StoreRequest) -> ExchangeID {
    lastExchange = ExchangeID(lastExchange.number + 1)
    actions.append(.ask(lastExchange, request))
    return lastExchange
  }
}
