internal import Ledger

/// The tables of `deploys/ledger.db`. `records` has everything; the others are for questions in SQL.
enum DeployLedgerSchema {
  /// "batr": releases.
  static let schema = Schema(
    applicationID: 0x6261_7472,
    steps: [
      """
      CREATE TABLE records(
        operation TEXT NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY(operation, number)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE operations(
        id TEXT PRIMARY KEY, sequence INTEGER NOT NULL, kind TEXT NOT NULL, who TEXT NOT NULL, started INTEGER NOT NULL,
        ended INTEGER, outcome TEXT, release TEXT, previous TEXT, "commit" TEXT, what TEXT
      ) STRICT;
      CREATE INDEX operations_sequence ON operations(sequence);
      CREATE TABLE steps(
        operation TEXT NOT NULL, step TEXT NOT NULL, began INTEGER NOT NULL, ended INTEGER, state TEXT NOT NULL,
        what TEXT, PRIMARY KEY(operation, step)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE verdicts(
        operation TEXT NOT NULL, release TEXT NOT NULL, verdict TEXT NOT NULL, sequence INTEGER NOT NULL,
        PRIMARY KEY(operation, release)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX verdicts_sequence ON verdicts(sequence);
      CREATE VIEW releases AS
        SELECT release AS id, verdict, max(sequence) AS sequence FROM verdicts GROUP BY release;
      """
    ])

  /// Keeps the file bounded. An operation that never had the lock counts by its time.
  static let forget = """
    DELETE FROM operations WHERE id IN
      (SELECT id FROM operations ORDER BY started DESC LIMIT -1 OFFSET \(DeployLedger.operationsKept));
    DELETE FROM records WHERE operation NOT IN (SELECT id FROM operations);
    DELETE FROM steps WHERE operation NOT IN (SELECT id FROM operations);
    DELETE FROM verdicts WHERE sequence <
      (SELECT sequence FROM verdicts ORDER BY sequence DESC LIMIT 1 OFFSET \(DeployLedger.verdictsKept));
    """
}

extension Database {
  enum Value {
    case text(String?)
    case integer(Int64?)
  }

  /// One statement without rows.
  func change(_ sql: String, _ values: Value...) throws(SQLiteError) {
    let statement = try prepare(sql)
    for (index, value) in values.enumerated() {
      switch value {
      case .text(let text): try statement.bind(Int32(index + 1), text)
      case .integer(let number): try statement.bind(Int32(index + 1), number)
      }
    }
    _ = try statement.step()
  }

  /// The first column of the first row, or 0.
  func integer(_ sql: String, _ text: String) throws(SQLiteError) -> Int64 {
    let statement = try prepare(sql)
    try statement.bind(1, text)
    return try statement.step() ? statement.integer(0) ?? 0 : 0
  }
}
