package import Vocabulary

/// An orderly end: stop intake, drain engines, close the database, close Redis, inside one budget.
///
/// Each stage may take its slice and what earlier ones left of theirs, and never more than is left of the whole. What
/// still runs then is killed; only for the kernel to clear it away, and for the ledger to be closed, a stage may take
/// ``clearingGrace`` more.
package struct Shutdown: Hashable, Sendable {
  package let cause: ShutdownCause
  package let startedAt: Instant
  /// The end of the whole budget.
  package let deadline: Instant
  package internal(set) var stage: Stage = .intake
  package internal(set) var stageStartedAt: Instant
  package internal(set) var stageEndsAt: Instant
  var step: Step
  /// Workers killed because their stage's time was up.
  package internal(set) var cut: [WorkerID] = []
  var cutInStage: [WorkerID] = []
  /// Nothing is waited for that can be killed.
  package internal(set) var isImmediate = false

  /// How far the stage is.
  enum Step: Hashable, Sendable {
    /// Clients are gone or on their way elsewhere. Exits: the next stage.
    case quieting(Set<ListenerID>)
    /// Its engines end. Exits: `clearing` (time is up), `running`, `closing`, the next stage.
    case ending
    /// What was killed leaves the process table. Exits: as for `ending`.
    case clearing(until: Instant)
    /// One of its commands runs. Exits: `running` (the next one), `closing`, the next stage.
    case running(Int)
    /// The ledger writes its last, or the store of the leases is left. Exits: the next stage.
    case closing(until: Instant)
  }

  /// After SIGKILL the kernel needs a moment; one in uninterruptible sleep is not waited for longer than this.
  package static let clearingGrace = Duration.seconds(2)

  /// What is given back lets others start at once, so it gets a moment even when time is up.
  package static let farewellTime = Duration.milliseconds(500)

  var deadlineOfStep: Instant {
    switch step {
    case .quieting, .ending, .running: stageEndsAt
    case .clearing(let until), .closing(let until): until
    }
  }

  func isLate(at now: Instant) -> Bool { isImmediate || now >= stageEndsAt }
}

extension Supervisor {
  // MARK: Asked for

  /// The first cause holds: a second request changes nothing.
  mutating func stop(_ cause: ShutdownCause, at now: Instant) -> [Action] {
    guard !isStopping else { return [] }
    let answers = answersToStop()
    for id in generations.keys { generations[id]?.cancelRestarts() }
    let plan = shutdownPlan
    // What waits in the queues is taken before anybody is told to end, unless somebody comes to take it later.
    let listeners = cause == .stop ? Set(groups.values.filter { $0.kind != .constant }.flatMap(\.rule.listeners)) : []
    phase = .stopping(
      Shutdown(
        cause: cause, startedAt: now, deadline: now + plan.timeout, stageStartedAt: now,
        stageEndsAt: now + min(plan.timeout, plan.slices[.intake] ?? .zero), step: .quieting(listeners)))
    return answers + [.tell(.stopping), .note(.shutdownStarted(cause, timeout: plan.timeout))]
      + (cause == .stop ? [.removeStoredListeners] : []) + listeners.sorted().map { .watchQuiet($0) }
  }

  /// Each stage is cut as it comes; their order stays.
  mutating func stopNow(at now: Instant) -> [Action] {
    let actions = stop(.stop, at: now)
    guard case .stopping(var shutdown) = phase else { return actions }
    shutdown.isImmediate = true
    phase = .stopping(shutdown)
    return actions
  }

  private mutating func answersToStop() -> [Action] {
    var operations: [OperationID] = []
    if case .changing(let change) = phase { operations += change.operations }
    if let scaling { operations.append(scaling.operation) }
    operations += waitingReloads.map(\.operation)
    scaling = nil
    waitingReloads = []
    return operations.map { .finish($0, .refused(.stopped, serving: serving)) }
  }

  private var shutdownPlan: ShutdownPlan {
    let generation = serving.flatMap { generations[$0] } ?? generations.values.max { $0.id < $1.id }
    return generation?.plan.shutdown ?? ShutdownPlan(timeout: .seconds(30), slices: [:])
  }

  // MARK: Events

  mutating func quietAtIntake(_ listener: ListenerID) {
    guard case .stopping(var shutdown) = phase, case .quieting(var unquiet) = shutdown.step else { return }
    unquiet.remove(listener)
    shutdown.step = .quieting(unquiet)
    phase = .stopping(shutdown)
  }

  mutating func stageWorkDone(_ stage: Stage, at now: Instant) -> [Action] {
    guard case .stopping(let shutdown) = phase, shutdown.stage == stage else { return [] }
    switch shutdown.step {
    case .quieting, .ending, .clearing: return []
    case .running(let index): return runCommand(index + 1, shutdown, at: now)
    case .closing: return endStage(shutdown, at: now)
    }
  }

