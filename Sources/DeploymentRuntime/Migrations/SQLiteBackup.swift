import Databases
package import Deployment
import Glibc
import Ledger
import LinuxSystem
internal import Vocabulary

/// A copy of a SQLite database that others use meanwhile, by SQLite's own backup API: a copy of the file would tear, and
/// miss what is still in the write-ahead log.
package enum SQLiteBackup {
  /// Puts a copy of the database at `source` durably at `target`: complete, checked, mode 0600, without a log of its own.
  /// Nothing is there when it fails. What is at `target` already stays: it is from an earlier, better moment.
  package static func make(of source: String, at target: String, _ operation: Operation, timeout: Duration)
    throws(StepFailure)
  {
    do throws(SystemError) {
      if try FileFacts.ifPresent(target) != nil { return }
    } catch { throw StepFailure(.failed, error) }
    let files = DurableFiles(operation.effects, operation: operation.id)
    let temporary = TemporaryName.beside(target, operation.id)
    let patience = DatabasePatience(timeout, abort: operation.abort)
    do throws(DatabaseError) {
      try operation.effects.perform(.write, temporary) { () throws(DatabaseError) in
        do throws(DatabaseError) {
          try copy(source, to: temporary, patience, operation.audience)
        } catch {
          // On a full disk nothing half-written is left.
          for suffix in ["", "-journal", "-wal", "-shm"] { unlink(temporary + suffix) }
          throw error
        }
      }
    } catch {
      throw error.failure(
        "the database \(source) could not be copied to \(target)",
        next: error.code == "ENOSPC" ? "make room on the disk of \(target)" : nil)
    }
    do throws(SystemError) {
      try files.move(temporary, to: target)
    } catch { throw StepFailure(.failed, error) }
  }

  private static func copy(
    _ source: String, to temporary: String, _ patience: DatabasePatience, _ audience: any OperationAudience
  ) throws(DatabaseError) {
    let file: Descriptor
    do throws(SystemError) {
      unlink(temporary)
      file = try Descriptor.open(temporary, flags: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
    } catch { throw DatabaseError(error) }
    var outcome = DatabasePatience.Outcome.ready
    var verdict: String?
    do throws(SQLiteError) {
      let from = try Database(path: source, mustExist: true)
      from.wait { isWaiting in
        outcome = isWaiting ? patience.pause(.milliseconds(5)) : patience.look()
        return outcome == .ready
      }
      verdict = try copyAndCheck(from, temporary) { done, total in
        audience.progress(done: Int64(done), total: Int64(total), unit: "pages")
        outcome = patience.look()
        return outcome == .ready
      }
    } catch {
      throw DatabaseError(error, outcome)
    }
    guard verdict == "ok" else { throw DatabaseError(.statement, "the copy is damaged: \(verdict ?? "no answer")") }
    do throws(SystemError) {
      try retrying("sync", temporary) { fsync(file.raw) }
    } catch { throw DatabaseError(error) }
  }

  /// SQLite's verdict on the copy, which is closed then.
  private static func copyAndCheck(
    _ from: Database, _ temporary: String, _ progress: (Int, Int) -> Bool
  ) throws(SQLiteError) -> String? {
    let to = try Database(path: temporary, mustExist: true)
    try from.copy(to: to, progress: progress)
    // A file of its own, that needs no other beside it.
    try to.run("PRAGMA journal_mode = DELETE")
    return try to.text("PRAGMA quick_check(1)")
  }
}
