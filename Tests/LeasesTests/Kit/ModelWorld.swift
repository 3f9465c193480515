import Testing
import Vocabulary

@testable import Leases

/// Some hosts, one store between them, and everything that can go wrong, by a seed: lost and late answers, stores that
/// are away, hosts that stand still, clocks of different speed, force.
///
/// After each event: nobody runs beside another unless somebody stood still or a person said so; every grant's token is
/// higher than all before.
struct ModelWorld {
  static let name = LeaseName(unchecked: "robots")
  static let millisecond: Int64 = 1_000_000

  enum Happening: Hashable {
    case tick(Int)
    case arrives(Int, ExchangeID, StoreRequest)
    case answer(Int, LeaseEvent)
    case notified(Int)
    case ended(Int)
    case resumed(Int)
    case trouble
  }

  let timing: LeaseTiming
  var hosts: [ModelHost]
  var store: ModelStore
  var now: Int64 = 0
  var isCalm = false
  var storeAwayUntil: Int64 = 0
  /// Two may run until then: the store forgot, or a person forced it.
  var excusedUntil: Int64 = 0
  var violations: [String] = []
  /// What a sink has accepted last.
  var sink = LeaseToken(0)
  var staleWrites = 0, handovers = 0
  var seen: (Lease.Standing?, LeaseEvent, Lease.Standing?) -> Void = { _, _, _ in }
  private var queue: [(at: Int64, number: Int, what: Happening)] = []
  private var number = 0
  private var random: SplitMix64

  init(hosts: Int, seed: UInt64, timing: LeaseTiming = LeaseTiming()) {
    self.timing = timing
    var random = SplitMix64(seed: seed)
    store = ModelStore(timeToLive: timing.timeToLive)
    self.hosts = (0..<hosts).map { _ in
      ModelHost(
        keeper: LeaseKeeper(timing: timing, seed: random.next()), thousandths: 970 + Int64(random.next() % 61),
        offset: Int64(random.next() % 1_000_000_000_000))
    }
    self.random = random
    for host in 0..<hosts { want(host) }
    plan(.trouble, in: 1...5_000)
  }

  // MARK: - Time

  mutating func run(for duration: Duration) {
    let end = now + duration.nanoseconds
    while let next = queue.enumerated().min(by: {
      ($0.element.at, $0.element.number) < ($1.element.at, $1.element.number)
    }),
      next.element.at <= end
    {
      queue.remove(at: next.offset)
      now = max(now, next.element.at)
      happen(next.element.what)
      check()
    }
    now = end
  }

  mutating func plan(_ what: Happening, in milliseconds: ClosedRange<UInt64>) {
    plan(what, at: now + Int64(dice(milliseconds)) * Self.millisecond)
  }

  private mutating func plan(_ what: Happening, at instant: Int64) {
    number += 1
    queue.append((instant, number, what))
  }

  private mutating func dice(_ range: ClosedRange<UInt64>) -> UInt64 {
    range.lowerBound + random.next() % (range.upperBound - range.lowerBound + 1)
  }

  private mutating func chance(_ percent: UInt64) -> Bool { !isCalm && random.next() % 100 < percent }

  // MARK: - What happens

  private mutating func happen(_ what: Happening) {
    switch what {
    case .tick(let host):
      if hosts[host].tickAt == now { deliver(.tick, to: host) }
    case .arrives(let host, let exchange, let request): arrive(host, exchange, request)
    case .answer(let host, let event): deliver(event, to: host)
    case .notified(let host): deliver(.notified(Self.name), to: host)
    case .ended(let host):
      guard case .ending(_, let at) = hosts[host].engine, at <= now else { return }
      hosts[host].engine = .none
      deliver(.vacated(Self.name), to: host)
    case .resumed(let host): deliver(.tick, to: host)
    case .trouble:
      if !isCalm { makeTrouble() }
      plan(.trouble, in: 200...8_000)
    }
  }

  private mutating func arrive(_ host: Int, _ exchange: ExchangeID, _ request: StoreRequest) {
    guard now >= storeAwayUntil || isCalm else {
      return plan(.answer(host, .failed(exchange, "connection refused")), in: 0...50)
    }
    let (answer, told) = store.take(exchange, request, from: host, at: now)
    for name in told where name == Self.name {
      for other in hosts.indices where other != host && !chance(30) { plan(.notified(other), in: 0...20) }
    }
    // Lost on the way back: what was asked for has happened all the same.
    if !chance(5) { plan(.answer(host, .answered(exchange, answer)), in: chance(10) ? 1...20_000 : 0...30) }
  }

