import Vocabulary

@testable import Supervision

extension Event {
  /// The process that this comes from.
  var worker: WorkerID? {
    switch self {
    case .spawned(let id), .spawnFailed(let id, _), .ready(let id), .showedLife(let id), .livenessAnswered(let id, _),
      .exited(let id, _), .emptied(let id), .nothingPending(let id), .saved(let id),
      .measured(let id, _), .served(let id, _):
      id
    default: nil
    }
  }
}
