import Vocabulary

/// What a generation that drains came up against (`[handover]`).
package enum DrainBound: Hashable, Sendable {
  /// `max-drain-time`: the shortest that was in force since it began to.
  case time(Duration)
  /// `max-draining`: another one began to, and this was the one to go.
  case count(Int)
}

/// Generations that end while another serves.
extension Supervisor {
  /// `id` takes nothing new: it waits for its listeners to be quiet, then its workers end, then its listeners go.
  /// One that no client has met waits for nothing.
  mutating func drain(_ id: GenerationID, hasMetClients: Bool, at now: Instant) -> [Action] {
    guard let generation = generations[id] else { return [] }
    // Only a listener that clients are steered away from becomes quiet; one that goes with its socket is just closed.
    let unquiet = Set(
      generation.bindings.values.filter { listener in
        guard hasMetClients, let group = groups[listener.key], group.members.contains(listener) else { return false }
        return !group.rule.listeners.contains(listener)
      })
    let most = drainTime ?? generation.plan.maxDrainTime
    generations[id]?.role = .draining(
      Generation.Draining(
        since: now, cutAt: now + most, unquiet: unquiet,
        hasServed: generation.role == .serving))
    return [.note(.generationDraining(id))] + unquiet.sorted().map { .watchQuiet($0) } + boundDraining(at: now)
  }

  /// As the settings in force have it.
  private var drainTime: Duration? { serving.flatMap { generations[$0]?.plan.maxDrainTime } }

  /// No more generations drain than the settings in force allow, and none for longer: one that no client waits for is cut,
  /// else the oldest.
  private mutating func boundDraining(at now: Instant) -> [Action] {
    for id in generations.keys {
      guard let most = drainTime, var draining = generations[id]?.draining else { continue }
      draining.cutAt = min(draining.cutAt, draining.since + most)
      generations[id]?.role = .draining(draining)
    }
    let draining = generations.values.filter { $0.draining?.isCut == false }.sorted { $0.id < $1.id }
    let limit = max(1, serving.flatMap { generations[$0]?.plan.maxDraining } ?? 1)
    let isLoss = { (generation: Generation) in generation.hasServed || generation.draining?.unquiet.isEmpty == false }
    let order = draining.filter { !isLoss($0) } + draining.filter(isLoss)
    return order.prefix(max(0, order.count - limit)).flatMap { cut($0.id, by: .count(limit), at: now) }
  }

  private mutating func cut(_ id: GenerationID, by bound: DrainBound, at now: Instant) -> [Action] {
    guard var draining = generations[id]?.draining, !draining.isCut else { return [] }
    let wasQuiet = draining.unquiet.isEmpty
    draining.isCut = true
    draining.unquiet = []
    generations[id]?.role = .draining(draining)
    guard let cut = generations[id]?.cut(Set(Stage.allCases), at: now) else { return [] }
    return (cut.cut.isEmpty && wasQuiet ? [] : [.note(.drainCut(id, bound))]) + cut.actions
  }

  mutating func quiet(_ listener: ListenerID, unfinished: Int, at now: Instant) -> [Action] {
    let wasAwaited = forgetUnquiet(listener)
    quietAtIntake(listener)
    let notes: [Action] = wasAwaited ? [.note(.listenerRetired(listener, unfinished: unfinished))] : []
    let again = oldIsQuiet(listener, unfinished: unfinished, at: now)
    return notes + again + recoveredIsQuiet(listener, unfinished: unfinished)
  }

  @discardableResult
  mutating func forgetUnquiet(_ listener: ListenerID) -> Bool {
    var wasAwaited = false
    for id in generations.keys {
      guard var draining = generations[id]?.draining, draining.unquiet.remove(listener) != nil else { continue }
      generations[id]?.role = .draining(draining)
      wasAwaited = true
    }
    return wasAwaited
  }

  /// Those that have drained for as long as they may.
  mutating func cutOverdue(at now: Instant) -> [Action] {
    generations.keys.sorted().flatMap { (id) -> [Action] in
      guard let draining = generations[id]?.draining, draining.cutAt <= now else { return [] }
      return cut(id, by: .time(draining.cutAt - draining.since), at: now)
    }
  }

  mutating func advanceDraining(at now: Instant) -> [Action] {
    var actions = cutOverdue(at: now)
    for id in generations.keys.sorted() {
      guard let draining = generations[id]?.draining else { continue }
      if draining.cutAt > now, draining.unquiet.isEmpty {
        generations[id]?.cancelRestarts()
        actions += generations[id]?.stopNext(of: Set(Stage.allCases), killBy: draining.cutAt, at: now) ?? []
      }
      // Even with nobody left to take it, what a listener holds is counted before it goes.
      if generations[id]?.isGone == true, generations[id]?.draining?.unquiet.isEmpty == true { actions += end(id) }
    }
    return actions
  }

  /// Nothing of it runs any more: its listeners leave their groups.
  private mutating func end(_ id: GenerationID) -> [Action] {
    generations[id] = nil
    return sweep() + [.note(.generationEnded(id)), .forget(id)]
  }
}
