import Databases
import Deployment
import LinuxSystem
import Vocabulary

/// Migrations of a PostgreSQL database.
///
/// Each file is one transaction with its row in `baton_migrations`; the row comes first, so that of two deploys at once
/// the second waits at its key and then finds it taken. A lock of the session (pg_advisory_lock) keeps the second from
/// even beginning, also while the server still works for a deploy that was killed.
final class PostgresMigrations: MigrationStore {
  let address: DatabaseAddress
  let context: MigrationContext
  private let url: String
  private(set) var connection: PostgresConnection
  /// With its schema, quoted; where it lies, or where it will.
  private(set) var table = ""
  private var hasTable = false

  /// `pg_advisory_lock` takes a number: "baton".
  static let lockKey = "422541815662"

  init(_ address: DatabaseAddress, url: String, _ context: MigrationContext) throws(DatabaseError) {
    self.address = address
    self.url = url
    self.context = context
    connection = try PostgresConnection(
      address, url: url, name: "baton \(context.service) \(context.operation)", context.patience.atMost(.seconds(30)))
    try prepareSession()
    try findTable()
  }

  @discardableResult
  func query(_ sql: String, _ parameters: [String?] = []) throws(DatabaseError) -> PostgresConnection.Answer {
    try connection.query(sql, parameters, context.patience)
  }

  func takeNotices() -> [String] { connection.takeNotices() }

  private func prepareSession() throws(DatabaseError) {
    guard connection.serverVersion >= 120_000 else {
      throw DatabaseError(.statement, "the server is older than PostgreSQL 12")
    }
    if try query("SELECT pg_is_in_recovery()").rows.first?.first == "t" {
      throw DatabaseError(.statement, "the server is a standby: it can only be read")
    }
    try resetSession()
  }

  /// What a file has set must not hold for the next one.
  private func resetSession() throws(DatabaseError) {
    try query("RESET SESSION AUTHORIZATION")
    try query("RESET ALL")
    try set("standard_conforming_strings", "on")
    try set("client_encoding", "UTF8")
    try set("lock_timeout", "\(max(1, context.lockTimeout.milliseconds))ms")
    try set("statement_timeout", "\(max(1, context.statementTimeout.milliseconds))ms")
    // A deploy that hangs in the middle must not hold its locks for ever.
    try set("idle_in_transaction_session_timeout", "60s")
    // The server notices within so long that a deploy was killed, and ends what it does for it.
    if connection.serverVersion >= 140_000 { try? set("client_connection_check_interval", "1s") }
  }

  func set(_ name: String, _ value: String) throws(DatabaseError) {
    try query("SELECT set_config($1, $2, false)", [name, value])
  }

  private func findTable() throws(DatabaseError) {
    let found =
      try query(
        """
        SELECT (SELECT quote_ident(n.nspname) || '.baton_migrations' FROM pg_class c JOIN pg_namespace n \
        ON n.oid = c.relnamespace WHERE c.oid = to_regclass('baton_migrations')), quote_ident(current_schema())
        """
      ).rows.first ?? []
    if let known = found.first ?? nil {
      table = known
      hasTable = true
    } else if let schema = found.last ?? nil {
      table = "\(schema).baton_migrations"
    } else {
      throw DatabaseError(.statement, "there is no schema to make tables in: search_path names none that exists")
    }
  }

  // MARK: Reading

  func applied() throws(DatabaseError) -> [AppliedMigration] {
    try findTable()
    guard hasTable else { return [] }
    return try query(
      """
      SELECT name, checksum, state, contract, "release", operation, \
      to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'), duration_ms \
      FROM \(table) WHERE service = $1 ORDER BY applied_at, name
      """, [context.service.rawValue]
    ).rows.map(AppliedMigration.init(row:))
  }

  /// Constraints that say of one column that it is not null.
  func knowledge() throws(DatabaseError) -> SchemaKnowledge {
    var knowledge = SchemaKnowledge()
    let rows = try query(
      """
      SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || r.relname, c.conname, a.attname, \
      c.convalidated FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n \
      ON n.oid = r.relnamespace JOIN pg_attribute a ON a.attrelid = r.oid AND ARRAY[a.attnum] = c.conkey \
      WHERE c.contype = 'c' AND pg_get_expr(c.conbin, c.conrelid) = '(' || quote_ident(a.attname) || ' IS NOT NULL)' \
      LIMIT 10000
      """
    ).rows
    for row in rows {
      guard row.count == 4, let table = row[0], let name = row[1], let column = row[2] else { continue }
      knowledge.noteNotNullCheck(name, of: table, column: column, isValidated: row[3] == "t")
    }
    return knowledge
  }

  // MARK: Before the first

  func lock() throws(DatabaseError) {
    try context.effects.perform(.lock, "the migrations of \(address)") { () throws(DatabaseError) in
      try takeLock()
    }
  }

  private func takeLock() throws(DatabaseError) {
    if try query("SELECT pg_try_advisory_lock(\(Self.lockKey))").rows.first?.first == "t" { return }
    let holder =
      try query(
        """
        SELECT a.application_name || ', server process ' || a.pid || ', since ' || to_char(a.backend_start, 'HH24:MI:SS') \
        FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted \
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
        AND (l.classid::bigint << 32) + l.objid::bigint = \(Self.lockKey)
        """
      ).rows.first?.first ?? nil
    context.audience.note("waiting for other migrations of \(address) (\(holder ?? "by a session that just ended"))")
    try set("lock_timeout", "0")
    try set("statement_timeout", "0")
    do throws(DatabaseError) {
      try query("SELECT pg_advisory_lock(\(Self.lockKey))")
    } catch {
      guard error.kind == .timedOut else { throw error }
      throw DatabaseError(.locked, "other migrations have not ended in time (\(holder ?? "unknown"))")
    }
    try resetSession()
  }

