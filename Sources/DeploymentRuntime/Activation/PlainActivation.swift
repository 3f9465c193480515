import Deployment
import LinuxSystem
import Settings
import Systemd
import Vocabulary

/// Activation of any unit: `current` moves, systemd reloads, restarts or starts the unit, and then it must be shown that
/// what runs is what was started for it.
struct PlainActivation {
  let operation: Operation
  let unit: ServiceUnit
  private let bus: KeptBus

  init(operation: Operation, unit: ServiceUnit) {
    (self.operation, self.unit) = (operation, unit)
    bus = KeptBus(unit.bus)
  }

  /// For a unit that says nothing else: its stop and start time-outs are added.
  private static let margin = Duration.seconds(10)
  private static let longest = Duration.seconds(3_600)

  // MARK: Forward

  func run(to release: ReleaseID, isBack: Bool = false) throws(StepFailure) {
    let before = try state()
    if operation.effects.mode == .act { try refuseUnusable(before) }
    let releases = Releases(operation.layout, DurableFiles(operation.effects, operation: operation.id))
    try asFailure { () throws(SystemError) in try releases.point(to: release) }
    // Not on the disk yet: as long as `current` names the release, that says it. On the way back ``ReturnedPointer`` does.
    if !isBack { operation.facts.isExposed = true }
    try activate(from: before, isBack: isBack)
  }

  /// The unit's job, its result, and the proof. `isBack`: after a release that may have used up the unit's starts.
  func activate(from before: UnitState?, isBack: Bool = true) throws(StepFailure) {
    let verb = verb(before)
    let begun = ProcessAge.now()
    let mayBeUsedUp = isBack || before?.active != "active" || before?.restarts != 0
    try operation.effects.act(.bus, "\(verb.rawValue) \(unit.name)", planned: ()) { () throws(StepFailure) in
      try perform(verb, before, forgets: mayBeUsedUp)
    }
    guard operation.effects.mode == .act, let before else { return }
    try prove(verb, before, since: begun)
  }

  /// Back to when there was no release: what the unit is without one runs again, or nothing does.
  func leave() throws(StepFailure) {
    guard let now = try state(), now.isUp else { return }
    do throws(StepFailure) { return try activate(from: now) } catch { operation.audience.warn(error.what) }
    try stop()
  }

  func stop() throws(StepFailure) {
    try operation.effects.act(.bus, "stop \(unit.name)", planned: ()) { () throws(StepFailure) in
      try perform(.stop, nil, forgets: false)
    }
  }

  func state() throws(StepFailure) -> UnitState? {
    guard operation.effects.mode == .act else { return nil }
    return try look()
  }

  private func refuseUnusable(_ state: UnitState?) throws(StepFailure) {
    switch state?.load {
    case "loaded"?: return
    case "not-found"?:
      throw StepFailure(
        .failed, "there is no unit \(unit.name)",
        next: "[deploy] unit names it; `systemctl list-units --all` shows those there are")
    case "masked"?:
      throw StepFailure(.failed, "\(unit.name) is masked", next: "`systemctl unmask \(unit.name)` allows it again")
    case let other:
      throw StepFailure(
        .failed, "systemd cannot load \(unit.name): \(other ?? "no state")", next: "`systemctl status \(unit.name)`")
    }
  }

  private func verb(_ before: UnitState?) -> UnitVerb {
    if let before, !before.isUp { return .start }
    switch operation.deploy.activation {
    case .reload: return .reloadOrRestart
    case .restart: return .restart
    }
  }

  /// `forgets`: how often it was started lately does not count. A release that crashes at once used up all starts that the
  /// unit has; the one before must not pay for it.
  private func perform(_ verb: UnitVerb, _ before: UnitState?, forgets: Bool) throws(StepFailure) {
    let state = if let before { before } else { try look() }
    let limit = limit(state)
    let result = try asked(mayRepeat: false) { (bus) throws(BusError) in
      // Where that is not allowed, or there is nothing to forget, the job says how it went.
      if forgets { try? bus.resetFailed(unit.name) }
      return try bus.perform(verb, unit.name, within: limit)
    }
    guard result != .done else { return }
    // Of a unit that ran well it is not asked beforehand: polkit takes as long for that as for the job.
    if verb != .stop, !forgets, try look().result == "start-limit-hit" {
      return try perform(verb, before, forgets: true)
    }
    throw failed("\(verb.rawValue) of \(unit.name) ended with \"\(result)\"")
  }

  private func limit(_ state: UnitState) -> Duration {
    let sum = [state.stopTime, state.startTime].reduce(Self.margin) {
      $0 + .microseconds(Int64(clamping: min($1, 3_600_000_000)))
    }
    return min(sum, Self.longest)
  }

  // MARK: Proof

