package import Vocabulary

/// What comes from, and of, single workers.
extension Supervisor {
  package func worker(_ id: WorkerID) -> Worker? {
    guard let engine = generations[id.generation]?.engine(id.engine), let place = engine.place(of: id) else {
      return nil
    }
    return engine.workers[place]
  }

  /// Applies `change` to the worker if that very run is still in its place; late news changes nothing.
  mutating func update(_ id: WorkerID, _ change: (inout Worker, EnginePlan) -> [Action]) -> [Action] {
    guard let index = generations[id.generation]?.index(of: id.engine),
      let place = generations[id.generation]?.engines[index].place(of: id)
    else { return [] }
    return generations[id.generation]?.update(index, place, change) ?? []
  }

  // MARK: Events

  mutating func spawnFailed(_ id: WorkerID, _ text: String, at now: Instant) -> [Action] {
    let wasWanted = isWantedAndWell(id)
    var actions = update(id) { worker, plan in worker.spawnFailed(text, plan, at: now) }
    guard worker(id)?.isRunning == false else { return [] }
    // First the consequences for its generation: nothing of a candidate that is given up is tried again.
    if wasWanted { actions += failed(id, .spawn(text), at: now) }
    return actions + emptied(id, at: now)
  }

  mutating func exited(_ id: WorkerID, _ reason: ExitReason, at now: Instant) -> [Action] {
    let wasWanted = isWantedAndWell(id)
    let actions = update(id) { worker, plan in worker.exited(reason, plan, at: now) }
    return wasWanted ? actions + failed(id, .exited(reason), at: now) : actions
  }

  mutating func livenessAnswered(_ id: WorkerID, _ isAlive: Bool, at now: Instant) -> [Action] {
    var fault: WorkerFault?
    let actions = update(id) { worker, plan in
      fault = worker.livenessAnswered(isAlive, plan, at: now)
      return fault.map { worker.fail($0, plan, at: now) } ?? []
    }
    return fault.map { actions + failed(id, $0, at: now) } ?? actions
  }

  mutating func emptied(_ id: WorkerID, at now: Instant) -> [Action] {
    var random = random
    defer { self.random = random }
    let mayRestart = !isStopping && generations[id.generation]?.mayRestart == true && !isRecycled(id)
    return update(id) { worker, plan in
      worker.settle(plan, mayRestart: mayRestart, at: now, random: &random)
    }
  }

  /// While a successor starts nobody else is started in its place.
  private func isRecycled(_ id: WorkerID) -> Bool {
    let engine = generations[id.generation]?.engine(id.engine)
    return engine?.workers.contains { $0.part == .successor && $0.id.slot == id.slot } == true
  }

  private func isWantedAndWell(_ id: WorkerID) -> Bool {
    worker(id).map { $0.isWanted && $0.fault == nil && $0.isRunning } ?? false
  }

  /// A worker that should run does not. In a candidate that is the end of the candidate.
  private mutating func failed(_ id: WorkerID, _ fault: WorkerFault, at now: Instant) -> [Action] {
    guard case .changing(let change) = phase, change.candidate == id.generation else { return [] }
    return abort(.worker(id, fault), at: now)
  }

  // MARK: Time

  mutating func tick(at now: Instant) -> [Action] {
    // First, so that the end of a drain is told as such and not as that of its workers' patience, which it bounds.
    let cuts = isStopping ? [] : cutOverdue(at: now)
    let due = generations.keys.sorted().flatMap { generations[$0]?.workers(dueAt: now) ?? [] }
    return cuts + due.flatMap { timeIsUp($0, at: now) }
  }

  /// Looks anew: what was due may have changed by what an earlier one led to.
  private mutating func timeIsUp(_ id: WorkerID, at now: Instant) -> [Action] {
    guard let worker = worker(id), let deadline = worker.deadline, deadline <= now else { return [] }
    switch worker.state {
    case .idle, .failed, .clearing: return []
    case .waiting: return update(id) { worker, plan in worker.start(plan, at: now) }
    case .stopping(let stopping): return stopTimeIsUp(id, stopping, at: now)
    case .starting(_, let readyAt, _):
      if let readyAt, readyAt <= now { return update(id) { worker, plan in worker.becameReady(plan, at: now) } }
      return giveUp(id, at: now) { plan in .notReady(within: plan.startTimeout) }
    case .ready:
      if let liveBy = worker.liveBy, liveBy <= now { return lifeIsDue(id, at: now) }
      return update(id) { worker, plan in worker.recycleTimeIsUp(plan, at: now) }
    }
  }

  private mutating func stopTimeIsUp(_ id: WorkerID, _ stopping: Worker.Stopping, at now: Instant) -> [Action] {
    let actions = update(id) { worker, plan in worker.stopTimeIsUp(plan, at: now) }
    switch stopping.step {
    case .finishing, .saving: if worker(id)?.isRunning == false { noteCut(id) }
    case .leaving, .dumping: break
    }
    return actions
  }

  private mutating func lifeIsDue(_ id: WorkerID, at now: Instant) -> [Action] {
    switch generations[id.generation]?.engine(id.engine)?.plan.liveness {
    case nil: return []
    case .told(let every): return giveUp(id, at: now) { _ in .hangs("no WATCHDOG=1 for \(every.text)") }
    case .asked(let every, _):
      return update(id) { worker, _ in
        // Until the answer comes; the question has a limit of its own.
        worker.liveBy = now + every
        return [.askLiveness(id)]
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
}
