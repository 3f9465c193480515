package import Vocabulary

/// What an operation is to do: decided when it is asked for, recorded before anything else, never changed.
package struct Intent: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    case deploy, rollback
    /// An in-place tree becomes a release.
    case adopt
  }

  package let operation: OperationID
  package let kind: Kind
  /// `--quick`: without backup and bake, nothing else.
  package var isQuick = false
  /// `--no-rollback`: preflight does not insist on a proven way back. A failure goes back all the same if it can.
  package var noRollback = false
  /// `--detach-bake`: the operation ends before the bake, and whoever recovers it bakes.
  package var detachesBake = false
  /// A `baton@` unit: no client meets a release before it is proved, and the supervisor knows which one it runs.
  package var isSteered = false
  /// `--to`; nil lets a rollback take the last good release.
  package var target: ReleaseID?
  /// Who asked, for the history.
  package var who = ""

  package init(operation: OperationID, kind: Kind) {
    self.operation = operation
    self.kind = kind
  }

  /// The steps of this operation, in their order.
  package var steps: [Step] {
    switch kind {
    case .deploy: Step.allCases.filter { !isQuick || ($0 != .backup && $0 != .bake) }
    case .rollback: [.preflight, .lock, .fetch, .verify, .activate, .healthCheck, .markGood]
    case .adopt: [.preflight, .lock, .backup, .fetch, .verify, .activate, .healthCheck, .markGood]
    }
  }
}