  /// The unit came up and stays, and at least one of its processes began after the wish.
  private func prove(_ verb: UnitVerb, _ before: UnitState, since begun: UInt64) throws(StepFailure) {
    let up = Instant.monotonicNow() + Self.patienceToComeUp
    let renewed = Instant.monotonicNow() + Self.patienceToRenew
    // Asked once it listens or has had its time, systemd's answer shows that it came up and that it stays.
    var hasSettled = verb == .restart && Self.settles(before.type) && !before.cgroup.isEmpty
    if hasSettled { settle(before.cgroup, since: begun) }
    while true {
      let now = try state(mustRunAfter: verb)
      if now.active == "active", now.mainPID != 0 || now.cgroup.isEmpty {
        let isNew =
          now.mainPID != before.mainPID || now.invocation != before.invocation
          || ProcessAge.hasYounger(than: begun, in: now.cgroup)
        if isNew {
          let isSame = now.cgroup == before.cgroup && now.type == before.type
          if hasSettled, isSame, now.restarts == 0 { return }
          return try stays(now, verb, since: begun)
        }
        guard Instant.monotonicNow() < renewed else {
          throw StepFailure(
            .failed,
            "\(unit.name) runs on with the processes it had: \(verb.rawValue) did not make it take the new code",
            next: "activate = \"restart\" in [deploy] is for programs whose reload keeps the old code")
        }
      }
      guard Instant.monotonicNow() < up else { throw failed("\(unit.name) did not come up: \(now.text)") }
      hasSettled = false
      try operation.wait(until: .monotonicNow() + .milliseconds(50), ignoringAbort: true)
    }
  }

  private static let patienceToComeUp = Duration.seconds(30)
  /// A program that reloads replaces a process soon after its signal.
  private static let patienceToRenew = Duration.seconds(10)
  /// Of types that systemd calls active as soon as they are executed: time to read a configuration and give up.
  private static let settling = Duration.milliseconds(300)

  /// Types that say themselves when they are ready are believed.
  private static func settles(_ type: String) -> Bool { ["simple", "exec", "idle"].contains(type) }

  private func stays(_ first: UnitState, _ verb: UnitVerb, since begun: UInt64) throws(StepFailure) {
    guard Self.settles(first.type) else { return }
    settle(first.cgroup, since: begun)
    let now = try state(mustRunAfter: verb)
    if now.active != "active" || now.restarts > first.restarts {
      throw failed("\(unit.name) does not stay up after \(verb.rawValue): \(now.text)")
    }
  }

  /// Where no process is left from before the wish, it need not stay as long: once it listens where it will be asked it has
  /// read what it reads, and the health check judges the rest. Nobody tells of that, and finding out costs less than what
  /// is waited for.
  private func settle(_ cgroup: String, since begun: UInt64) {
    let urls = operation.deploy.health.checks.map(\.url)
    let settled = Instant.monotonicNow() + Self.settling
    while .monotonicNow() < settled {
      if ListeningUnit.isListening(urls, in: cgroup), !ProcessAge.hasOlder(than: begun, in: cgroup) { return }
      try? operation.wait(until: min(settled, .monotonicNow() + .milliseconds(1)), ignoringAbort: true)
    }
  }

  private func state(mustRunAfter verb: UnitVerb) throws(StepFailure) -> UnitState {
    let now = try look()
    if now.active == "failed" || now.active == "inactive" {
      throw failed("\(unit.name) does not run after \(verb.rawValue): \(now.text)")
    }
    return now
  }

  /// While it is asked: it must still run, and the ports that are asked must be its own.
  func isStill(_ first: UnitState) throws(StepFailure) {
    let now = try look()
    if !now.isUp { throw failed("\(unit.name) runs no longer: \(now.text)") }
    if now.restarts > first.restarts {
      throw failed(
        "\(unit.name) was started again \(now.restarts - first.restarts) times while it was asked: \(now.text)")
    }
    if let stranger = ListeningUnit.stranger(operation.deploy.health.checks.map(\.url), besides: now.cgroup) {
      throw StepFailure(
        .failed, "\(stranger), not \(unit.name): it is not the new release that answers",
        next: "stop the other one, or correct the port in [health]")
    }
  }

  private func failed(_ what: String) -> StepFailure {
    StepFailure(
      .failed, what, next: "journalctl -u \(unit.name) says more",
      lines: UnitJournal(operation, unit.name).lastLines())
  }

  private func look() throws(StepFailure) -> UnitState {
    try asked(mayRepeat: true) { (bus) throws(BusError) in try UnitState(of: unit.name, bus) }
  }

  /// `mayRepeat`: nothing but questions is in `body`, and they may be asked again over a new connection.
  private func asked<Answer>(
    mayRepeat: Bool, _ body: (SystemBus) throws(BusError) -> Answer
  ) throws(StepFailure) -> Answer {
    do throws(BusError) {
      return try bus.with(mayRepeat: mayRepeat, body)
    } catch {
      throw StepFailure(
        .failed, "cannot \(error.attempt): \(error.message)", next: error.remedy,
        lines: error.name == nil ? [] : UnitJournal(operation, unit.name).lastLines())
    }
  }
}

/// One connection for one activation: making one takes as long as all that is asked over it. One that heard of jobs may go
/// on hearing of them (systemd's own socket has no matches); when its queue is full another one takes its place.
private final class KeptBus {
  private let address: SystemBus.Address
  private var connection: SystemBus?

  init(_ address: SystemBus.Address) { self.address = address }

  func with<Answer>(
    mayRepeat: Bool, _ body: (SystemBus) throws(BusError) -> Answer
  ) throws(BusError) -> Answer {
    let kept = connection
    let bus = if let kept { kept } else { try SystemBus(address) }
    connection = bus
    do throws(BusError) { return try body(bus) } catch {
      connection = nil
      // It may have been cut off since, which says nothing of the unit.
      guard error.name == nil, mayRepeat, kept != nil else { throw error }
      return try with(mayRepeat: mayRepeat, body)
    }
  }
}
