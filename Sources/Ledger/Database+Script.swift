internal import CSQLite

/// For databases that are not baton's own: statements one by one, waits that can be ended, copies.
extension Database {
  /// Asked again and again while SQLite waits for a lock or works on; false ends the statement.
  package typealias Question = (_ isWaiting: Bool) -> Bool

  final class Patience {
    let ask: Question
    init(_ ask: @escaping Question) { self.ask = ask }
  }

  /// From now on `ask` decides how long locks are waited for and how long statements may work. It has to pause by itself
  /// while it is asked about a lock. Source: sqlite3_busy_handler(3), sqlite3_progress_handler(3).
  package func wait(while ask: @escaping Question) {
    let patience = Patience(ask)
    self.patience = patience
    let pointer = Unmanaged.passUnretained(patience).toOpaque()
    sqlite3_busy_handler(
      handle, { pointer, _ in Database.ask(pointer, true) ? 1 : 0 }, pointer)
    sqlite3_progress_handler(handle, 20_000, { pointer in Database.ask(pointer, false) ? 0 : 1 }, pointer)
  }

  private static func ask(_ pointer: UnsafeMutableRawPointer?, _ isWaiting: Bool) -> Bool {
    guard let pointer else { return false }
    return Unmanaged<Patience>.fromOpaque(pointer).takeUnretainedValue().ask(isWaiting)
  }

  package var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

  /// A failed statement of somebody else's.
  package struct StatementError: Error {
    package let error: SQLiteError
    /// Bytes from its beginning, where SQLite knows; it does not for errors of running it.
    package let offset: Int?
  }

  /// Runs the one statement in `sql` to its end; its rows are dropped.
  ///
  /// - Throws: also when SQLite sees more than one.
  package func runSingle(_ sql: String) throws(StatementError) {
    var statement: OpaquePointer?
    var rest: UnsafePointer<CChar>?
    var code: Int32 = SQLITE_OK
    let consumed = sql.withCString { text in
      code = sqlite3_prepare_v2(handle, text, -1, &statement, &rest)
      return rest.map { $0 - text } ?? 0
    }
    defer { sqlite3_finalize(statement) }
    if code != SQLITE_OK {
      let offset = Int(sqlite3_error_offset(handle))
      throw StatementError(error: Self.error(handle, code), offset: offset < 0 ? nil : offset)
    }
    guard sql.utf8.dropFirst(consumed).allSatisfy({ $0 == 0x20 || (0x09...0x0D).contains($0) }) else {
      let error = SQLiteError(code: SQLITE_MISUSE, message: "SQLite sees another statement here", errno: 0)
      throw StatementError(error: error, offset: consumed)
    }
    while true {
      code = sqlite3_step(statement)
      if code == SQLITE_DONE { return }
      if code != SQLITE_ROW { throw StatementError(error: Self.error(handle, code), offset: nil) }
    }
  }

  /// Copies all of this database over `target`, as it is at one moment, while others use it. Source: sqlite.org/backup.html
  ///
  /// With a write-ahead log others write on meanwhile. Without one they do too, and their writing makes the copy begin
  /// again; after three times they have to wait for the rest of it. `progress` hears of pages done and pages in all, and
  /// ends the copy with false.
  package func copy(to target: Database, progress: (Int, Int) -> Bool) throws(SQLiteError) {
    guard let backup = sqlite3_backup_init(target.handle, "main", handle, "main") else {
      throw Self.error(target.handle, sqlite3_errcode(target.handle))
    }
    // A reader's view of the log stays the same until it ends.
    let isLogged = try text("PRAGMA journal_mode") == "wal"
    if isLogged { try run("BEGIN; SELECT count(*) FROM sqlite_schema") }
    defer { if isLogged { try? run("COMMIT") } }
    var code = SQLITE_OK
    var restarts = 0
    var done = 0
    while code == SQLITE_OK || code == SQLITE_BUSY || code == SQLITE_LOCKED {
      code = sqlite3_backup_step(backup, restarts < 3 ? 1_024 : -1)
      let total = Int(sqlite3_backup_pagecount(backup))
      let now = total - Int(sqlite3_backup_remaining(backup))
      // As far as before, or less far: it has begun again.
      if code == SQLITE_OK, now <= done { restarts += 1 }
      done = now
      if code != SQLITE_DONE, !progress(done, total) {
        code = SQLITE_INTERRUPT
        break
      }
      // Whoever holds the lock is waited for like everybody else.
      if code == SQLITE_BUSY || code == SQLITE_LOCKED, patience?.ask(true) != true { break }
    }
    let last = sqlite3_backup_finish(backup)
    guard code == SQLITE_DONE else {
      throw last == SQLITE_OK ? SQLiteError(code: code, message: "", errno: 0) : Self.error(target.handle, last)
    }
  }
}
