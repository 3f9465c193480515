internal import CSQLite
internal import Glibc
internal import Vocabulary

/// The open database file. Belongs to the ledger's thread; every call may wait for the disk.
final class LedgerStore {
  let path: String
  private let database: Database
  private let place: FilePlace

  /// The newest records that are kept.
  static let eventsKept = 10_000
  static let operationsKept = 1_000

  init(path: String) throws(LedgerError) {
    self.path = path
    let (database, refusal) = try Self.mapped(path) { () throws(SQLiteError) in
      let database = try Database(path: path)
      // Exclusive: the index of the log is then in this process's memory and not in a mapped file, so that no full disk
      // or vanished file can end the process by SIGBUS. Whoever wants to read asks batond.
      try database.run("PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -128; PRAGMA trusted_schema = OFF")
      try database.run("PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 1048576; PRAGMA cell_size_check = ON")
      return (database, try LedgerSchema.schema.migrate(database))
    }
    if let refusal { throw Self.error(refusal, path) }
    self.database = database
    place = FilePlace(path)
  }

  var isInPlace: Bool { place.isUnchanged }

  // MARK: Writing

  /// All of them in one transaction. With an operation among them they are on the disk when this returns; events alone
  /// survive this process, and a power cut may take the last ones.
  func write(_ items: [LedgerItem]) throws(LedgerError) {
    let isDurable = items.contains { if case .operation = $0 { true } else { false } }
    try Self.mapped(path) { () throws(SQLiteError) in
      try database.run("PRAGMA synchronous = \(isDurable ? "FULL" : "NORMAL")")
      try database.transaction { () throws(SQLiteError) in
        let event = try database.prepare(Self.insertEvent)
        let operation = try database.prepare(Self.insertOperation)
        for item in items {
          switch item {
          case .event(let record): try insert(record, event)
          case .operation(let record): try insert(record, operation)
          }
        }
        try forgetOld()
      }
    }
  }

  private static let insertEvent = """
    INSERT INTO events(time, boot, monotonic, kind, service, text, engine, worker, generation, release, operation,
      "from", "to", reason, pid) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    """

  private static let insertOperation = """
    INSERT OR REPLACE INTO operations(id, service, act, started, ended, state, what, holds, next, generation, release)
      VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    """

  private func insert(_ record: EventRecord, _ statement: Statement) throws(SQLiteError) {
    statement.reset()
    try statement.bind(1, record.time)
    try statement.bind(2, record.boot)
    try statement.bind(3, record.monotonic.nanoseconds)
    try statement.bind(4, record.kind)
    try statement.bind(5, record.service.rawValue)
    try statement.bind(6, record.text)
    try statement.bind(7, record.engine?.rawValue)
    try statement.bind(8, record.worker)
    try statement.bind(9, record.generation.map { Int64(bitPattern: $0.number) })
    try statement.bind(10, record.release?.text)
    try statement.bind(11, record.operation?.text)
    try statement.bind(12, record.from)
    try statement.bind(13, record.to)
    try statement.bind(14, record.reason)
    try statement.bind(15, record.pid.map { Int64($0) })
    _ = try statement.step()
  }

  private func insert(_ record: OperationRecord, _ statement: Statement) throws(SQLiteError) {
    statement.reset()
    try statement.bind(1, record.id.text)
    try statement.bind(2, record.service.rawValue)
    try statement.bind(3, record.act)
    try statement.bind(4, record.started)
    try statement.bind(5, record.ended)
    try statement.bind(6, record.state)
    try statement.bind(7, record.what)
    try statement.bind(8, record.holds)
    try statement.bind(9, record.next)
    try statement.bind(10, record.generation.map { Int64(bitPattern: $0.number) })
    try statement.bind(11, record.release?.text)
    _ = try statement.step()
  }

  private func forgetOld() throws(SQLiteError) {
    try database.run("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - \(Self.eventsKept)")
    try database.run(
      """
      DELETE FROM operations WHERE started <
        (SELECT started FROM operations ORDER BY started DESC LIMIT 1 OFFSET \(Self.operationsKept - 1))
      """)
  }

  /// After a burst: SQLite's cache and what malloc kept go back, so that an idle supervisor stays small.
  func giveMemoryBack() {
    // What cannot be given back stays; there is nothing to do about it.
    try? database.run("PRAGMA shrink_memory")
    csqlite_give_memory_back()
  }

