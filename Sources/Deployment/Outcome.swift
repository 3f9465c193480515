/// How an operation ended.
package enum Outcome: String, Hashable, Sendable, CaseIterable {
  /// The new release serves and is marked good.
  case good
  /// The new release serves and passed its health check; the bake is still to come, and then its verdict.
  case baking
  /// Nothing was begun.
  case refused
  /// Somebody else has what is needed. The old state holds.
  case busy
  /// It failed, and the old state holds: what was begun is undone.
  case failed
  /// A person asked for the end. The old state holds.
  case aborted
  /// Not even the way back could be gone: a person is needed. Recovery tries again.
  case stuck

  /// As the table in baton(1) has it.
  package var exitStatus: Int32 {
    switch self {
    case .good, .baking: 0
    case .refused, .failed, .aborted: 1
    case .stuck: 2
    case .busy: 75
    }
  }

  /// Nothing of the operation is left to be done, by nobody.
  package var isFinal: Bool {
    switch self {
    case .good, .refused, .busy, .failed, .aborted: true
    case .baking, .stuck: false
    }
  }
}
