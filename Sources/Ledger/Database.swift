internal import CSQLite
internal import LinuxSystem

/// SQLite's answer to a call that failed. Source: sqlite.org/rescode.html
package struct SQLiteError: Error, Hashable {
  /// Extended result code; its low byte is the primary one.
  package var code: Int32
  package var message: String
  /// errno of the system call behind it, or 0.
  package var errno: Int32

  package var primary: Int32 { code & 0xFF }

  package var detail: String {
    let name = sqlite3_errstr(code).map { String(cString: $0) } ?? "SQLite error \(code)"
    let cause = errno == 0 ? "" : " (\(ErrorNumber.name(errno)) \(ErrorNumber.text(errno)))"
    return (message == name || message.isEmpty ? name : "\(name): \(message)") + cause
  }
}

/// A connection to one database file. Belongs to one thread.
package final class Database {
  let handle: OpaquePointer
  /// Of ``wait(while:)``: libsqlite calls it.
  var patience: Patience?

  /// Opens, or makes, the file; to be read only, or with `mustExist`, it must be there.
  package init(path: String, readOnly: Bool = false, mustExist: Bool = false) throws(SQLiteError) {
    var handle: OpaquePointer?
    // A leading slash, so that no name is taken for a URI.
    let name = path.hasPrefix("/") || path == Self.memory ? path : "./" + path
    let create = mustExist ? 0 : SQLITE_OPEN_CREATE
    let access = readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | create
    let flags = access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    let code = sqlite3_open_v2(name, &handle, flags, nil)
    guard let handle else { throw SQLiteError(code: code, message: "", errno: 0) }
    guard code == SQLITE_OK else {
      // Even a connection that could not be opened holds memory.
      let error = Self.error(handle, code)
      sqlite3_close_v2(handle)
      throw error
    }
    guard readOnly || sqlite3_db_readonly(handle, "main") != 1 else {
      // Without the right to write SQLite opens for reading, and fails later in other words.
      let errno = sqlite3_system_errno(handle)
      sqlite3_close_v2(handle)
      throw SQLiteError(code: SQLITE_READONLY, message: "it can only be read", errno: errno)
    }
    self.handle = handle
    sqlite3_busy_timeout(handle, 500)
  }

  /// An empty one that is nowhere on the disk.
  package static func inMemory() throws(SQLiteError) -> Database { try Database(path: memory) }
  private static let memory = ":memory:"

  deinit { sqlite3_close_v2(handle) }

  /// The write-ahead log stays when the last connection closes, and the next one writes over it from its beginning: a
  /// commit then changes no file's size, and its sync waits for the data alone. Source: SQLITE_FCNTL_PERSIST_WAL.
  package func keepLog() {
    var on: Int32 = 1
    // One that will not do it removes its log, which is as right.
    _ = sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &on)
  }

  static func error(_ handle: OpaquePointer, _ code: Int32) -> SQLiteError {
    SQLiteError(
      code: code, message: sqlite3_errmsg(handle).map { String(cString: $0) } ?? "", errno: sqlite3_system_errno(handle)
    )
  }

  func check(_ code: Int32) throws(SQLiteError) {
    guard code == SQLITE_OK else { throw Self.error(handle, code) }
  }

  /// Runs statements that give no rows.
  package func run(_ sql: String) throws(SQLiteError) { try check(sqlite3_exec(handle, sql, nil, nil, nil)) }

  /// The first column of the first row, or 0.
  package func integer(_ sql: String) throws(SQLiteError) -> Int64 {
    let statement = try prepare(sql)
    return try statement.step() ? statement.integer(0) ?? 0 : 0
  }

  package func text(_ sql: String) throws(SQLiteError) -> String? {
    let statement = try prepare(sql)
    return try statement.step() ? statement.text(0) : nil
  }

  package func prepare(_ sql: String) throws(SQLiteError) -> Statement {
    var statement: OpaquePointer?
    try check(sqlite3_prepare_v2(handle, sql, -1, &statement, nil))
    guard let statement else { throw SQLiteError(code: SQLITE_MISUSE, message: "no statement in \(sql)", errno: 0) }
    return Statement(statement, of: self)
  }

  /// All of `body` or nothing of it.
  package func transaction(_ body: () throws(SQLiteError) -> Void) throws(SQLiteError) {
    try run("BEGIN IMMEDIATE")
    do throws(SQLiteError) {
      try body()
      try run("COMMIT")
    } catch {
      // SQLite has rolled back by itself after some errors; then this says so, which is no news.
      if sqlite3_get_autocommit(handle) == 0 { try? run("ROLLBACK") }
      throw error
    }
  }
}

/// A prepared statement; may be used again after ``reset()``.
package final class Statement {
  private let handle: OpaquePointer
  private let database: Database

  fileprivate init(_ handle: OpaquePointer, of database: Database) {
    self.handle = handle
    self.database = database
  }

  deinit { sqlite3_finalize(handle) }

  /// True when there is a row.
  package func step() throws(SQLiteError) -> Bool {
    let code = sqlite3_step(handle)
    if code == SQLITE_ROW { return true }
    if code == SQLITE_DONE { return false }
    try database.check(code)
    return false
  }

  package func reset() {
    // The code repeats the error of the last step, which has been thrown.
    _ = sqlite3_reset(handle)
  }

  // MARK: Parameters, from 1

  package func bind(_ index: Int32, _ text: String?) throws(SQLiteError) {
    guard var text else { return try database.check(sqlite3_bind_null(handle, index)) }
    let code = text.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { csqlite_bind_text(handle, index, $0.baseAddress, Int32($0.count)) }
    }
    try database.check(code)
  }

  package func bind(_ index: Int32, _ number: Int64?) throws(SQLiteError) {
    guard let number else { return try database.check(sqlite3_bind_null(handle, index)) }
    try database.check(sqlite3_bind_int64(handle, index, number))
  }

  // MARK: Columns, from 0

  package func integer(_ column: Int32) -> Int64? {
    sqlite3_column_type(handle, column) == SQLITE_NULL ? nil : sqlite3_column_int64(handle, column)
  }

  package func text(_ column: Int32) -> String? {
    guard let bytes = sqlite3_column_text(handle, column) else { return nil }
    let count = Int(sqlite3_column_bytes(handle, column))
    return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
  }
}

extension SQLiteError {
  /// The file is no database, or a damaged one.
  package var isDamage: Bool { primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB }
}
