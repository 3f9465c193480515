import Vocabulary

extension Supervisor {
  /// `id` takes nothing new: it waits for its listeners to be quiet, then its workers end, then its listeners go.
  mutating func drain(_ id: GenerationID, at now: Instant) -> [Action] {
    guard var generation = generations[id] else { return [] }
    // Only a listener that clients are steered away from becomes quiet; one that goes with its socket is just closed.
    let unquiet = Set(
      generation.bindings.values.filter { listener in
        guard let group = groups[listener.key], group.members.contains(listener) else { return false }
        return !group.rule.listeners.contains(listener)
      })
    generation.role = .draining(
      Generation.Draining(since: now, cutAt: now + generation.plan.maxDrainTime, unquiet: unquiet))
    generations[id] = generation
    return [.note(.generationDraining(id))] + unquiet.sorted().map { .watchQuiet($0) } + boundDraining(at: now)
  }

  /// No more generations drain than the settings allow: the oldest is cut.
  private mutating func boundDraining(at now: Instant) -> [Action] {
    let draining = generations.values.filter { $0.draining?.isCut == false }.sorted { $0.id < $1.id }
    let limit = max(1, serving.flatMap { generations[$0]?.plan.maxDraining } ?? 1)
    return draining.count > limit ? draining.prefix(draining.count - limit).flatMap { cut($0.id, at: now) } : []
  }

  private mutating func cut(_ id: GenerationID, at now: Instant) -> [Action] {
    guard var generation = generations[id], var draining = generation.draining, !draining.isCut else { return [] }
    draining.isCut = true
    draining.unquiet = []
    generation.role = .draining(draining)
    let cut = generation.cut(Set(Stage.allCases), at: now)
    generations[id] = generation
    return (cut.cut.isEmpty ? [] : [.note(.drainCut(id))]) + cut.actions
  }

  mutating func quiet(_ listener: ListenerID, unfinished: Int) -> [Action] {
    var actions: [Action] = []
    for id in generations.keys.sorted() {
      guard var draining = generations[id]?.draining, draining.unquiet.remove(listener) != nil else { continue }
      generations[id]?.role = .draining(draining)
      actions.append(.note(.listenerRetired(listener, unfinished: unfinished)))
    }
    return actions + quietAtIntake(listener)
  }

  mutating func advanceDraining(at now: Instant) -> [Action] {
    var actions: [Action] = []
    for id in generations.keys.sorted() {
      guard var generation = generations[id], let draining = generation.draining else { continue }
      if generation.isGone {
        actions += end(id)
        continue
      }
      if draining.cutAt <= now, !draining.isCut {
        actions += cut(id, at: now)
        continue
      }
      guard draining.unquiet.isEmpty else { continue }
      actions += generation.stopNext(of: Set(Stage.allCases), killBy: draining.cutAt, at: now)
      generations[id] = generation
    }
    return actions
  }

  /// Nothing of it runs any more: its listeners leave their groups.
  private mutating func end(_ id: GenerationID) -> [Action] {
    guard let generation = generations.removeValue(forKey: id) else { return [] }
    let stillBound = Set(generations.values.flatMap { $0.bindings.values })
    var actions: [Action] = []
    for listener in Set(generation.bindings.values).subtracting(stillBound).sorted() {
      actions += retire(listener)
    }
    return actions + [.note(.generationEnded(id)), .forget(id)]
  }

  /// Listeners of addresses that no generation knows any more.
  mutating func closeUnbound() -> [Action] {
    let bound = Set(generations.values.flatMap { $0.bindings.values.map(\.key) })
    var actions: [Action] = []
    for key in groups.keys.sorted() where !bound.contains(key) {
      actions += (groups.removeValue(forKey: key)?.members ?? []).map { .close($0) }
    }
    return actions
  }

  private mutating func retire(_ listener: ListenerID) -> [Action] {
    guard var group = groups[listener.key] else { return [] }
    guard !group.rule.listeners.contains(listener) else {
      // The socket itself is gone from the settings: all of its listeners go.
      groups[listener.key] = nil
      return group.members.map { .close($0) }
    }
    let steps = group.retire(listener, spare: ListenerID(key: listener.key, number: nextListener))
    if steps.contains(where: { if case .join = $0 { true } else { false } }) { nextListener += 1 }
    groups[listener.key] = group
    return actions(steps, of: listener.key)
  }
}
