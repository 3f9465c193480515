import Databases
import Deployment
import LinuxSystem
import Vocabulary

/// Statements that cannot run in a transaction: the beginning is recorded before, the end after, so that a crash in the
/// middle is seen and named.
extension PostgresMigrations {
  func applyAlone(_ script: MigrationScript, after record: AppliedMigration?) throws(DatabaseError) -> Bool {
    try refuseLeftover(script)
    if let record, record.checksum == script.file.checksum, try isDone(script) {
      context.audience.note("\(script.name) had been done when it was cut off; only its record was missing")
      try recordEnd(script, duration: nil)
      return true
    }
    let isMine = try context.effects.perform(
      .query, "record the beginning of \(script.name) in \(address)", planned: true
    ) {
      () throws(DatabaseError) in
      try recordBeginning(script, isAgain: record != nil)
    }
    guard isMine else { return false }
    let began = Instant.monotonicNow()
    try context.effects.perform(.query, "run \(script.name) in \(address)") { () throws(DatabaseError) in
      // It waits for others, but nobody waits for it: only the whole time is limited.
      try set("lock_timeout", "0")
      try set("statement_timeout", "\(max(1, context.patience.left.milliseconds))ms")
      do throws(DatabaseError) { try runStatements(script) } catch { throw explained(error, script) }
    }
    try refuseLeftover(script)
    try recordEnd(script, duration: Instant.monotonicNow() - began)
    return true
  }

  private func recordBeginning(_ script: MigrationScript, isAgain: Bool) throws(DatabaseError) -> Bool {
    if try claim(script, "begun") { return true }
    guard isAgain else { return false }
    let answer = try query(
      """
      UPDATE \(table) SET checksum = $3, "release" = $4, operation = $5, applied_at = clock_timestamp() \
      WHERE service = $1 AND name = $2 AND state = 'begun'
      """,
      [context.service.rawValue, script.name, script.file.checksum, context.release.text, context.operation.text])
    return answer.tag == "UPDATE 1"
  }

  private func recordEnd(_ script: MigrationScript, duration: Duration?) throws(DatabaseError) {
    try context.effects.perform(.query, "record the end of \(script.name) in \(address)") { () throws(DatabaseError) in
      try query(
        """
        UPDATE \(table) SET state = 'done', applied_at = clock_timestamp(), duration_ms = $3 \
        WHERE service = $1 AND name = $2
        """, [context.service.rawValue, script.name, duration.map { "\($0.milliseconds)" }])
    }
  }

  /// True when what was cut off had come to its end.
  private func isDone(_ script: MigrationScript) throws(DatabaseError) -> Bool {
    switch script.kind {
    case .createsIndex(let name?, let table?):
      return try indexes(of: table, named: name).contains { $0.isValid }
    case .dropsIndex(let names):
      for name in names where try query("SELECT to_regclass($1)", [Self.quoted(name)]).rows.first?.first != .some(nil) {
        return false
      }
      return true
    case .createsIndex, .maintenance, .transactional: return false
    }
  }

  /// An index that was left behind unfinished stands in the way, and `IF NOT EXISTS` would take it for the real one.
  private func refuseLeftover(_ script: MigrationScript) throws(DatabaseError) {
    if let leftover = try leftover(script) { throw Self.leftoverError(leftover) }
  }

  private func leftover(_ script: MigrationScript) throws(DatabaseError) -> String? {
    guard case .createsIndex(let name?, let table?) = script.kind else { return nil }
    return try indexes(of: table, named: name).first { !$0.isValid }?.shown
  }

  private static func leftoverError(_ name: String) -> DatabaseError {
    var error = DatabaseError(.statement, "an earlier try left the index \(name) behind, INVALID")
    error.hint = "remove it with: DROP INDEX CONCURRENTLY \(name); then deploy again"
    return error
  }

  private func explained(_ error: DatabaseError, _ script: MigrationScript) -> DatabaseError {
    guard error.kind != .connection, let found = try? leftover(script) else { return error }
    var explained = error
    explained.hint = "it left the index \(found) behind, INVALID: DROP INDEX CONCURRENTLY \(found); then deploy again"
    return explained
  }

  private struct Index {
    let shown: String
    let isValid: Bool
  }

  /// Not one that is being built at this moment.
  private func indexes(of table: String, named name: String) throws(DatabaseError) -> [Index] {
    let last = name.split(separator: ".").last.map(String.init) ?? name
    return try query(
      """
      SELECT c.oid::regclass::text, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
      WHERE i.indrelid = to_regclass($1) AND c.relname = $2 \
      AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)
      """, [Self.quoted(table), last]
    ).rows.map { Index(shown: ($0[0] ?? name), isValid: $0[1] == "t") }
  }

  /// As names are written in SQL, each part in quotes.
  private static func quoted(_ name: String) -> String {
    name.split(separator: ".").map { "\"\($0.replacing("\"", with: "\"\""))\"" }.joined(separator: ".")
  }
}
