import Vocabulary

@testable import Supervision

/// A core in a small world in which everything that may happen next is one of few events, and time passes only from one
/// deadline to the next: all of it can be walked.
struct Maze: Hashable {
  struct Limits: Hashable {
    var reloads = 1
    /// Reloads that hold, and words about them.
    var holds = 0
    var words = 0
    var restarts = 0
    var scales = 0
    var pauses = 0
    var stops = 1
    var crashes = 1
    var refusals = 1
    var leaves = 0
    /// Two listeners of the first address come back after a crash.
    var recoveries = 0
    var recycles = 0
    var aways = 0
    /// Leases that are granted, withdrawn, and at their end.
    var permits = 0
    var withdrawals = 0
    /// Fewer lifes to walk: nothing of the generations that only drain happens by itself.
    var ticks = 12
  }

  var core = Supervisor(seed: 1)
  var witness = Witness()
  var now = Instant.zero
  var limits: Limits
  let plans: [GenerationPlan]
  /// What the host owes: answers to actions.
  var owed: Set<Event> = []
  var opens: [ListenerID] = []
  var operations = 0
  /// Operations that asked for a hold.
  var held: Set<OperationID> = []

  /// Enough to tell most states apart; equality looks at everything.
  func hash(into hasher: inout Hasher) {
    hasher.combine(core.phase)
    hasher.combine(now)
    hasher.combine(limits)
    hasher.combine(owed.count)
    hasher.combine(witness.processes.count)
    for id in core.generations.keys.sorted() {
      for worker in core.generations[id]?.engines.flatMap(\.workers) ?? [] { hasher.combine(worker.state) }
    }
  }

  init(plans: [GenerationPlan], limits: Limits) {
    self.plans = plans
    self.limits = limits
  }

  // MARK: What may happen

  var moves: [Event] {
    if let first = opens.first {
      return [.listenerOpened(first)]
        + (limits.refusals > 0 ? [.listenerRefused(first, "EMFILE"), .listenerMustBeShared(first)] : [])
    }
    if core.phase == .new { return [.start("start")] }
    if core.phase == .ended { return [] }
    if limits.recoveries > 0 {
      return [ListenerID.http(1), .http(2)].map { .listenersRecovered([.recovered(serving: $0)], last: 2) }
    }
    var moves = owed.flatMap { answers(to: $0) }
    if limits.crashes > 0 {
      moves += witness.processes.keys.filter { core.worker($0)?.mainIsGone == false }.map {
        .exited($0, .signalled(11))
      }
    }
    if limits.leaves > 0 {
      moves += core.groups.values.flatMap { $0.members }.filter { witness.holds($0) }.map { .listenerLeft($0) }
    }
    if limits.reloads > 0 { moves.append(.reload(OperationID("op\(operations)"))) }
    if limits.holds > 0 {
      moves.append(.reload(OperationID("op\(operations)"), ReloadWish(release: ReleaseID("r"), hold: .seconds(5))))
    }
    if limits.words > 0 {
      for operation in held {
        moves += [HoldRelease.commit, .abort(.asked), .abort(.callerLeft)].map { .holdReleased(operation, $0) }
      }
    }
    if limits.restarts > 0 { moves.append(.restart(OperationID("op\(operations)"))) }
    if limits.scales > 0 { moves.append(.scale(Names.web, to: 2, OperationID("op\(operations)"))) }
    if limits.recycles > 0 {
      moves += witness.processes.keys.filter { core.worker($0)?.isReady == true }.map { .served($0, requests: 10) }
    }
    if limits.permits > 0 { moves += witness.leases.filter { $0.value == .wanted }.map { .permitted($0.key) } }
    if limits.withdrawals > 0 {
      moves += witness.leases.filter { $0.value == .permitted }.map { .withdrawn($0.key) }
    }
    moves += witness.leases.filter { $0.value == .withdrawn }.map { .leaseIsUp($0.key) }
    if limits.aways > 0 { moves.append(.wasAway(.seconds(5))) }
    if core.paused != nil {
      moves.append(.resume)
    } else if limits.pauses > 0 {
      moves.append(.pause(OperationID("upgrade")))
    }
    if limits.stops > 0 { moves += [.stop(.stop), .stop(.restart), .stopNow] }
    if core.nextDeadline != nil, limits.ticks > 0 { moves.append(.tick) }
    return moves
  }

