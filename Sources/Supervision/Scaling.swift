package import Vocabulary

/// The serving generation gets more or fewer workers of an engine, until the next generation comes with its own number.
package struct Scaling: Hashable, Sendable {
  package let engine: EngineName
  package let from: Int
  package let to: Int
  package let operation: OperationID
}

extension Supervisor {
  /// Engines of the serving generation that somebody scaled: how many workers they are to have instead of what the
  /// settings say. What a change takes from them for its time does not count.
  package var scaledEngines: [EngineName: Int] {
    guard let serving, let generation = generations[serving] else { return [:] }
    var yielded: [WorkerID] = []
    if case .changing(let change) = phase { yielded = change.roll?.yielded ?? [] }
    var scaled: [EngineName: Int] = [:]
    for engine in generation.engines {
      let name = engine.plan.name
      let gone = yielded.count { $0.engine == name && worker($0)?.isWanted == false }
      let count = engine.phase == .started ? engine.wanted + gone : Set(engine.workers.map(\.id.slot)).count
      if count != engine.plan.workers { scaled[name] = count }
    }
    return scaled
  }

  mutating func scale(_ name: EngineName, to count: Int, _ operation: OperationID, at now: Instant) -> [Action] {
    switch phase {
    case .changing(let change): return [.finish(operation, .busy(change.operations.first))]
    case .new, .stopping, .ended: return [.finish(operation, .refused(.stopped, serving: serving))]
    case .steady: break
    }
    if let other = scaling?.operation ?? paused { return [.finish(operation, .busy(other))] }
    guard let serving, let index = generations[serving]?.index(of: name),
      let workers = generations[serving]?.engines[index].workers
    else { return [.finish(operation, .refused(.unknownEngine(name), serving: serving))] }
    let scaling = Scaling(
      engine: name, from: generations[serving]?.engines[index].wanted ?? 0, to: max(0, count), operation: operation)
    self.scaling = scaling
    var actions: [Action] = [.note(.engineScaled(name, from: scaling.from, to: scaling.to))]
    for worker in workers where worker.id.slot > scaling.to {
      actions += update(worker.id) { worker, plan in
        // Nobody is to follow it any more.
        if worker.part == .leaving { worker.part = .regular }
        return worker.stop(killAt: now + plan.stopTimeout, plan, at: now)
      }
    }
    for worker in workers where worker.id.slot <= scaling.to && worker.hasFailed {
      // Whoever scales wants to see it tried again.
      actions += update(worker.id) { worker, _ in
        worker.state = .idle
        worker.crashes = 0
        return []
      }
    }
    return actions
  }

  mutating func advanceScaling(at now: Instant) -> [Action] {
    guard let scaling, let serving, let index = generations[serving]?.index(of: scaling.engine),
      var engine = generations[serving]?.engines[index], !engine.isRecycling
    else { return [] }
    engine.workers.removeAll { $0.id.slot > scaling.to && $0.isGone }
    for slot in 1..<(scaling.to + 1) where !engine.workers.contains(where: { $0.id.slot == slot }) {
      engine.workers.append(Worker(id: WorkerID(generation: serving, engine: scaling.engine, slot: slot, run: 0)))
    }
    guard engine.phase != .standby else { return standByScaled(scaling, engine) }
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

  /// So many are started when its lease is here.
  private mutating func standByScaled(_ scaling: Scaling, _ engine: Engine) -> [Action] {
    guard engine.isGone, let serving, let index = generations[serving]?.index(of: engine.plan.name) else { return [] }
    generations[serving]?.engines[index] = engine
    self.scaling = nil
    return [.finish(scaling.operation, .done(serving))]
  }
}
