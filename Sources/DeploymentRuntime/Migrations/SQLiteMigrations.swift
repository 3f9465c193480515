import Databases
import Deployment
import Glibc
import Ledger
import LinuxSystem
import Vocabulary

/// Migrations of a SQLite database. `BEGIN IMMEDIATE` is the lock: of two deploys at once the second waits for it, and
/// then finds the row of each file that the first has applied.
final class SQLiteMigrations: MigrationStore {
  let path: String
  private let context: MigrationContext
  private let operation: Operation
  private let database: Database
  private var outcome = DatabasePatience.Outcome.ready
  private var patience: DatabasePatience

  init(path: String, _ context: MigrationContext, _ operation: Operation, readOnly: Bool) throws(DatabaseError) {
    self.path = path
    self.context = context
    self.operation = operation
    patience = context.patience
    do throws(SQLiteError) {
      // What is not there yet is empty.
      let isMissing = readOnly && access(path, F_OK) != 0
      database = try isMissing ? Database.inMemory() : Database(path: path, readOnly: readOnly)
    } catch { throw Self.opening(path, error) }
    database.wait { [unowned self] isWaiting in
      outcome = isWaiting ? patience.pause(.milliseconds(5)) : patience.look()
      return outcome == .ready
    }
    do throws(SQLiteError) {
      _ = try database.integer("SELECT count(*) FROM sqlite_schema")
      if !readOnly { try database.run("PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF") }
    } catch { throw Self.opening(path, error) }
  }

  private static func opening(_ path: String, _ error: SQLiteError) -> DatabaseError {
    var error = DatabaseError(error, .ready)
    error.hint =
      "the deploy user must be able to write the file, its directory, and the -wal and -shm files the service makes: "
      + "one group for both, directory mode 2770, database mode 660"
    return error
  }

  func takeNotices() -> [String] { [] }

  private func run(_ sql: String) throws(DatabaseError) {
    do throws(SQLiteError) { try database.run(sql) } catch { throw DatabaseError(error, outcome) }
  }

  // MARK: Reading

