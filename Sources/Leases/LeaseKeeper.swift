package import Vocabulary

/// Decides which engines of this service may run because no other host runs them: acquires, renews, gives up and gives back.
///
/// What holds whatever the store, the network and the clocks do: an engine is permitted only with a grant; it has been told
/// to end (`withdraw`) and then is cut (`kill`) before the store can give the lease to another, counted on CLOCK_BOOTTIME
/// from when the last granted request was sent; and a lease is given back only when its engine is gone. What a host does
/// that stands still meanwhile is refused by its token.
///
/// `now` never goes back. Work is bounded by the number of leases in the settings.
package struct LeaseKeeper: Hashable, Sendable {
  package private(set) var timing: LeaseTiming
  var leases: [LeaseName: Lease] = [:]
  var heartbeat = Heartbeat()
  var phase = Phase.serving
  var random: SplitMix64
  var lastExchange = ExchangeID(0)
  /// What has been said to be wrong with the store since it answered last.
  var troubles: Set<String> = []
  /// What has been decided in the call under way.
  var actions: [LeaseAction] = []

  enum Phase: Hashable, Sendable {
    case serving
    /// Nothing is acquired any more.
    case retiring
    /// The registration goes when every lease is settled.
    case closing(Lease.Return?)
    case closed
  }

  struct Heartbeat: Hashable, Sendable {
    struct Sent: Hashable, Sendable {
      let exchange: ExchangeID
      let at: BootInstant
      let tokens: [LeaseName: LeaseToken]
    }
    var sent: Sent?
    var nextAt = BootInstant(nanoseconds: .min)
  }

  /// `lastExchange`: higher than any that was asked in this owner's name before, by an earlier image of the program.
  /// `grants`: what that one held, and what its engines run under.
  package init(
    timing: LeaseTiming = LeaseTiming(), seed: UInt64, lastExchange: ExchangeID = ExchangeID(0),
    resuming grants: [Grant] = []
  ) {
    self.timing = timing
    random = SplitMix64(seed: seed)
    self.lastExchange = lastExchange
    for grant in grants {
      var lease = Lease(standing: .held(.init(token: grant.token, provenUntil: grant.provenUntil)))
      lease.isWanted = true
      lease.highestToken = grant.token
      leases[grant.lease] = lease
    }
  }

  package mutating func handle(_ event: LeaseEvent, at now: BootInstant) -> [LeaseAction] {
    switch event {
    case .wanted(let name): want(name, now)
    case .unwanted(let name): unwant(name, now)
    case .vacated(let name): vacated(name, now)
    case .answered(let exchange, let answer): answered(exchange, answer, now)
    case .failed(let exchange, let why): failed(exchange, why, now)
    case .notified(let name): notified(name, now)
    case .retire: retire(now)
    case .close:
      retire(now)
      if case .retiring = phase { phase = .closing(nil) }
    case .tick: break
    }
    passTime(now)
    defer { actions = [] }
    return actions
  }

  /// Another margin and another poll from now on: nobody but this host counts them. Another time to live would be counted
  /// differently by what was asked before and is carried out late, and is not taken over.
  package mutating func adopt(_ timing: LeaseTiming) {
    if timing.timeToLive == self.timing.timeToLive { self.timing = timing }
  }

  /// When ``LeaseEvent/tick`` is due; nil while nothing is.
  package var nextDeadline: BootInstant? {
    var deadlines = leases.values.compactMap { $0.deadline(timing) }
    deadlines += leases.values.compactMap(\.longWaitAt)
    if isRegistered { deadlines.append(heartbeat.sent.map { $0.at + timing.retry } ?? heartbeat.nextAt) }
    if case .closing(let farewell?) = phase { deadlines.append(min(farewell.sendAt, farewell.until)) }
    return deadlines.min()
  }

  /// The grants an engine may be running under.
  package var tenures: [Grant] {
    leases.compactMap { name, lease in
      switch lease.standing {
      case .held(let tenure), .leaving(let tenure, _): tenure.grant(name)
      case .apart, .asking, .returning: nil
      }
    }.sorted { $0.lease < $1.lease }
  }

  /// What has not come, since when.
  package var waits: [Wait] {
    leases.compactMap { name, lease in
      lease.waitsSince.map { Wait(lease: name, since: $0, isTold: lease.isLongWaitTold) }
    }.sorted { $0.lease < $1.lease }
  }

  /// It was waited for already, by an earlier image or life of the program. To be called when it is wanted anew.
  package mutating func resume(_ wait: Wait) {
    guard let since = leases[wait.lease]?.waitsSince, wait.since <= since else { return }
    leases[wait.lease]?.waitsSince = wait.since
    leases[wait.lease]?.isLongWaitTold = wait.isTold
  }

  // MARK: - What people and engines do

  private mutating func want(_ name: LeaseName, _ now: BootInstant) {
    guard case .serving = phase else { return }
    var lease = leases[name] ?? Lease(standing: .apart(tryAt: now))
    if case .apart = lease.standing, !lease.isWanted { lease.standing = .apart(tryAt: now) }
    lease.isWanted = true
    leases[name] = lease
  }

  private mutating func unwant(_ name: LeaseName, _ now: BootInstant) {
    guard var lease = leases[name] else { return }
    lease.isWanted = false
    switch lease.standing {
    case .apart where !lease.isUncertain: break
    // What was asked for may be granted yet: what is sent later undoes it.
    case .apart, .asking: lease.standing = .returning(.init(sendAt: now, until: now + timing.timeToLive))
    case .held, .leaving, .returning: break
    }
    leases[name] = lease
  }

  private mutating func vacated(_ name: LeaseName, _ now: BootInstant) {
    guard var lease = leases[name] else { return }
    switch lease.standing {
    case .held(let tenure) where lease.isWanted:
      actions.append(.permit(tenure.grant(name)))
    case .held(let tenure):
      lease.standing = .returning(.init(sendAt: now, until: tenure.provenUntil))
    case .leaving(let tenure, let departure) where departure.isStillOurs:
      lease.standing = .returning(.init(sendAt: now, until: tenure.provenUntil))
    case .leaving:
      lease.standing = .apart(tryAt: now)
    case .apart, .asking, .returning: break
    }
    leases[name] = lease
  }

  private mutating func retire(_ now: BootInstant) {
    guard case .serving = phase else { return }
    phase = .retiring
    for name in leases.keys.sorted() { unwant(name, now) }
  }

  // MARK: - What the store says

  private mutating func notified(_ name: LeaseName, _ now: BootInstant) {
    guard var lease = leases[name] else { return }
    switch lease.standing {
    case .apart: lease.standing = .apart(tryAt: now)
    case .held, .leaving: heartbeat.nextAt = now
    case .asking, .returning: break
    }
    leases[name] = lease
  }

  private mutating func answered(_ exchange: ExchangeID, _ answer: StoreAnswer, _ now: BootInstant) {
    switch answer {
    case .granted(let token): granted(exchange, token, now)
    case .heldBy(let holder): refused(exchange, holder, now)
    case .beaten(let renewals): beaten(exchange, renewals, now)
    case .released: released(exchange, now)
    case .unregistered:
      guard case .closing(let farewell?) = phase, farewell.exchange == exchange else { return }
      storeAnswers()
      finish()
    }
  }

  private mutating func granted(_ exchange: ExchangeID, _ token: LeaseToken, _ now: BootInstant) {
    guard let (name, sentAt) = asking(exchange), var lease = leases[name] else { return }
    guard token >= lease.highestToken else {
      failed(
        exchange, "the store's token \(token) of \(name) is below \(lease.highestToken), which was granted before", now)
      return
    }
    storeAnswers()
    lease.highestToken = token
    lease.isUncertain = false
    lease.toldHolder = nil
    let tenure = Lease.Tenure(token: token, provenUntil: sentAt + timing.timeToLive)
    if now < tenure.provenUntil - timing.margin {
      lease.standing = .held(tenure)
      actions.append(.announce(.granted(name, token)))
      actions.append(.permit(tenure.grant(name)))
    } else {
      // The answer took so long that it proves nothing: asked again, which renews it.
      lease.isUncertain = true
      lease.standing = .apart(tryAt: now)
    }
    leases[name] = lease
  }

  private mutating func refused(_ exchange: ExchangeID, _ holder: Holder, _ now: BootInstant) {
    guard let (name, _) = asking(exchange), var lease = leases[name] else { return }
    storeAnswers()
    lease.isUncertain = false
    lease.highestToken = max(lease.highestToken, holder.token)
    // What is left of it, and a little more so that several who wait do not come at once.
    let tail = jittered(timing.poll / 50)
    lease.standing = .apart(tryAt: now + min(jittered(timing.poll * 4 / 5), max(holder.remaining, .zero) + tail))
    if lease.toldHolder != holder.owner { actions.append(.announce(.waits(name, for: holder))) }
    lease.toldHolder = holder.owner
    leases[name] = lease
  }

  private mutating func beaten(_ exchange: ExchangeID, _ renewals: [LeaseName: Renewal], _ now: BootInstant) {
    guard let sent = heartbeat.sent, sent.exchange == exchange else { return }
    // One that takes this and refuses to give a lease is not well.
    if !leases.values.contains(where: \.isUncertain) { storeAnswers() }
    heartbeat.sent = nil
    // A notification may have asked for one sooner.
    if heartbeat.nextAt <= sent.at { heartbeat.nextAt = sent.at + timing.renewEvery }
    for (name, token) in sent.tokens.sorted(by: { $0.key < $1.key }) {
      guard let renewal = renewals[name], let lease = leases[name], lease.tenure?.token == token else { continue }
      switch renewal {
      case .renewed: renew(name, sent.at)
      case .lost(let holder): lost(name, holder, now)
      }
    }
  }

  private mutating func renew(_ name: LeaseName, _ sentAt: BootInstant) {
    guard var lease = leases[name] else { return }
    switch lease.standing {
    case .held(var tenure):
      tenure.prove(sentAt: sentAt, timing)
      lease.standing = .held(tenure)
      actions.append(.extend(tenure.grant(name)))
    // Too late for its engine, which is ending; it may take the time that is now proven.
    case .leaving(var tenure, let departure):
      tenure.prove(sentAt: sentAt, timing)
      lease.standing = .leaving(tenure, departure)
    case .apart, .asking, .returning: break
    }
    leases[name] = lease
  }

  private mutating func lost(_ name: LeaseName, _ holder: Holder?, _ now: BootInstant) {
    guard var lease = leases[name] else { return }
    if let holder { lease.highestToken = max(lease.highestToken, holder.token) }
    switch lease.standing {
    case .held(let tenure):
      leases[name] = lease
      withdraw(name, tenure, .lost(holder), now)
      return
    case .leaving(let tenure, var departure):
      departure.isStillOurs = false
      lease.standing = .leaving(tenure, departure)
    case .apart, .asking, .returning: break
    }
    leases[name] = lease
  }

  private mutating func released(_ exchange: ExchangeID, _ now: BootInstant) {
    for (name, var lease) in leases.sorted(by: { $0.key < $1.key }) {
      guard case .returning(let back) = lease.standing, back.exchange == exchange else { continue }
      storeAnswers()
      lease.isUncertain = false
      // Whoever was woken goes first.
      lease.standing = .apart(tryAt: now + jittered(timing.retry))
      leases[name] = lease
      actions.append(.announce(.returned(name)))
      return
    }
  }

  private mutating func failed(_ exchange: ExchangeID, _ why: String, _ now: BootInstant) {
    let again = now + jittered(timing.retry)
    if heartbeat.sent?.exchange == exchange {
      heartbeat.sent = nil
      heartbeat.nextAt = again
    } else if let (name, _) = asking(exchange), var lease = leases[name] {
      lease.isUncertain = true
      lease.standing = .apart(tryAt: again)
      leases[name] = lease
    } else if let name = returning(exchange), var lease = leases[name], case .returning(var back) = lease.standing {
      back.exchange = nil
      back.sendAt = again
      lease.standing = .returning(back)
      leases[name] = lease
    } else if case .closing(var farewell?) = phase, farewell.exchange == exchange {
      farewell.exchange = nil
      farewell.sendAt = again
      phase = .closing(farewell)
    } else if troubles.isEmpty {
      return
    }
    // Also what comes after nobody waited for it any more: it says why.
    storeFails(why)
  }

  // MARK: - Words used by both halves

  func asking(_ exchange: ExchangeID) -> (LeaseName, sentAt: BootInstant)? {
    for (name, lease) in leases {
      if case .asking(exchange, let sentAt) = lease.standing { return (name, sentAt) }
    }
    return nil
  }

  private func returning(_ exchange: ExchangeID) -> LeaseName? {
    leases.first { if case .returning(let back) = $0.value.standing { back.exchange == exchange } else { false } }?.key
  }

  mutating func withdraw(_ name: LeaseName, _ tenure: Lease.Tenure, _ why: Withdrawal, _ now: BootInstant) {
    let killAt = min(tenure.provenUntil - timing.killMargin, now + timing.grace)
    let isStillOurs = why == .unproven
    leases[name]?.standing = .leaving(tenure, .init(killAt: killAt, isStillOurs: isStillOurs))
    actions.append(.announce(.withdrawn(name, why)))
    actions.append(.withdraw(name, why))
  }

  /// 75 % to 125 %.
  mutating func jittered(_ duration: Duration) -> Duration { duration * Int(750 + random.next() % 501) / 1000 }

  private static let mostTroubles = 8

  /// Each reason is said once: what is said first (a connection that was closed) is often not what is wrong.
  mutating func storeFails(_ why: String) {
    guard troubles.count < Self.mostTroubles, troubles.insert(why).inserted else { return }
    actions.append(.announce(.storeFailed(why)))
  }

  mutating func storeAnswers() {
    if !troubles.isEmpty { actions.append(.announce(.storeAnswersAgain)) }
    troubles = []
  }

  mutating func finish() {
    phase = .closed
    actions.append(.closed)
  }
}