  /// Its own time, or that of its stage, was up before it was done.
  mutating func noteCut(_ worker: WorkerID) {
    guard case .stopping(var shutdown) = phase else { return }
    shutdown.cutInStage.append(worker)
    phase = .stopping(shutdown)
  }

  // MARK: Stages

  mutating func advanceShutdown(_ shutdown: Shutdown, at now: Instant) -> [Action] {
    switch shutdown.step {
    case .quieting(let unquiet):
      guard unquiet.isEmpty || shutdown.isLate(at: now) else { return [] }
      return (shutdown.cause == .stop ? closeIntake() : []) + endStage(shutdown, at: now)
    case .ending: return endEngines(shutdown, at: now)
    case .clearing(let until):
      return isGone(shutdown.stage) || until <= now ? runCommand(0, shutdown, at: now) : []
    case .running:
      guard shutdown.isLate(at: now) else { return [] }
      return [.cutStageCommand(shutdown.stage)] + finishWork(shutdown, at: now)
    case .closing(let until): return until <= now ? endStage(shutdown, at: now) : []
    }
  }

  /// From here on clients are refused at once, instead of waiting for somebody who will not come. What a socket unit
  /// holds stays open: it starts us again.
  private mutating func closeIntake() -> [Action] {
    groups.keys.sorted().flatMap { key -> [Action] in
      guard var group = groups[key], group.permanent.isEmpty else { return [] }
      groups[key] = nil
      return actions(group.abandon(), of: key)
    }
  }

  private func isGone(_ stage: Stage) -> Bool {
    generations.values.allSatisfy { $0.engines.allSatisfy { $0.plan.stage != stage || $0.isGone } }
  }

  private mutating func endEngines(_ shutdown: Shutdown, at now: Instant) -> [Action] {
    guard !shutdown.isLate(at: now) || isGone(shutdown.stage) else { return cutEngines(shutdown, at: now) }
    let actions = generations.keys.sorted().flatMap {
      generations[$0]?.stopNext(of: [shutdown.stage], killBy: shutdown.stageEndsAt, at: now) ?? []
    }
    return isGone(shutdown.stage) ? actions + runCommand(0, shutdown, at: now) : actions
  }

  private mutating func cutEngines(_ shutdown: Shutdown, at now: Instant) -> [Action] {
    var next = shutdown
    var actions: [Action] = []
    for id in generations.keys.sorted() {
      guard let cut = generations[id]?.cut([shutdown.stage], at: now) else { continue }
      next.cutInStage += cut.cut
      actions += cut.actions
    }
    next.step = .clearing(until: now + Shutdown.clearingGrace)
    phase = .stopping(next)
    return actions
  }

  /// The commands of a stage one by one while its time lasts, then batond's own part of it.
  private mutating func runCommand(_ index: Int, _ shutdown: Shutdown, at now: Instant) -> [Action] {
    guard !shutdown.isLate(at: now), index < shutdownPlan.commands[shutdown.stage] ?? 0 else {
      return finishWork(shutdown, at: now)
    }
    var next = shutdown
    next.step = .running(index)
    phase = .stopping(next)
    return [.runStageCommand(shutdown.stage, index)]
  }

  /// The ledger is closed even when time is up.
  private mutating func finishWork(_ shutdown: Shutdown, at now: Instant) -> [Action] {
    var next = shutdown
    switch shutdown.stage {
    case .intake, .engines: return endStage(shutdown, at: now)
    case .database:
      next.step = .closing(until: max(now, shutdown.stageEndsAt) + Shutdown.clearingGrace)
      phase = .stopping(next)
      return [.closeLedger]
    case .redis:
      guard hasAskedForLeases else { return endStage(shutdown, at: now) }
      next.step = .closing(until: max(now + Shutdown.farewellTime, shutdown.stageEndsAt))
      phase = .stopping(next)
      return [.closeLeases]
    }
  }

  private mutating func endStage(_ shutdown: Shutdown, at now: Instant) -> [Action] {
    var next = shutdown
    let note = Action.note(
      .stageEnded(shutdown.stage, took: now - shutdown.stageStartedAt, cut: shutdown.cutInStage))
    next.cut += shutdown.cutInStage
    next.cutInStage = []
    guard let stage = Stage.allCases.first(where: { $0 > shutdown.stage }) else {
      phase = .ended
      let code: ExitCode = shutdown.cause == .failure ? .failed : .done
      return [note, .note(.shutdownEnded(took: now - shutdown.startedAt, cut: next.cut.count)), .exit(code)]
    }
    // Time that this stage did not use goes to the next one.
    let carried = max(.zero, shutdown.stageEndsAt - now)
    let allowance = (shutdownPlan.slices[stage] ?? .zero) + carried
    next.stage = stage
    next.step = .ending
    next.stageStartedAt = now
    next.stageEndsAt = now + max(.zero, min(allowance, shutdown.deadline - now))
    phase = .stopping(next)
    return [note]
  }
}
