internal import CSQLite
internal import Glibc
internal import LinuxSystem

/// A copy of a SQLite database that others write to meanwhile, by SQLite's own backup: one state of it, with all that its
/// write-ahead log holds. Source: sqlite.org/backup.html.
enum SQLiteCopy {
  private static let title = Array("SQLite format 3\u{0}".utf8)
  /// So long is waited for a writer that holds the database.
  private static let patience: Int32 = 10_000

  static func isDatabase(_ start: [UInt8]) -> Bool { start.starts(with: title) }

  /// What SQLite keeps beside a database: in a copy all of it is in the database itself.
  static let companions = ["-wal", "-shm", "-journal"]

  /// Writes a new file `target`. Reads without changing anything of the source; a writer is kept waiting only where the
  /// database has no write-ahead log.
  static func make(_ source: String, _ target: String) throws(ArchiveError) {
    var from: OpaquePointer?
    var to: OpaquePointer?
    defer {
      sqlite3_close(from)
      sqlite3_close(to)
    }
    try check(sqlite3_open_v2(source, &from, SQLITE_OPEN_READONLY, nil), from, source)
    sqlite3_busy_timeout(from, patience)
    try check(sqlite3_open_v2(target, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nil), to, target)
    // It is synced with the archive that it goes into.
    sqlite3_exec(to, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF", nil, nil, nil)
    guard let backup = sqlite3_backup_init(to, "main", from, "main") else {
      throw failure(sqlite3_errcode(to), to, source)
    }
    // All in one step: no writer comes in between, so that it need not begin again.
    let answer = sqlite3_backup_step(backup, -1)
    sqlite3_backup_finish(backup)
    guard answer == SQLITE_DONE else { throw failure(answer, from, source) }
  }

  private static func check(_ answer: Int32, _ database: OpaquePointer?, _ path: String) throws(ArchiveError) {
    if answer != SQLITE_OK { throw failure(answer, database, path) }
  }

  private static func failure(_ code: Int32, _ database: OpaquePointer?, _ path: String) -> ArchiveError {
    switch code & 0xff {
    case SQLITE_BUSY, SQLITE_LOCKED: return ArchiveError(path, .changing(path))
    case SQLITE_FULL: return ArchiveError(path, .system(SystemError("copy", path, errno: ENOSPC)))
    case SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_PERM:
      return ArchiveError(path, .system(SystemError("open the SQLite database", path, errno: EACCES)))
    default:
      let text = database.flatMap { sqlite3_errmsg($0) }.map { String(cString: $0) } ?? "SQLite error \(code)"
      return ArchiveError(path, .damaged("SQLite: \(text)"))
    }
  }
}
