import Vocabulary

/// Exclusive engines: one after the other the old one ends and the new one starts; and back, if that goes wrong.
extension Supervisor {
  /// Exclusive is what either side calls so: a program that cannot bear another must not meet one of any generation.
  func isExclusive(_ name: EngineName, in plan: GenerationPlan) -> Bool {
    plan.engine(name)?.handover == .exclusive
      || generations.values.contains { $0.plan.engine(name)?.handover == .exclusive }
  }

  /// Whether a generation other than `id` has a process of this engine, or will have.
  func runs(_ name: EngineName, beside id: GenerationID) -> Bool {
    generations.values.contains { $0.id != id && $0.engine(name)?.isGone == false }
  }

  mutating func swapNext(_ change: Change, after last: EngineName?, at now: Instant) -> [Action] {
    let done = last.flatMap { change.exclusive.firstIndex(of: $0) }.map { $0 + 1 } ?? 0
    guard change.exclusive.indices.contains(done) else { return commit(change, at: now) }
    let next = change.exclusive[done]
    enter(change, .swapping(next, .endingOld))
    guard let serving, let index = generations[serving]?.index(of: next),
      let timeout = generations[serving]?.engines[index].plan.stopTimeout
    else { return [] }
    return generations[serving]?.stop(index, killBy: now + timeout, at: now) ?? []
  }

  mutating func advanceSwap(_ change: Change, _ name: EngineName, _ swap: Change.Swap, at now: Instant) -> [Action] {
    switch swap {
    case .endingOld:
      // A generation that still drains may run it as well.
      guard !runs(name, beside: change.candidate), let index = generations[change.candidate]?.index(of: name) else {
        return []
      }
      enter(change, .swapping(name, .startingNew))
      return startOrStandBy(change.candidate, index, at: now)
    case .startingNew:
      guard generations[change.candidate]?.engine(name)?.isReady == true else { return [] }
      enter(change, .swapping(name, .provingNew))
      return ask([name], of: change.candidate)
    case .provingNew:
      switch proof(of: [name], in: change.candidate) {
      case .open: return []
      case .failed(let engine, let text): return abort(.disproved(engine, text), at: now)
      case .passed: return swapNext(change, after: name, at: now)
      }
    }
  }

  /// Each engine that was ended for the candidate starts again once nobody else runs it.
  mutating func advanceRestoring(_ change: Change, _ refusal: Refusal, at now: Instant) -> [Action] {
    guard let serving, let engines = generations[serving]?.engines else {
      return conclude(change, .refused(refusal, serving: nil))
    }
    let returning = callBack(change, at: now)
    var actions = returning ?? []
    var isWaiting = returning != nil
    for index in engines.indices where engines[index].phase == .ending {
      if engines[index].isGone && !runs(engines[index].plan.name, beside: serving) {
        actions += startOrStandBy(serving, index, at: now)
      } else {
        isWaiting = true
      }
    }
    return isWaiting ? actions : actions + conclude(change, .refused(refusal, serving: serving))
  }
}