  func applied() throws(DatabaseError) -> [AppliedMigration] {
    do throws(SQLiteError) {
      guard try database.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'baton_migrations'") > 0 else {
        return []
      }
      let statement = try database.prepare(
        """
        SELECT name, checksum, state, contract, "release", operation, applied_at, duration_ms FROM baton_migrations \
        WHERE service = ? ORDER BY applied_at, name
        """)
      try statement.bind(1, context.service.rawValue)
      var found: [AppliedMigration] = []
      while try statement.step() { found.append(AppliedMigration(row: (0..<8).map { statement.text($0) })) }
      return found
    } catch { throw DatabaseError(error, outcome) }
  }

  func knowledge() -> SchemaKnowledge { SchemaKnowledge() }

  /// Each transaction takes it.
  func lock() {}

  // MARK: Before the first

  func prepare(_ scripts: [MigrationScript]) throws(StepFailure) {
    // A new, empty one is not worth a copy.
    if try hasTables() { try copyAside() }
    do throws(DatabaseError) {
      try context.effects.perform(.query, "make the table baton_migrations in \(path)") { () throws(DatabaseError) in
        patience = context.patience.atMost(context.lockTimeout)
        try run(
          """
          CREATE TABLE IF NOT EXISTS baton_migrations (service TEXT NOT NULL, name TEXT NOT NULL, checksum TEXT NOT NULL, \
          state TEXT NOT NULL CHECK (state IN ('begun', 'done')), contract INTEGER NOT NULL, "release" TEXT NOT NULL, \
          operation TEXT NOT NULL, applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%SZ', 'now')), \
          duration_ms INTEGER, PRIMARY KEY (service, name))
          """)
      }
    } catch { throw error.failure("the table baton_migrations cannot be made in \(path)") }
  }

  private func hasTables() throws(StepFailure) -> Bool {
    do throws(SQLiteError) {
      return try database.integer("SELECT count(*) FROM sqlite_schema") > 0
    } catch { throw DatabaseError(error, outcome).failure("the database \(path) cannot be read") }
  }

  private func copyAside() throws(StepFailure) {
    let name = path.split(separator: "/").last.map(String.init) ?? "database"
    let backups = operation.layout.backups
    let target = "\(backups)/\(operation.id)-\(name)"
    context.audience.note("copying \(path) to \(target) before it is changed")
    do throws(SystemError) {
      try DurableFiles(operation.effects, operation: operation.id).makeDirectories(backups, mode: 0o700)
    } catch { throw StepFailure(.failed, error) }
    try SQLiteBackup.make(of: path, at: target, operation, timeout: context.patience.left)
  }

  // MARK: Applying

  func apply(_ script: MigrationScript, after record: AppliedMigration?) throws(StepFailure) -> Bool {
    do throws(DatabaseError) {
      guard script.kind == .transactional else { return try applyAlone(script, after: record) }
      let isMine = try context.effects.perform(.query, "apply \(script.name) to \(path)", planned: true) {
        () throws(DatabaseError) in
        try begin(script)
      }
      guard isMine else { return false }
      try context.effects.perform(.query, "commit \(script.name) in \(path)") { () throws(DatabaseError) in
        patience = context.patience.atMost(context.lockTimeout)
        try run("COMMIT")
      }
      return true
    } catch {
      if database.isInTransaction { try? database.run("ROLLBACK") }
      throw error.failure(
        "\(script.name) was not applied to \(path)",
        next: error.kind == .statement ? "correct the file; nothing of it is in the database" : nil)
    }
  }

  private func begin(_ script: MigrationScript) throws(DatabaseError) -> Bool {
    let began = Instant.monotonicNow()
    let wasBroken = try violation() != nil
    patience = context.patience.atMost(context.lockTimeout)
    try run("BEGIN IMMEDIATE")
    guard try claim(script, "done") else {
      try run("ROLLBACK")
      return false
    }
    try runStatements(script)
    guard database.isInTransaction else {
      throw DatabaseError(.statement, "\(script.name) ended its own transaction: parts of it are in the database")
    }
    if !wasBroken, let violation = try violation() {
      throw DatabaseError(.statement, "after \(script.name) \(violation)")
    }
    patience = context.patience
    let duration = (Instant.monotonicNow() - began).milliseconds
    try change("UPDATE baton_migrations SET duration_ms = ? WHERE service = ? AND name = ?") {
      (row) throws(SQLiteError) in
      try row.bind(1, duration)
      try row.bind(2, context.service.rawValue)
      try row.bind(3, script.name)
    }
    return true
  }

  private func runStatements(_ script: MigrationScript) throws(DatabaseError) {
    guard let statements = script.statements else { return }
    for statement in statements.list {
      patience = context.patience.atMost(context.statementTimeout)
      do throws(Database.StatementError) {
        try database.runSingle(statements.text(of: statement))
      } catch {
        var found = DatabaseError(error.error, outcome)
        found.offset = error.offset
        throw found.placed(in: statement, of: script)
      }
    }
  }

  /// A row that refers to one that is not there. Statements run with foreign keys off, as making a table anew needs it.
  private func violation() throws(DatabaseError) -> String? {
    patience = context.patience
    do throws(SQLiteError) {
      let statement = try database.prepare("PRAGMA foreign_key_check")
      guard try statement.step() else { return nil }
      let (table, parent) = (statement.text(0) ?? "?", statement.text(2) ?? "?")
      return "a row of \(table) refers to one that is not in \(parent)"
    } catch { throw DatabaseError(error, outcome) }
  }

  /// VACUUM: it does no harm twice.
  private func applyAlone(_ script: MigrationScript, after record: AppliedMigration?) throws(DatabaseError) -> Bool {
    let isMine = try context.effects.perform(.query, "record the beginning of \(script.name) in \(path)", planned: true)
    {
      () throws(DatabaseError) in
      try claim(script, "begun") || record != nil
    }
    guard isMine else { return false }
    try context.effects.perform(.query, "run \(script.name) in \(path)") { () throws(DatabaseError) in
      try runStatements(script)
    }
    try context.effects.perform(.query, "record the end of \(script.name) in \(path)") { () throws(DatabaseError) in
      try change("UPDATE baton_migrations SET state = 'done', checksum = ? WHERE service = ? AND name = ?") {
        (row) throws(SQLiteError) in
        try row.bind(1, script.file.checksum)
        try row.bind(2, context.service.rawValue)
        try row.bind(3, script.name)
      }
    }
    return true
  }

  /// False when somebody has applied it.
  private func claim(_ script: MigrationScript, _ state: String) throws(DatabaseError) -> Bool {
    do throws(SQLiteError) {
      let known = try database.prepare("SELECT 1 FROM baton_migrations WHERE service = ? AND name = ?")
      try known.bind(1, context.service.rawValue)
      try known.bind(2, script.name)
      if try known.step() { return false }
    } catch { throw DatabaseError(error, outcome) }
    try change(
      """
      INSERT INTO baton_migrations (service, name, checksum, state, contract, "release", operation) \
      VALUES (?, ?, ?, ?, ?, ?, ?)
      """
    ) { (row) throws(SQLiteError) in
      try row.bind(1, context.service.rawValue)
      try row.bind(2, script.name)
      try row.bind(3, script.file.checksum)
      try row.bind(4, state)
      try row.bind(5, script.directives.isContract ? 1 : 0)
      try row.bind(6, context.release.text)
      try row.bind(7, context.operation.text)
    }
    return true
  }

  private func change(_ sql: String, _ bind: (Statement) throws(SQLiteError) -> Void) throws(DatabaseError) {
    do throws(SQLiteError) {
      let statement = try database.prepare(sql)
      try bind(statement)
      _ = try statement.step()
    } catch { throw DatabaseError(error, outcome) }
  }
}

extension DatabaseError {
  init(_ error: SQLiteError, _ outcome: DatabasePatience.Outcome) {
    let kind: Kind =
      switch (error.primary, outcome) {
      case (5, .aborted), (6, .aborted), (9, .aborted): .aborted
      case (5, _), (6, _): .locked
      case (9, _): .timedOut
      default: .statement
      }
    self.init(kind, error.detail)
    // SQLITE_FULL says no errno of its own.
    if error.primary == 13 { code = "ENOSPC" }
  }

  init(_ error: SystemError) {
    self.init(.statement, error.description)
    code = error.name
  }
}
