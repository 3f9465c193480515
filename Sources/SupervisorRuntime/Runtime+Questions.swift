import LinuxSystem
import Settings
import Supervision
import Vocabulary

extension Runtime {
  func ask(_ action: Action) {
    switch action {
    case .askReadiness(let id): questions.askReadiness(id, engine(of: id), generations[id.generation])
    case .askLiveness(let id): questions.askLiveness(id, engine(of: id), generations[id.generation])
    case .askPending(let id): questions.askPending(id, engine(of: id), generations[id.generation])
    case .measure(let id):
      let plan = core.generations[id.generation]?.engine(id.engine)?.plan
      if let limit = plan?.recycling?.memory { workers.measure(id, limit: limit) }
    case .save(let id): questions.save(id, engine(of: id), generations[id.generation])
    case .prove(let id, let name, let number): prove(id, name, number: number)
    case .checkTrial(let id, let round):
      guard let generation = generations[id], let trial = generation.settings.handover.trial else { return }
      questions.check(generation, trial, round: round, serving: core.serving)
    default: break
    }
  }

  /// One question through the public address. Where the kernel could not be told whom it asks, another generation would
  /// answer.
  func prove(_ id: GenerationID, _ name: EngineName, number: Int) {
    guard let prove = generations[id]?.engine(name)?.prove,
      let listener = core.generations[id]?.bindings[prove.socket]
    else { return }
    guard let owed = listeners.owed[listener.key] else {
      return questions.prove(id, name, number: number, prove, through: listener)
    }
    loop.deferred { [unowned self] in
      send(.proofAnswered(id, name, number: number, failure: "the kernel cannot be told whom it asks: \(owed.why)"))
    }
  }
}
