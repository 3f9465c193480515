package import Vocabulary

/// An orderly end: stop intake, drain engines, close the database, close Redis, inside one budget.
///
/// Each stage may take its slice and what earlier ones left of theirs, and never more than is left of the whole.
package struct Shutdown: Hashable, Sendable {
  package let cause: ShutdownCause
  package let startedAt: Instant
  /// The end of the whole budget.
  package let deadline: Instant
  package internal(set) var stage: Stage = .intake
  package internal(set) var stageStartedAt: Instant
  package internal(set) var stageEndsAt: Instant
  /// Time that earlier stages did not use.
  var carried: Duration = .zero
  var unquiet: Set<ListenerID> = []
  /// Workers killed because their stage's time was up.
  package internal(set) var cut: [WorkerID] = []
  var cutInStage: [WorkerID] = []
  var stageIsCut = false
  var work: StageWork = .none
  package internal(set) var isImmediate = false

  /// What a stage does once its engines are gone.
  enum StageWork: Hashable, Sendable {
    case none
    case running(Int)
    case closingLedger
    case done
  }

  /// After SIGKILL the kernel needs a moment; one in uninterruptible sleep is not waited for longer than this.
  static let clearingGrace = Duration.seconds(2)

  var nextDeadline: Instant {
    switch work {
    case .running: stageEndsAt
    case .closingLedger: stageEndsAt + Self.clearingGrace
    case .none, .done: stageIsCut ? stageEndsAt + Self.clearingGrace : stageEndsAt
    }
  }
}

extension Supervisor {
  mutating func stop(_ cause: ShutdownCause, at now: Instant) -> [Action] {
    guard !isStopping else { return [] }
    var answers: [Action] = []
    if case .changing(let change) = phase {
      answers += change.operations.map { .finish($0, .refused(.stopped, serving: serving)) }
    }
    if let scaling { answers.append(.finish(scaling.operation, .refused(.stopped, serving: serving))) }
    answers += waitingReloads.map { .finish($0, .refused(.stopped, serving: serving)) }
    waitingReloads = []
    scaling = nil
    let plan = shutdownPlan
    var shutdown = Shutdown(
      cause: cause, startedAt: now, deadline: now + plan.timeout, stageStartedAt: now,
      stageEndsAt: now + min(plan.timeout, plan.slices[.intake] ?? .zero))
    var actions: [Action] = answers + [.tell(.stopping), .note(.shutdownStarted(cause, timeout: plan.timeout))]
    switch cause {
    case .stop:
      // What waits in the queues is taken before anybody is told to end.
      shutdown.unquiet = Set(groups.values.filter { $0.kind != .constant }.map(\.serving))
      actions.append(.removeStoredListeners)
      actions += shutdown.unquiet.sorted().map { .watchQuiet($0) }
    case .restart, .failure: break
    }
    phase = .stopping(shutdown)
    return actions
  }

  /// Everything that runs is killed, the stages that are left are gone through empty.
  mutating func stopNow(at now: Instant) -> [Action] {
    let actions = isStopping ? [] : stop(.stop, at: now)
    guard case .stopping(var shutdown) = phase else { return actions }
    shutdown.isImmediate = true
    shutdown.unquiet = []
    phase = .stopping(shutdown)
    return actions + cutStages(Set(Stage.allCases), at: now)
  }

  private var shutdownPlan: ShutdownPlan {
    let generation = serving.flatMap { generations[$0] } ?? generations.values.max { $0.id < $1.id }
    return generation?.plan.shutdown ?? ShutdownPlan(timeout: .seconds(30), slices: [:])
  }

  mutating func quietAtIntake(_ listener: ListenerID) -> [Action] {
    guard case .stopping(var shutdown) = phase, shutdown.unquiet.remove(listener) != nil else { return [] }
    phase = .stopping(shutdown)
    return []
  }

  mutating func stageWorkDone(_ stage: Stage, at now: Instant) -> [Action] {
    guard case .stopping(var shutdown) = phase, shutdown.stage == stage else { return [] }
    switch shutdown.work {
    case .none, .done: return []
    case .running(let index): return runWork(&shutdown, after: index, at: now)
    case .closingLedger:
      shutdown.work = .done
      phase = .stopping(shutdown)
      return []
    }
  }

