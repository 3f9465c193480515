package import Deployment
internal import Glibc
internal import JSON
internal import Ledger
package import LinuxSystem
package import Vocabulary

/// At most one operation of a service acts at a time. The lock is the kernel's (flock(2)): it goes with the process that
/// holds it, whatever end that takes, and the file stays for ever, so that two never hold two files of one name.
package final class OperationLock {
  /// Who holds it, as written by themselves. Only what people are told.
  package struct Holder: Hashable, Sendable, CustomStringConvertible {
    package var operation: OperationID
    /// `deploy`, `rollback`, `recover`, `prune`, …
    package var act: String
    package var who: String
    package var pid: Int32
    /// Microseconds since 1970.
    package var since: Int64
    package var boot: String

    package var description: String {
      let seconds = max(0, (RealTime.microseconds() - since) / 1_000_000)
      return "\(act) \(operation) of \(who.isEmpty ? "nobody known" : who) (pid \(pid)), for \(seconds) s"
    }
  }

  package let path: String
  private let file: Descriptor

  private init(path: String, file: Descriptor) {
    self.path = path
    self.file = file
  }

  /// Somebody who only looks whether it is held has it for an instant.
  private static let looking: Duration = .milliseconds(100)

  /// Takes the lock, or waits for it: `patience` at most, and not after `abort` is readable.
  ///
  /// - Throws: `busy`, with the holder; `aborted`; `failed` when the file cannot be had.
  package static func acquire(
    _ layout: Layout, _ act: String, _ operation: OperationID, who: String, patience: Duration = .zero,
    abort: Descriptor? = nil, effects: Effects
  ) throws(StepFailure) -> OperationLock {
    let deadline = Instant.monotonicNow() + max(patience, looking)
    do throws(SystemError) {
      return try effects.perform(
        .lock, layout.lock, planned: OperationLock(path: layout.lock, file: Descriptor(owning: -1)),
        { () throws(SystemError) in
          let lock = OperationLock(
            path: layout.lock,
            file: try Descriptor.open(layout.lock, flags: O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o640))
          try lock.take(until: deadline, abort)
          lock.write(
            Holder(
              operation: operation, act: act, who: who, pid: getpid(), since: RealTime.microseconds(),
              boot: Ledger.bootID()))
          return lock
        })
    } catch {
      switch error.errno {
      case EWOULDBLOCK:
        let holder = holder(layout).map { "\($0)" } ?? "somebody who did not leave a name"
        throw StepFailure(
          .busy, "the lock \(layout.lock) is held by \(holder)", next: "try again later, or wait with --wait DURATION")
      case ECANCELED: throw StepFailure(.aborted, "asked to end while waiting for the lock")
      default: throw StepFailure(.failed, error)
      }
    }
  }

  private func take(until deadline: Instant, _ abort: Descriptor?) throws(SystemError) {
    while true {
      if flock(file.raw, LOCK_EX | LOCK_NB) == 0 { return }
      let number = errno
      guard number == EWOULDBLOCK || number == EINTR else { throw SystemError("lock", path, errno: number) }
      let left = deadline - Instant.monotonicNow()
      if left <= .zero { throw SystemError("lock", path, errno: EWOULDBLOCK) }
      // The kernel tells nobody that a flock is free but those who sleep in it without a deadline.
      var poller = pollfd(fd: abort?.raw ?? -1, events: Int16(POLLIN), revents: 0)
      if poll(&poller, 1, Int32(clamping: min(left.milliseconds + 1, 20))) > 0 {
        throw SystemError("lock", path, errno: ECANCELED)
      }
    }
  }

  /// Best effort: a lock without a name is a lock all the same.
  private func write(_ holder: Holder) {
    var members: JSON.Members = ["operation": holder.operation.json, "act": .string(holder.act)]
    members.append("who", holder.who)
    members.append("pid", Int64(holder.pid))
    members.append("since", holder.since)
    members.append("boot", holder.boot)
    let bytes = Array((JSON.object(members).text + "\n").utf8)
    _ = ftruncate(file.raw, 0)
    _ = pwrite(file.raw, bytes, bytes.count, 0)
  }

  /// Free from here on, also where a process that is just being started has the file open too. The file stays.
  package func release() {
    _ = flock(file.raw, LOCK_UN)
    file.close()
  }

  deinit { _ = flock(file.raw, LOCK_UN) }

  /// Whom the file names: the holder while somebody holds it, the last one otherwise.
  package static func holder(_ layout: Layout) -> Holder? {
    guard let bytes = try? readFile(layout.lock, limit: 4_096),
      let json = try? JSON(text: bytes, limits: .call), var fields = try? Fields(json)
    else { return nil }
    return try? Holder(&fields)
  }

  /// Whether somebody holds it now.
  package static func isHeld(_ layout: Layout) -> Bool {
    guard let file = try? Descriptor.open(layout.lock, flags: O_RDONLY) else { return false }
    guard flock(file.raw, LOCK_SH | LOCK_NB) == 0 else { return errno == EWOULDBLOCK }
    _ = flock(file.raw, LOCK_UN)
    return false
  }
}

extension OperationLock.Holder {
  fileprivate init(_ fields: inout Fields) throws(ShapeError) {
    let pid: Int64 = try fields.required("pid")
    self.init(
      operation: try fields.required("operation"), act: try fields.required("act"),
      who: try fields.optional("who") ?? "", pid: Int32(clamping: pid), since: try fields.required("since"),
      boot: try fields.optional("boot") ?? "")
  }
}
