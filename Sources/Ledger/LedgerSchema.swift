internal import CSQLite

/// The tables of the ledger and how older files become newer ones.
enum LedgerSchema {
  /// "batn": what file(1) and another program's SQLite see. Source: sqlite.org/pragma.html#pragma_application_id
  static let applicationID: Int64 = 0x6261_746E

  /// Step n makes version n + 1 of version n. A step that has been released is never changed.
  static let migrations = [
    """
    CREATE TABLE events(
      id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, boot TEXT NOT NULL, monotonic INTEGER NOT NULL,
      kind TEXT NOT NULL, service TEXT NOT NULL, text TEXT, engine TEXT, worker TEXT, generation INTEGER, release TEXT,
      operation TEXT, "from" TEXT, "to" TEXT, reason TEXT, pid INTEGER
    ) STRICT;
    """,
    """
    CREATE TABLE operations(
      id TEXT PRIMARY KEY, service TEXT NOT NULL, act TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER,
      state TEXT NOT NULL, what TEXT, holds TEXT, next TEXT, generation INTEGER, release TEXT
    ) STRICT;
    CREATE INDEX operations_started ON operations(started);
    """,
  ]

  static let schema = Schema(applicationID: applicationID, steps: migrations)
  static var version: Int64 { schema.version }
}

/// The tables of a file of ours, and how older ones become newer ones.
package struct Schema {
  package let applicationID: Int64
  /// Step n makes version n + 1 of version n.
  package let steps: [String]

  package init(applicationID: Int64, steps: [String]) {
    self.applicationID = applicationID
    self.steps = steps
  }

  package var version: Int64 { Int64(steps.count) }

  /// What `migrate` refuses, apart from SQLite's own errors.
  package enum Refusal: Hashable {
    case newer(Int64)
    case foreign
    case corrupt(String)
  }

  /// Brings the file to ``version``, all steps in one transaction; nil when it is there.
  package func migrate(_ database: Database) throws(SQLiteError) -> Refusal? {
    let found = try database.integer("PRAGMA user_version")
    let application = try database.integer("PRAGMA application_id")
    let isEmpty = try database.integer("SELECT count(*) FROM sqlite_schema") == 0
    guard application == applicationID || (application == 0 && isEmpty) else { return .foreign }
    guard found <= version else { return .newer(found) }
    if !isEmpty, let damage = try database.text("PRAGMA quick_check(1)"), damage != "ok" { return .corrupt(damage) }
    guard found < version else { return nil }
    try database.transaction { () throws(SQLiteError) in
      for step in steps[Int(max(0, found))...] { try database.run(step) }
      try database.run("PRAGMA application_id = \(applicationID); PRAGMA user_version = \(version)")
    }
    return nil
  }
}