  /// Moves the log into the file and empties it.
  func checkpoint() throws(LedgerError) {
    try Self.mapped(path) { () throws(SQLiteError) in try database.run("PRAGMA wal_checkpoint(TRUNCATE)") }
  }

  // MARK: Reading

  /// The newest `limit`, oldest first. Rows that make no sense are left out.
  func events(limit: Int) throws(LedgerError) -> [EventRecord] {
    var records: [EventRecord] = []
    try Self.mapped(path) { () throws(SQLiteError) in
      let statement = try database.prepare(
        """
        SELECT time, boot, monotonic, kind, service, text, engine, worker, generation, release, operation, "from", "to",
          reason, pid FROM events ORDER BY id DESC LIMIT ?
        """)
      try statement.bind(1, Int64(limit))
      while try statement.step() { if let record = EventRecord(row: statement) { records.append(record) } }
    }
    return records.reversed()
  }

  /// The newest `limit`, oldest first.
  func operations(limit: Int) throws(LedgerError) -> [OperationRecord] {
    var records: [OperationRecord] = []
    try Self.mapped(path) { () throws(SQLiteError) in
      let statement = try database.prepare(
        """
        SELECT id, service, act, started, ended, state, what, holds, next, generation, release FROM operations
          ORDER BY started DESC, id DESC LIMIT ?
        """)
      try statement.bind(1, Int64(limit))
      while try statement.step() { if let record = OperationRecord(row: statement) { records.append(record) } }
    }
    return records.reversed()
  }

  // MARK: Errors

  private static func mapped<Value>(
    _ path: String, _ body: () throws(SQLiteError) -> Value
  ) throws(LedgerError) -> Value {
    do throws(SQLiteError) {
      return try body()
    } catch {
      throw Self.error(error, path)
    }
  }

  private static func error(_ refusal: Schema.Refusal, _ path: String) -> LedgerError {
    switch refusal {
    case .newer(let version):
      LedgerError(
        .newer, path: path, detail: "it has version \(version), and this batond knows up to \(LedgerSchema.version)")
    case .foreign: LedgerError(.foreign, path: path, detail: "it has tables of another program")
    case .corrupt(let damage): LedgerError(.corrupt, path: path, detail: damage)
    }
  }

  private static func error(_ error: SQLiteError, _ path: String) -> LedgerError {
    LedgerError(kind(error), path: path, detail: error.detail)
  }

  private static func kind(_ error: SQLiteError) -> LedgerError.Kind {
    switch error.errno {
    case ENOSPC, EDQUOT: return .full
    case EROFS: return .readOnly
    default: break
    }
    switch error.primary {
    case SQLITE_FULL: return .full
    case SQLITE_READONLY: return .readOnly
    case SQLITE_CORRUPT, SQLITE_NOTADB: return .corrupt
    case SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_AUTH: return .noAccess
    case SQLITE_BUSY, SQLITE_LOCKED: return .locked
    default: return .broken
    }
  }
}

extension EventRecord {
  fileprivate init?(row: Statement) {
    guard let time = row.integer(0), let boot = row.text(1), let monotonic = row.integer(2), let kind = row.text(3),
      let service = row.text(4).flatMap({ ServiceName(rawValue: $0) })
    else { return nil }
    self.init(
      time: time, boot: boot, monotonic: Instant(nanoseconds: monotonic), kind: kind, service: service,
      text: row.text(5), engine: row.text(6).flatMap { EngineName(rawValue: $0) }, worker: row.text(7),
      generation: row.integer(8).map { GenerationID(UInt64(bitPattern: $0)) },
      release: row.text(9).map { ReleaseID($0) },
      operation: row.text(10).map { OperationID($0) }, from: row.text(11), to: row.text(12), reason: row.text(13),
      pid: row.integer(14).flatMap { Int32(exactly: $0) })
  }
}

extension OperationRecord {
  fileprivate init?(row: Statement) {
    guard let id = row.text(0), let service = row.text(1).flatMap({ ServiceName(rawValue: $0) }), let act = row.text(2),
      let started = row.integer(3), let state = row.text(5)
    else { return nil }
    self.init(
      id: OperationID(id), service: service, act: act, started: started, ended: row.integer(4), state: state,
      what: row.text(6), holds: row.text(7), next: row.text(8),
      generation: row.integer(9).map { GenerationID(UInt64(bitPattern: $0)) },
      release: row.text(10).map { ReleaseID($0) })
  }
}