  /// An answer that goes well, and what else it may be.
  private func answers(to event: Event) -> [Event] {
    guard limits.refusals > 0 else { return [event] }
    switch event {
    case .settingsLoaded(let operation, _):
      let refusals = [Event.settingsRefused(operation, "line 3")]
      return [event] + refusals + (held.contains(operation) ? [.releaseRefused(operation, "it is not there")] : [])
    case .ready(let id) where core.worker(id)?.isStarting == true: return [event, .spawnFailed(id, "ENOENT")]
    case .proofAnswered(let id, let engine, let number, _):
      return [event, .proofAnswered(id, engine, number: number, failure: "500")]
    case .quiet(let listener, 0)
    where core.groups[listener.key]?.unserved.contains(listener) == true || core.isLeaving(listener):
      return [event, .quiet(listener, unfinished: 2)]
    case .trialChecked(let id, let round, _): return [event, .trialChecked(id, round: round, failure: "exit status 1")]
    default: return [event]
    }
  }

  // MARK: One step

  /// What the step broke, or nil.
  mutating func go(_ event: Event) -> String? {
    spend(event)
    if case .tick = event, let deadline = core.nextDeadline { now = max(now, deadline) }
    let before = core
    witness.happens(event, to: core)
    let actions = core.handle(event, at: now)
    for action in actions {
      if let broken = witness.does(action, before: before, after: core, at: now) { return broken }
      owe(action)
    }
    if case .tick = event, core == before { return "woken for nothing" }
    if let broken = witness.check(core) { return broken }
    if before.paused != nil, core.paused != nil, case .steady = before.phase, case .changing = core.phase {
      return "began something while it is paused"
    }
    owed = owed.filter { $0.worker.map { witness.processes[$0] != nil } ?? true }
    if let broken = dead() ?? resumed() { return broken }
    settleTime()
    return nil
  }

  /// At rest it can be put together again from its parts, and is the same then.
  private func resumed() -> String? {
    guard core.unrest == nil, let serving = core.serving else { return nil }
    var answered = core
    // Those that wait are asked for again.
    answered.paused = nil
    answered.waitingReloads = []
    answered.hasAskedForLeases = !core.leases.isEmpty
    // What is not known to be empty is served once more.
    answered.unservedQueues = Set(core.groups.values.flatMap(\.unserved))
    for id in answered.generations.keys {
      // What was asked through the public address has been answered.
      for index in answered.generations[id]?.engines.indices ?? 0..<0 {
        answered.generations[id]?.engines[index].proof = nil
      }
    }
    do throws(ResumptionError) {
      let generations = try core.generations.values.map { (old) throws(ResumptionError) in
        try Generation(
          resuming: old.plan, role: old.role,
          engines: old.engines.map { Engine(resuming: $0.plan, phase: $0.phase, workers: $0.workers) },
          bindings: old.bindings)
      }
      let groups = core.groups.values.compactMap { old in
        SteeringGroup(
          kind: old.kind, members: old.members, rule: old.rule, idle: old.idle, permanent: old.permanent,
          unserved: old.unserved, isInForce: old.isInForce)
      }
      let again = try Supervisor(
        resuming: generations, serving: serving, groups: groups, nextGeneration: core.nextGeneration,
        nextListener: core.nextListener, random: core.random,
        leases: core.leases)
      return again == answered ? nil : "another one after an upgrade"
    } catch { return "cannot be resumed: \(error)" }
  }

  /// Nothing is owed and nothing is due: then it is at rest, or over.
  private func dead() -> String? {
    guard owed.isEmpty, opens.isEmpty, core.nextDeadline == nil else { return nil }
    switch core.phase {
    case .steady: return idle()
    case .ended: return nil
    case .new, .changing, .stopping: return "stuck in \(core.phase)"
    }
  }

  /// At rest each engine runs where it may, unless it was given up.
  private func idle() -> String? {
    guard let serving = core.serving, let generation = core.generations[serving] else { return nil }
    for engine in generation.engines where !engine.hasFailed && !engine.workers.isEmpty {
      guard let lease = engine.plan.lease else { continue }
      switch witness.leases[lease] {
      case nil: return "nobody asks for \(lease)"
      case .given: return "\(lease) is wanted and was not asked for again"
      case .withdrawn: return "\(lease) is not given back"
      case .permitted:
        if !engine.hasSettled { return "\(lease) is here, and \(engine.workers)" }
      case .wanted:
        if engine.plan.isWarm, engine.phase != .started || !engine.hasSettled {
          return "a warm \(engine.plan.name) is cold"
        }
      }
    }
    return nil
  }