  private mutating func makeTrouble() {
    let host = Int(dice(0...UInt64(hosts.count - 1)))
    switch dice(0...11) {
    case 0, 1: storeAwayUntil = now + Int64(dice(100...40_000)) * Self.millisecond
    case 2, 3, 4:
      let until = now + Int64(dice(100...60_000)) * Self.millisecond
      hosts[host].stoppedUntil = max(hosts[host].stoppedUntil, until)
      plan(.resumed(host), at: until + 1)
    case 5:
      store.flush()
      excuse()
    case 6:
      store.force(Self.name, to: host, at: now)
      for other in hosts.indices { plan(.notified(other), in: 0...20) }
      excuse()
    case 7, 8, 9: hosts[host].isWanted ? unwant(host) : want(host)
    case 10: deliver(.notified(Self.name), to: host)
    default: break
    }
  }

  /// Until everybody has asked and whoever has to has ended.
  private mutating func excuse() { excusedUntil = now + 2 * timing.timeToLive.nanoseconds }

  mutating func want(_ host: Int) {
    hosts[host].isWanted = true
    deliver(.wanted(Self.name), to: host)
  }

  mutating func unwant(_ host: Int) {
    hosts[host].isWanted = false
    deliver(.unwanted(Self.name), to: host)
    end(host, within: 10_000)
  }

  mutating func close(_ host: Int) {
    hosts[host].isWanted = false
    deliver(.retire, to: host)
    end(host, within: 10_000)
    deliver(.close, to: host)
  }

  /// The supervisor ends the engine; programs are as stubborn as they like.
  private mutating func end(_ host: Int, within milliseconds: UInt64) {
    guard case .running(let token) = hosts[host].engine else { return }
    let at = now + Int64(dice(0...milliseconds)) * Self.millisecond
    hosts[host].engine = .ending(token, at: at)
    plan(.ended(host), at: at)
  }

  // MARK: - The keeper

  private mutating func deliver(_ event: LeaseEvent, to host: Int) {
    guard hosts[host].stoppedUntil <= now || isCalm else {
      // Read when it goes on, before it learns that time has passed.
      if event != .tick { plan(.answer(host, event), at: hosts[host].stoppedUntil) }
      return
    }
    let before = hosts[host].keeper.leases[Self.name]?.standing
    let actions = hosts[host].keeper.handle(event, at: hosts[host].clock(now))
    seen(before, event, hosts[host].keeper.leases[Self.name]?.standing)
    for action in actions { act(action, host) }
    guard let deadline = hosts[host].keeper.nextDeadline else { return }
    hosts[host].tickAt = max(now + 1, hosts[host].world(deadline))
    plan(.tick(host), at: hosts[host].tickAt)
  }

  private mutating func act(_ action: LeaseAction, _ host: Int) {
    switch action {
    case .ask(let exchange, let request):
      if !chance(5) { plan(.arrives(host, exchange, request), in: chance(10) ? 1...20_000 : 0...30) }
    case .permit(let grant):
      if hosts[host].token != nil { violations.append("host \(host) is permitted twice") }
      hosts[host].engine = .running(grant.token)
      handovers += 1
    case .withdraw: end(host, within: 60_000)
    case .kill:
      guard let token = hosts[host].token else { return }
      hosts[host].engine = .ending(token, at: now)
      plan(.ended(host), at: now)
    case .closed: hosts[host].isClosed = true
    case .extend, .announce: break
    }
  }

  // MARK: - What must hold

  private mutating func check() {
    let running = hosts.indices.filter { hosts[$0].token != nil }
    // An engine that is cut ends in the same instant.
    let supervised = running.filter { host in
      if case .ending(_, let at) = hosts[host].engine, at <= now { return false }
      return hosts[host].stoppedUntil < now
    }
    if supervised.count > 1 && now > excusedUntil && running.count == supervised.count {
      violations.append("hosts \(supervised) run side by side at \(now / Self.millisecond) ms")
    }
    for host in running {
      guard let token = hosts[host].token else { continue }
      if token >= sink { sink = token } else { staleWrites += 1 }
    }
    let tokens = store.granted[Self.name, default: []]
    if tokens.count > 1, tokens[tokens.count - 2] >= tokens[tokens.count - 1] {
      violations.append("token \(tokens[tokens.count - 1]) after \(tokens[tokens.count - 2])")
    }
  }

  /// Nothing goes wrong from here on.
  mutating func calm() {
    isCalm = true
    for host in hosts.indices where hosts[host].stoppedUntil > now {
      hosts[host].stoppedUntil = now
      deliver(.tick, to: host)
    }
  }
}
