import LinuxSystem
import Supervision
import Vocabulary

/// A generation's settings: read for it, and put in its place.
extension Runtime {
  /// Reads settings and environment on a thread of its own: the loop waits for no disk and no name service.
  func load(_ operation: OperationID, as id: GenerationID) {
    let path = wiring.settingsPath
    lastChange = nil
    if let generation = takeCarried(as: id) { return loaded(generation, [], operation) }
    let reply = loop.reply { [unowned self] (settings: LoadedSettings) in
      switch settings {
      case .loaded(let generation, let warnings): loaded(generation, warnings, operation)
      case .refused(let text): send(.settingsRefused(operation, text))
      case .releaseRefused(let text): send(.releaseRefused(operation, text))
      }
    }
    LoadedSettings.read(path, as: id, release: operations.release(of: operation), reply: reply)
  }

  func loaded(
    _ generation: ResolvedGeneration, _ warnings: [String], _ operation: OperationID, again: Bool = false
  ) {
    if let refusal = leases.refusal(of: generation.settings) { return send(.settingsRefused(operation, refusal)) }
    generations[generation.id] = generation
    generationChanged(generation)
    settingsWarnings =
      again
      ? warnings
      : warnings + generation.weaknesses + workers.weaknesses(of: generation.settings)
        + [Self.watchdogWeakness(generation.settings, watchdog: manager.watchdogTime)].compactMap { $0 }
    recoverListeners(for: generation)
    send(.settingsLoaded(operation, generation.plan))
  }
}