  private mutating func spend(_ event: Event) {
    owed.remove(event)
    switch event {
    case .start, .reload, .restart, .scale: operations += 1
    default: break
    }
    switch event {
    case .reload(let operation, let wish):
      if wish.hold == nil { limits.reloads -= 1 } else { limits.holds -= 1 }
      if wish.hold != nil { held.insert(operation) }
    case .holdReleased: limits.words -= 1
    case .restart: limits.restarts -= 1
    case .scale: limits.scales -= 1
    case .pause: limits.pauses -= 1
    case .served: limits.recycles -= 1
    case .wasAway: limits.aways -= 1
    case .permitted: limits.permits -= 1
    case .withdrawn: limits.withdrawals -= 1
    case .stop, .stopNow: limits.stops -= 1
    case .listenerLeft: limits.leaves -= 1
    case .exited(_, .signalled(11)): limits.crashes -= 1
    case .listenersRecovered: limits.recoveries -= 1
    case .quiet(let listener, let unfinished):
      owed.remove(.quiet(listener, unfinished: 0))
      if unfinished > 0 { limits.refusals -= 1 }
    case .listenerOpened(let listener, _): opens.removeAll { $0 == listener }
    case .listenerRefused(let listener, _), .listenerMustBeShared(let listener):
      opens.removeAll { $0 == listener }
      limits.refusals -= 1
    case .settingsRefused(let operation, _), .releaseRefused(let operation, _):
      limits.refusals -= 1
      owed = owed.filter { if case .settingsLoaded(operation, _) = $0 { false } else { true } }
    case .spawnFailed(let id, _):
      limits.refusals -= 1
      owed.remove(.ready(id))
    case .proofAnswered(let id, let engine, let number, .some):
      limits.refusals -= 1
      owed.remove(.proofAnswered(id, engine, number: number, failure: nil))
    case .trialChecked(let id, let round, .some):
      limits.refusals -= 1
      owed.remove(.trialChecked(id, round: round, failure: nil))
    case .tick: limits.ticks -= 1
    case .emptied(let id), .exited(let id, _):
      // What it would have said it says no more.
      owed = owed.filter { $0.worker != id }
      if case .exited = event { owed.insert(.emptied(id)) }
    default: break
    }
  }

  private mutating func owe(_ action: Action) {
    switch action {
    case .loadSettings(let operation, let id):
      owed.insert(.settingsLoaded(operation, plans[min(Int(id.number) - 1, plans.count - 1)].numbered(id)))
    case .repeatSettings(let operation, let old, let id):
      guard let plan = core.generations[old]?.plan else { break }
      owed.insert(.settingsLoaded(operation, plan.numbered(id)))
    case .open(let listener, _, _): opens.append(listener)
    case .watchQuiet(let listener): owed.insert(.quiet(listener, unfinished: 0))
    case .close(let listener): owed.remove(.quiet(listener, unfinished: 0))
    case .spawn(let id): owed.insert(.ready(id))
    case .terminate(let id): owed.insert(.exited(id, .exited(0)))
    case .kill(let id):
      owed = owed.filter { $0.worker != id }
      owed.insert(core.worker(id)?.mainIsGone == false ? .exited(id, .signalled(9)) : .emptied(id))
    case .prove(let id, let engine, let number): owed.insert(.proofAnswered(id, engine, number: number, failure: nil))
    case .checkTrial(let id, let round): owed.insert(.trialChecked(id, round: round, failure: nil))
    case .runStageCommand(let stage, _): owed.insert(.stageWorkDone(stage))
    case .cutStageCommand(let stage): owed.remove(.stageWorkDone(stage))
    case .closeLeases: owed.insert(.stageWorkDone(.redis))
    case .closeLedger: owed.insert(.stageWorkDone(.database))
    case .askPending(let id): owed.insert(.nothingPending(id))
    case .save(let id): owed.insert(.saved(id))
    case .attach, .relisten, .abort, .measure, .askReadiness, .askLiveness, .removeStoredListeners, .exit, .tell, .note,
      .finish, .want, .unwant, .vacated,
      .forget:
      break
    }
  }

  /// Where nothing is due, it does not matter when something happened. In a trial something is, once it has its answers.
  private mutating func settleTime() {
    if case .changing(let change) = core.phase, case .trial = change.step { return }
    if core.nextDeadline == nil, witness.processes.values.allSatisfy({ $0.killedAt == nil }) { now = .zero }
  }
}

extension Supervisor {
  /// An engine that never runs twice empties it before it goes on elsewhere.
  fileprivate func isLeaving(_ listener: ListenerID) -> Bool {
    guard case .changing(let change) = phase, case .swapping(_, .quietingOld(let left, _)) = change.step else {
      return false
    }
    return left.contains(listener)
  }
}

extension Witness {
  func holds(_ listener: ListenerID) -> Bool { processes.values.contains { $0.listeners.contains(listener) } }
}
