package import Vocabulary

/// The decisions of one service's supervisor: a value that takes events and gives actions.
///
/// Promises it keeps whatever comes in (checked by the tests in every reachable state):
/// no client is steered to a generation that is not committed, but for the share a trial grants; the serving generation
/// is never stopped before its successor is committed; an exclusive engine never runs in two generations at once; a
/// listener is retired only when it is quiet and its workers are gone; once a stop was asked for, nothing is started.
///
/// Events update what is observed; ``advance(at:)`` then draws every consequence. Time enters only as `now`.
package struct Supervisor: Hashable, Sendable {
  package enum Phase: Hashable, Sendable {
    /// Before `start`. Exits: `changing`, `stopping`.
    case new
    /// A generation is being put in place of another, or the first one. Exits: `steady`, `stopping`.
    case changing(Change)
    /// One generation serves. Exits: `changing`, `stopping`.
    case steady
    /// Exits: `ended`.
    case stopping(Shutdown)
    /// Nothing runs any more. Exits: none.
    case ended
  }

  package internal(set) var phase: Phase = .new
  package internal(set) var generations: [GenerationID: Generation] = [:]
  /// The last committed generation: crash restarts use it, whatever lies on disk now.
  package internal(set) var serving: GenerationID?
  package internal(set) var groups: [SocketKey: SteeringGroup] = [:]
  /// Reloads that came while another change was under way: one change will answer them all.
  package internal(set) var waitingReloads: [OperationID] = []
  package internal(set) var scaling: Scaling?
  var nextGeneration: GenerationID
  var nextListener: UInt64
  var random: SplitMix64

  /// More reloads than this are not remembered, but told to try again.
  package static let maxWaitingReloads = 64

  package struct Scaling: Hashable, Sendable {
    package let engine: EngineName
    package let from: Int
    package let to: Int
    package let operation: OperationID
  }

  /// `firstGeneration` and `firstListener` continue the numbers of an earlier life of the service.
  package init(firstGeneration: GenerationID = GenerationID(1), firstListener: UInt64 = 1, seed: UInt64) {
    nextGeneration = firstGeneration
    nextListener = firstListener
    random = SplitMix64(seed: seed)
  }

  // MARK: The one entry

  package mutating func handle(_ event: Event, at now: Instant) -> [Action] {
    var actions = observe(event, at: now)
    actions += advance(at: now)
    return actions
  }

  /// When `tick` is due; nil while only events can change anything.
  package var nextDeadline: Instant? {
    var deadlines = generations.values.compactMap(\.deadline)
    switch phase {
    case .changing(let change): if let deadline = change.deadline { deadlines.append(deadline) }
    case .stopping(let shutdown): deadlines.append(shutdown.nextDeadline)
    case .new, .steady, .ended: break
    }
    return deadlines.min()
  }

  package var isStopping: Bool {
    switch phase {
    case .stopping, .ended: true
    case .new, .changing, .steady: false
    }
  }

  // MARK: Observing

  private mutating func observe(_ event: Event, at now: Instant) -> [Action] {
    switch event {
    case .start(let operation): begin(.first, [operation])
    case .reload(let operation): reload(operation)
    case .restart(let operation): restart(operation)
    case .scale(let engine, let count, let operation): scale(engine, to: count, operation, at: now)
    case .stop(let cause): stop(cause, at: now)
    case .stopNow: stopNow(at: now)
    case .settingsLoaded(let operation, let plan): settingsLoaded(operation, plan, at: now)
    case .settingsRefused(let operation, let text): settingsRefused(operation, text, at: now)
    case .listenerOpened(let listener): listenerOpened(listener)
    case .listenerRefused(let listener, let text): listenerRefused(listener, text, at: now)
    case .listenerMustBeShared(let listener): listenerMustBeShared(listener)
    case .listenerLeft(let listener): listenerLeft(listener, at: now)
    case .quiet(let listener, let unfinished): quiet(listener, unfinished: unfinished)
    case .spawned(let id): update(id) { worker, plan in worker.spawned(plan) }
    case .spawnFailed(let id, let text): spawnFailed(id, text, at: now)
    case .ready(let id): update(id) { worker, plan in worker.becameReady(plan, at: now) }
    case .showedLife(let id):
      update(id) { worker, plan in
        worker.showedLife(plan, at: now)
        return []
      }
    case .livenessAnswered(let id, let isAlive): livenessAnswered(id, isAlive, at: now)
    case .exited(let id, let reason): exited(id, reason, at: now)
    case .emptied(let id): emptied(id, at: now)
    case .nothingPending(let id), .saved(let id):
      update(id) { worker, plan in worker.stopTimeIsUp(plan, at: now) }
    case .proofAnswered(let generation, let engine, let number, let failure):
      proofAnswered(generation, engine, number: number, failure: failure)
    case .stageWorkDone(let stage): stageWorkDone(stage, at: now)
    case .tick: tick(at: now)
    }
  }

  /// Applies `change` to the worker if that very run is still in its place; late news changes nothing.
  mutating func update(_ id: WorkerID, _ change: (inout Worker, EnginePlan) -> [Action]) -> [Action] {
    guard let engine = generations[id.generation]?.index(of: id.engine),
      let plan = generations[id.generation]?.engines[engine].plan,
      let place = generations[id.generation]?.engines[engine].workers.firstIndex(where: { $0.id == id }),
      var worker = generations[id.generation]?.engines[engine].workers[place]
    else { return [] }
    let actions = change(&worker, plan)
    generations[id.generation]?.engines[engine].workers[place] = worker
    return actions
  }

  package func worker(_ id: WorkerID) -> Worker? {
    generations[id.generation]?.engine(id.engine)?.workers.first { $0.id == id }
  }

  // MARK: Workers

  private mutating func spawnFailed(_ id: WorkerID, _ text: String, at now: Instant) -> [Action] {
    let actions = update(id) { worker, plan in
      worker.fault = worker.isWanted ? .spawn(text) : nil
      return [.note(.workerFault(worker.id, .spawn(text)))]
    }
    return actions + emptied(id, at: now) + failed(id, .spawn(text), at: now)
  }

  private mutating func exited(_ id: WorkerID, _ reason: ExitReason, at now: Instant) -> [Action] {
    let wasWanted = worker(id).map { $0.isWanted && $0.fault == nil && $0.isRunning } ?? false
    let actions = update(id) { worker, plan in worker.exited(reason, plan, at: now) }
    return wasWanted ? actions + failed(id, .exited(reason), at: now) : actions
  }

  private mutating func livenessAnswered(_ id: WorkerID, _ isAlive: Bool, at now: Instant) -> [Action] {
    var fault: WorkerFault?
    let actions = update(id) { worker, plan in
      fault = worker.livenessAnswered(isAlive, plan, at: now)
      return fault.map { worker.fail($0, plan, at: now) } ?? []
    }
    return fault.map { actions + failed(id, $0, at: now) } ?? actions
  }

  private mutating func emptied(_ id: WorkerID, at now: Instant) -> [Action] {
    var random = random
    defer { self.random = random }
    return update(id) { worker, plan in worker.settle(plan, at: now, random: &random) }
  }

  /// A worker that should run does not. In a candidate that is the end of the candidate.
  private mutating func failed(_ id: WorkerID, _ fault: WorkerFault, at now: Instant) -> [Action] {
    guard case .changing(let change) = phase, change.kind == .handover, change.candidate == id.generation else {
      return []
    }
    return abort(.worker(id, fault), at: now)
  }

  // MARK: Time

  private mutating func tick(at now: Instant) -> [Action] {
    var actions: [Action] = []
    for id in generations.keys.sorted() {
      for worker in generations[id]?.engines.flatMap(\.workers) ?? [] {
        if let deadline = worker.deadline, deadline <= now { actions += timeIsUp(worker, at: now) }
      }
    }
    return actions
  }

  private mutating func timeIsUp(_ worker: Worker, at now: Instant) -> [Action] {
    let id = worker.id
    switch worker.state {
    case .idle, .failed, .clearing: return []
    case .waiting: return update(id) { worker, plan in worker.start(plan, at: now) }
    case .stopping: return update(id) { worker, plan in worker.stopTimeIsUp(plan, at: now) }
    case .starting(_, let readyAt, _):
      if let readyAt, readyAt <= now { return update(id) { worker, plan in worker.becameReady(plan, at: now) } }
      return giveUp(id, at: now) { plan in .notReady(within: plan.startTimeout) }
    case .ready:
      guard let plan = generations[id.generation]?.engine(id.engine)?.plan, let liveness = plan.liveness else {
        return []
      }
      switch liveness {
      case .told(let every): return giveUp(id, at: now) { _ in .hangs("no WATCHDOG=1 for \(every.text)") }
      case .asked(let every, _):
        return update(id) { worker, _ in
          // Until the answer comes; the question has a limit of its own.
          worker.liveBy = now + every
          return [.askLiveness(id)]
        }
      }
    }
  }

  private mutating func giveUp(_ id: WorkerID, at now: Instant, _ fault: (EnginePlan) -> WorkerFault) -> [Action] {
    var reason: WorkerFault?
    let actions = update(id) { worker, plan in
      let why = fault(plan)
      reason = why
      return worker.fail(why, plan, at: now)
    }
    return reason.map { actions + failed(id, $0, at: now) } ?? actions
  }

  // MARK: Consequences

  /// Draws every consequence of what is known, until nothing more follows. Each round ends something, so it ends itself.
  mutating func advance(at now: Instant) -> [Action] {
    var actions: [Action] = []
    for _ in 0..<Self.maxRounds {
      let before = phase
      let round = advanceOnce(at: now)
      if round.isEmpty && phase == before { break }
      actions += round
    }
    return actions
  }

  private static let maxRounds = 1_000

  private mutating func advanceOnce(at now: Instant) -> [Action] {
    var actions: [Action] = []
    switch phase {
    case .new, .ended: return []
    case .steady:
      actions += advanceScaling(at: now)
      if scaling == nil { actions += takeWaitingReloads() }
    case .changing(let change): actions += advanceChange(change, at: now)
    case .stopping(let shutdown): return advanceShutdown(shutdown, at: now)
    }
    return actions + advanceDraining(at: now)
  }

  private mutating func takeWaitingReloads() -> [Action] {
    guard !waitingReloads.isEmpty, case .steady = phase else { return [] }
    let operations = waitingReloads
    waitingReloads = []
    return begin(.handover, operations)
  }

  // MARK: Scaling

  private mutating func scale(_ name: EngineName, to count: Int, _ operation: OperationID, at now: Instant) -> [Action]
  {
    switch phase {
    case .changing(let change): return [.finish(operation, .busy(change.operations.first))]
    case .new, .stopping, .ended: return [.finish(operation, .refused(.stopped, serving: serving))]
    case .steady: break
    }
    if let scaling { return [.finish(operation, .busy(scaling.operation))] }
    guard let serving, let generation = generations[serving], let index = generation.index(of: name) else {
      return [.finish(operation, .refused(.unknownEngine(name), serving: serving))]
    }
    let workers = generation.engines[index].workers
    let present = workers.count { $0.isWanted }
    var actions: [Action] = [.note(.engineScaled(name, from: present, to: count))]
    for worker in workers where worker.id.slot > count {
      actions += update(worker.id) { $0.stop(killAt: now + $1.stopTimeout, $1, at: now) }
    }
    for worker in workers where worker.id.slot <= count && worker.hasFailed {
      actions += update(worker.id) { worker, _ in
        worker.state = .idle
        worker.crashes = 0
        return []
      }
    }
    scaling = Scaling(engine: name, from: present, to: count, operation: operation)
    return actions
  }

  private mutating func advanceScaling(at now: Instant) -> [Action] {
    guard let scaling, let serving, let index = generations[serving]?.index(of: scaling.engine),
      var engine = generations[serving]?.engines[index]
    else { return [] }
    engine.workers.removeAll { $0.id.slot > scaling.to && $0.isGone }
    for slot in 1..<(scaling.to + 1) where !engine.workers.contains(where: { $0.id.slot == slot }) {
      engine.workers.append(
        Worker(id: WorkerID(generation: serving, engine: scaling.engine, slot: slot, run: 0)))
    }
    var actions: [Action] = []
    for place in engine.workers.indices where engine.workers[place].state == .idle {
      actions += engine.workers[place].start(engine.plan, at: now)
    }
    generations[serving]?.engines[index] = engine
    if let failed = engine.workers.first(where: \.hasFailed), let fault = failed.lastFault {
      self.scaling = nil
      return actions + [.finish(scaling.operation, .refused(.worker(failed.id, fault), serving: serving))]
    }
    guard engine.workers.count == scaling.to, engine.workers.allSatisfy(\.isReady) else { return actions }
    self.scaling = nil
    return actions + [.finish(scaling.operation, .done(serving))]
  }
}