  mutating func advanceShutdown(_ shutdown: Shutdown, at now: Instant) -> [Action] {
    switch shutdown.stage {
    case .intake:
      return shutdown.unquiet.isEmpty || now >= shutdown.stageEndsAt ? endStage(shutdown, at: now) : []
    case .engines, .database, .redis:
      return advanceStage(shutdown, at: now)
    }
  }

  private mutating func advanceStage(_ shutdown: Shutdown, at now: Instant) -> [Action] {
    var shutdown = shutdown
    let stages: Set<Stage> = [shutdown.stage]
    let isGone = generations.values.allSatisfy { generation in
      generation.engines.allSatisfy { !stages.contains($0.plan.stage) || $0.isGone }
    }
    if !isGone && !shutdown.stageIsCut {
      guard now < shutdown.stageEndsAt, !shutdown.isImmediate else { return cutStages(stages, at: now) }
      return generations.keys.sorted().flatMap {
        generations[$0]?.stopNext(of: stages, killBy: shutdown.stageEndsAt, at: now) ?? []
      }
    }
    guard isGone || now >= shutdown.stageEndsAt + Shutdown.clearingGrace else { return [] }
    switch shutdown.work {
    case .none: return runWork(&shutdown, after: -1, at: now)
    case .done: return endStage(shutdown, at: now)
    case .running:
      guard now >= shutdown.stageEndsAt else { return [] }
      return [.cutStageCommand(shutdown.stage)] + runWork(&shutdown, after: .max - 1, at: now)
    case .closingLedger:
      return now >= shutdown.stageEndsAt + Shutdown.clearingGrace ? endStage(shutdown, at: now) : []
    }
  }

  /// The commands of a stage one by one, then batond's own part of it. The ledger is closed even when time is up.
  private mutating func runWork(_ shutdown: inout Shutdown, after index: Int, at now: Instant) -> [Action] {
    let isLate = shutdown.isImmediate || now >= shutdown.stageEndsAt
    let count = isLate ? 0 : shutdownPlan.commands[shutdown.stage] ?? 0
    var actions: [Action] = []
    if index + 1 < count {
      shutdown.work = .running(index + 1)
      actions = [.runStageCommand(shutdown.stage, index + 1)]
    } else if shutdown.stage == .database {
      shutdown.work = .closingLedger
      actions = [.closeLedger]
    } else {
      shutdown.work = .done
    }
    phase = .stopping(shutdown)
    return actions
  }

  private mutating func cutStages(_ stages: Set<Stage>, at now: Instant) -> [Action] {
    guard case .stopping(var shutdown) = phase else { return [] }
    var actions: [Action] = []
    for id in generations.keys.sorted() {
      guard var generation = generations[id] else { continue }
      let cut = generation.cut(stages, at: now)
      generations[id] = generation
      shutdown.cutInStage += cut.cut
      actions += cut.actions
    }
    shutdown.stageIsCut = true
    shutdown.stageEndsAt = min(shutdown.stageEndsAt, now)
    phase = .stopping(shutdown)
    return actions
  }

  private mutating func endStage(_ shutdown: Shutdown, at now: Instant) -> [Action] {
    var next = shutdown
    let used = now - shutdown.stageStartedAt
    let note = Action.note(.stageEnded(shutdown.stage, took: used, cut: shutdown.cutInStage))
    next.cut += next.cutInStage
    next.cutInStage = []
    next.stageIsCut = false
    next.work = .none
    guard let stage = Stage.allCases.first(where: { $0 > shutdown.stage }) else {
      phase = .ended
      let cut = next.cut.count
      let code: ExitCode = shutdown.cause == .failure ? .failed : .done
      return [note, .note(.shutdownEnded(took: now - shutdown.startedAt, cut: cut)), .exit(code)]
    }
    next.carried = max(.zero, shutdown.stageEndsAt - now)
    next.stage = stage
    next.stageStartedAt = now
    let allowance = (shutdownPlan.slices[stage] ?? .zero) + next.carried
    next.stageEndsAt = now + max(.zero, min(allowance, shutdown.deadline - now))
    phase = .stopping(next)
    return [note]
  }
}
