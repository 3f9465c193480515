import Vocabulary

/// After a crash: listeners that came back with what waits in them. The generation that served starts on the one that
/// clients meet; as long as another holds connections, it is started once more on that one and takes over, so that every
/// queue is taken by a worker of it. Listeners that hold nothing are closed.
extension Supervisor {
  mutating func listenersRecovered(_ recovered: [SteeringGroup]) -> [Action] {
    guard case .changing(let change) = phase, change.kind == .first, change.step == .loading else { return [] }
    for group in recovered where groups[group.serving.key] == nil {
      groups[group.serving.key] = group
      nextListener = max(nextListener, (group.members.map(\.number).max() ?? 0) + 1)
    }
    return []
  }

  /// Once something serves it is asked which of the others hold anything.
  func watchRecovered(_ change: Change) -> [Action] {
    guard change.kind == .first else { return [] }
    return groups.values.flatMap(\.unserved).sorted().map { .watchQuiet($0) }
  }

  mutating func recoveredIsQuiet(_ listener: ListenerID, unfinished: Int) -> [Action] {
    guard groups[listener.key]?.unserved.contains(listener) == true else { return [] }
    guard unfinished == 0 else {
      unservedQueues.insert(listener)
      return []
    }
    unservedQueues.remove(listener)
    groups[listener.key]?.served(listener)
    return isStopping ? [] : sweep()
  }

  /// Another round for what waits, before anything else is begun.
  mutating func serveQueues() -> [Action] {
    guard scaling == nil, paused == nil, let serving, !unservedQueues.isEmpty else { return [] }
    var actions: [Action] = []
    for listener in unservedQueues.sorted() where !canBeServed(listener, by: serving) {
      unservedQueues.remove(listener)
      guard groups[listener.key]?.unserved.contains(listener) == true else { continue }
      groups[listener.key]?.served(listener)
      actions.append(.note(.queueGivenUp(listener)))
    }
    if !actions.isEmpty { actions += sweep() }
    guard !unservedQueues.isEmpty else { return actions }
    return actions + begin(.handover, [OperationID("recovery-\(nextGeneration)")], repeats: serving)
  }

  private func canBeServed(_ listener: ListenerID, by id: GenerationID) -> Bool {
    guard let group = groups[listener.key], group.unserved.contains(listener), let plan = generations[id]?.plan,
      let socket = plan.sockets.first(where: { $0.key == listener.key }), group.kind == socket.steering
    else { return false }
    return !plan.engines.contains { $0.sockets.contains(socket.name) && isExclusive($0.name, in: plan) }
  }

  /// What cannot be started again now waits for the next reload.
  mutating func concludeRepeat(_ verdict: Verdict) {
    if case .done = verdict {
      unservedQueues = unservedQueues.filter { groups[$0.key]?.unserved.contains($0) == true }
    } else {
      unservedQueues = []
    }
  }
}
