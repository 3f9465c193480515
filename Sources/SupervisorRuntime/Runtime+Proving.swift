import LinuxSystem
import Settings
import Supervision
import Vocabulary

extension Runtime {
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
