package import Vocabulary

/// What an operation has found out and decided so far. Recorded with every step, so that whoever recovers it knows as
/// much as the one who was killed.
package struct OperationFacts: Hashable, Sendable {
  /// The release this operation makes, or goes back to.
  package var release: ReleaseID?
  /// What `current` named when the operation began; nil at a first deploy.
  package var previous: ReleaseID?
  /// The full commit of `release`.
  package var commit: String?
  /// The archive this operation made, by the name it has in `backups/`.
  package var backup: String?
  /// Migrations this operation applied, in their order.
  package var migrations: [String] = []
  /// The generation of the supervisor that runs `release`.
  package var generation: GenerationID?
  /// Clients may have met `release`.
  package var isExposed = false
  /// The place of this operation among all of the service, from 1: given under the lock, so that "last" never depends on
  /// a clock. 0 before.
  package var sequence: Int64 = 0

  package init() {}
}