  func prepare(_ scripts: [MigrationScript]) throws(StepFailure) {
    guard !hasTable else { return }
    do throws(DatabaseError) {
      try context.effects.perform(.query, "make the table baton_migrations in \(address)") { () throws(DatabaseError) in
        try query(
          """
          CREATE TABLE IF NOT EXISTS \(table) (service text NOT NULL, name text NOT NULL, checksum text NOT NULL, \
          state text NOT NULL CHECK (state IN ('begun', 'done')), contract boolean NOT NULL, \
          "release" text NOT NULL, operation text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp(), \
          duration_ms bigint, PRIMARY KEY (service, name))
          """)
      }
      hasTable = true
    } catch { throw error.failure("the table \(table) cannot be made in \(address)") }
  }

  // MARK: Applying

  func apply(_ script: MigrationScript, after record: AppliedMigration?) throws(StepFailure) -> Bool {
    do throws(DatabaseError) {
      guard script.kind == .transactional else { return try applyAlone(script, after: record) }
      let isMine = try context.effects.perform(.query, "apply \(script.name) to \(address)", planned: true) {
        () throws(DatabaseError) in
        try begin(script)
      }
      guard isMine else { return false }
      return try context.effects.perform(.query, "commit \(script.name) in \(address)", planned: true) {
        () throws(DatabaseError) in
        try commit(script)
      }
    } catch {
      rollback()
      throw error.failure("\(script.name) was not applied to \(address)", next: Self.remedy(error))
    }
  }

  private static func remedy(_ error: DatabaseError) -> String? {
    error.kind == .statement ? "correct the file; nothing of it is in the database" : nil
  }

  /// All but the commit. False when the row is there already.
  private func begin(_ script: MigrationScript) throws(DatabaseError) -> Bool {
    let began = Instant.monotonicNow()
    try resetSession()
    try query("BEGIN")
    guard try claim(script, "done") else {
      try query("ROLLBACK")
      return false
    }
    try runStatements(script)
    guard connection.isInTransaction else {
      throw DatabaseError(.statement, "\(script.name) ended its own transaction: parts of it are in the database")
    }
    let duration = (Instant.monotonicNow() - began).milliseconds
    try query(
      "UPDATE \(table) SET duration_ms = $3, applied_at = clock_timestamp() WHERE service = $1 AND name = $2",
      [context.service.rawValue, script.name, "\(duration)"])
    return true
  }

  /// Takes the name. False when somebody has applied it.
  func claim(_ script: MigrationScript, _ state: String) throws(DatabaseError) -> Bool {
    let answer = try query(
      """
      INSERT INTO \(table) (service, name, checksum, state, contract, "release", operation) \
      VALUES ($1, $2, $3, $4, $5::boolean, $6, $7) ON CONFLICT DO NOTHING
      """,
      [
        context.service.rawValue, script.name, script.file.checksum, state,
        script.directives.isContract ? "true" : "false", context.release.text, context.operation.text,
      ])
    return answer.tag == "INSERT 0 1"
  }

  func runStatements(_ script: MigrationScript) throws(DatabaseError) {
    guard let statements = script.statements else { return }
    for statement in statements.list {
      do throws(DatabaseError) { try query(statements.text(of: statement)) } catch {
        throw error.placed(in: statement, of: script)
      }
      for notice in takeNotices() { context.audience.output(notice) }
    }
  }

  private func commit(_ script: MigrationScript) throws(DatabaseError) -> Bool {
    do throws(DatabaseError) {
      let tag = try query("COMMIT").tag
      guard tag == "COMMIT" else { throw DatabaseError(.statement, "the server answered \(tag) to COMMIT") }
    } catch {
      guard error.kind == .connection || error.kind == .timedOut || error.kind == .aborted else { throw error }
      // Asked, and no answer came: only the database knows.
      guard try wasApplied(script, after: error) else { throw error }
    }
    return true
  }

  /// Connects again and looks; waits for a server that starts again.
  private func wasApplied(_ script: MigrationScript, after error: DatabaseError) throws(DatabaseError) -> Bool {
    let patience = context.patience.atMost(.seconds(30))
    while true {
      do throws(DatabaseError) {
        connection = try PostgresConnection(address, url: url, name: "baton \(context.service)", patience)
        try prepareSession()
        try takeLock()
        return try applied().contains { $0.name == script.name && $0.operation == context.operation }
      } catch {
        guard error.kind == .connection else { throw error }
      }
      if patience.pause(.milliseconds(200)) != .ready {
        var unknown = error
        unknown.message =
          "whether \(script.name) was committed is not known before the database answers again: \(error.message)"
        throw unknown
      }
    }
  }

  private func rollback() {
    // Where the connection is gone, the server has done it.
    if connection.isInTransaction {
      _ = try? connection.query("ROLLBACK", [], DatabasePatience(.seconds(5), abort: nil))
    }
  }
}

extension AppliedMigration {
  /// Columns as ``MigrationStore/applied()`` asks for them.
  init(row: [String?]) {
    let text = { (column: Int) in column < row.count ? row[column] ?? "" : "" }
    self.init(
      name: text(0), checksum: text(1), state: State(rawValue: text(2)) ?? .done,
      isContract: text(3) == "t" || text(3) == "1", release: ReleaseID(text(4)), operation: OperationID(text(5)),
      appliedAt: text(6), duration: Int64(text(7)).map { .milliseconds($0) })
  }
}
