package import Deployment
import Settings
package import Vocabulary

/// Whether the database has gone on too far for a release to go back to.
package enum MigrationGate {
  package enum Answer: Hashable, Sendable {
    case open
    /// Why it cannot be gone back to.
    case closed(String)
    /// The database could not be asked.
    case unknown(StepFailure)
  }

  /// For each of `releases`, in their order. Asks the database once, and only reads.
  package static func look(at releases: [ReleaseID], _ operation: Operation) -> [ReleaseID: Answer] {
    guard let settings = operation.deploy.migrate, case .files(let directory) = settings.source else {
      return Dictionary(releases.map { ($0, .open) }) { first, _ in first }
    }
    let applied: [AppliedMigration]
    do throws(StepFailure) {
      applied = try MigrationRun.applied(operation, settings)
    } catch { return Dictionary(releases.map { ($0, .unknown(error)) }) { first, _ in first } }
    return Dictionary(
      releases.map { release in
        let target = MigrationRun.migrations(of: release, in: operation.layout, directory)
        return (release, MigrationWindow.refusal(of: target, applied: applied).map { .closed($0) } ?? .open)
      }
    ) { first, _ in first }
  }
}
