/// Whether a release can run on the schema as it is now.
///
/// Expanding steps leave every earlier release its schema. A contract takes something away: only a release that brings the
/// same contract was made for both sides of it.
package enum MigrationWindow {
  /// The contracts among `applied` that `target` does not know, in the order of their names: empty means that it can run.
  package static func crossed(by target: ReleaseMigrations, applied: [AppliedMigration]) -> [AppliedMigration] {
    applied.filter { record in
      record.isContract && record.release != target.release && !(target.names?.contains(record.name) ?? false)
    }.sorted { MigrationName($0.name) < MigrationName($1.name) }
  }

  /// Why `target` cannot be gone back to; nil when it can.
  package static func refusal(of target: ReleaseMigrations, applied: [AppliedMigration]) -> String? {
    let crossed = crossed(by: target, applied: applied)
    guard let first = crossed.first else { return nil }
    let names = crossed.map(\.name).joined(separator: ", ")
    let what =
      target.names == nil
      ? "which migrations release \(target.release) brings cannot be seen, and since a contract was applied"
      : "release \(target.release) was made for a schema that is gone: since then a contract was applied"
    return "\(what) (\(names), by release \(first.release), \(first.appliedAt))"
  }
}
