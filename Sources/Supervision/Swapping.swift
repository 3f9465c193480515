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
    let left = listenersToLeave(change, next)
    return left.isEmpty ? endOld(change, next, at: now) : leave(left, change, next, at: now)
  }

  private mutating func endOld(_ change: Change, _ next: EngineName, at now: Instant) -> [Action] {
    enter(change, .swapping(next, .endingOld))
    guard let serving, let index = generations[serving]?.index(of: next),
      let timeout = generations[serving]?.engines[index].plan.stopTimeout
    else { return [] }
    return generations[serving]?.stop(index, killBy: now + timeout, at: now) ?? []
  }

  mutating func advanceSwap(_ change: Change, _ name: EngineName, _ swap: Change.Swap, at now: Instant) -> [Action] {
    switch swap {
    case .quietingOld(let left, _):
      let old = serving.flatMap { generations[$0]?.engine(name) }
      // Where it does not work any more, nobody will take what is left.
      let isAtWork = old?.phase == .started && old?.isGone == false
      return left.isEmpty || !isAtWork ? endOld(change, name, at: now) : []
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

  // MARK: For what waits in another listener

  /// Those it has and will not have.
  private func listenersToLeave(_ change: Change, _ name: EngineName) -> Set<ListenerID> {
    guard change.isRepeat, let old = serving.flatMap({ generations[$0] }), let new = generations[change.candidate],
      let sockets = new.plan.engine(name)?.sockets
    else { return [] }
    return Set(
      sockets.compactMap { socket in
        guard let was = old.bindings[socket], let next = new.bindings[socket], was != next,
          groups[was.key]?.members.contains(was) == true
        else { return nil }
        return was
      })
  }

  /// It cannot run on both at once, so clients wait at once where it will be; it was proved when it came to serve.
  private mutating func leave(
    _ left: Set<ListenerID>, _ change: Change, _ name: EngineName, at now: Instant
  ) -> [Action] {
    let most = serving.flatMap { generations[$0]?.plan.maxDrainTime } ?? .zero
    enter(change, .swapping(name, .quietingOld(left, until: now + most)))
    var actions: [Action] = []
    for listener in left.sorted() {
      guard let next = generations[change.candidate]?.listener(at: listener.key) else { continue }
      actions += self.actions(groups[listener.key]?.steer(.everyone(next)) ?? [], of: listener.key)
    }
    return actions + left.sorted().map { .watchQuiet($0) }
  }

  mutating func oldIsQuiet(_ listener: ListenerID, unfinished: Int, at now: Instant) -> [Action] {
    // Whoever is at work there takes it yet.
    if unfinished > 0, case .changing(let change) = phase,
      case .swapping(_, .quietingOld(let left, let until)) = change.step,
      left.contains(listener), now < until
    {
      return [.watchQuiet(listener)]
    }
    oldIsQuiet(listener)
    return []
  }

  mutating func oldIsQuiet(_ listener: ListenerID) {
    guard case .changing(let change) = phase, case .swapping(let name, .quietingOld(var left, let until)) = change.step,
      left.remove(listener) != nil
    else { return }
    enter(change, .swapping(name, .quietingOld(left, until: until)))
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
