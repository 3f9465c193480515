import Vocabulary

/// After a crash: listeners that came back with what waits in them. The generation that served starts on the one that
/// clients meet; as long as another holds connections, it is started once more on that one and takes over, so that every
/// queue is taken by a worker of it. An engine that never runs twice changes over to the other queue, once it has emptied
/// the one it has. Listeners that hold nothing are closed.
extension Supervisor {
  mutating func listenersRecovered(_ recovered: [SteeringGroup], last: UInt64) -> [Action] {
    guard case .changing(let change) = phase, change.kind == .first, change.step == .loading else { return [] }
    for group in recovered where groups[group.serving.key] == nil { groups[group.serving.key] = group }
    nextListener = max(nextListener, last + 1)
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
    let hopeless = unservedQueues.filter { prospect(of: $0, with: serving) == .none }
    let actions = giveUp(hopeless)
    guard hasQueuesToServe else { return actions }
    return actions + begin(.handover, [OperationID("recovery-\(nextGeneration)")], repeats: serving)
  }

  /// Something waits that can be served now.
  var hasQueuesToServe: Bool {
    guard let serving else { return false }
    return unservedQueues.contains { prospect(of: $0, with: serving) == .now }
  }

  private enum Prospect {
    case now
    /// Nobody of this address is at work: it was scaled to nothing, or its lease is not here.
    case later
    case none
  }

  private func prospect(of listener: ListenerID, with id: GenerationID) -> Prospect {
    guard let group = groups[listener.key], group.unserved.contains(listener), let generation = generations[id],
      let socket = generation.plan.sockets.first(where: { $0.key == listener.key }), group.kind == socket.steering
    else { return .none }
    let users = generation.engines.filter { $0.plan.sockets.contains(socket.name) }
    let rest = users.filter { $0.phase == .standby || $0.workers.isEmpty }
    return users.isEmpty || rest.count < users.count ? .now : .later
  }

  /// Nobody will take what waits there.
  private mutating func giveUp(_ listeners: Set<ListenerID>) -> [Action] {
    unservedQueues.subtract(listeners)
    let waiting = listeners.filter { groups[$0.key]?.unserved.contains($0) == true }.sorted()
    for listener in waiting { groups[listener.key]?.served(listener) }
    return waiting.isEmpty ? [] : waiting.map { .note(.queueGivenUp($0)) } + sweep()
  }

  /// What cannot be started again now waits for the next reload, but for engines that never run twice: those keep their
  /// listener then.
  mutating func concludeRepeat(_ verdict: Verdict) -> [Action] {
    if case .done = verdict {
      unservedQueues = unservedQueues.filter { groups[$0.key]?.unserved.contains($0) == true }
      return []
    }
    defer { unservedQueues = [] }
    return giveUp(unservedQueues.filter { isOfExclusive($0) })
  }

  private func isOfExclusive(_ listener: ListenerID) -> Bool {
    guard let plan = serving.flatMap({ generations[$0]?.plan }),
      let socket = plan.sockets.first(where: { $0.key == listener.key })
    else { return false }
    return plan.engines.contains { $0.sockets.contains(socket.name) && isExclusive($0.name, in: plan) }
  }
}
