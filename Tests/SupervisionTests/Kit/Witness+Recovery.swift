import Vocabulary

@testable import Supervision

extension Witness {
  /// What serves is started once more, and cannot run twice: clients wait where it will be.
  func waitsForSameAgain(_ listener: ListenerID, _ before: Supervisor, _ after: Supervisor) -> Bool {
    guard let change = before.change ?? after.change, change.operations.contains(where: repeats.contains),
      before.isSwapping || after.isSwapping || after.change == nil,
      let candidate = after.generations[change.candidate] ?? before.generations[change.candidate]
    else { return false }
    return candidate.engines.contains { engine in
      engine.plan.handover == .exclusive && engine.plan.sockets.contains { candidate.bindings[$0] == listener }
    }
  }
}

extension Supervisor {
  fileprivate var change: Change? {
    if case .changing(let change) = phase { return change }
    return nil
  }

  fileprivate var isSwapping: Bool {
    if case .swapping? = change?.step { return true }
    return false
  }
}
