import CLinux
import Glibc
import Synchronization

/// A file descriptor with one owner: closed exactly once, when the last reference goes, unless ``take()`` gave it away.
///
/// Close-on-exec is expected of whatever is put in; children get descriptors only through ``SpawnRequest``.
package final class Descriptor: Sendable, CustomStringConvertible {
  private let number: Atomic<Int32>

  /// Takes ownership of `raw`, which must be open and owned by nobody else.
  package init(owning raw: Int32) { number = Atomic(raw) }

  deinit { close() }

  /// The number for system calls, valid as long as this object lives; -1 after ``take()`` or ``close()``.
  package var raw: Int32 { number.load(ordering: .relaxed) }

  /// Gives up ownership: the caller closes it, or it stays open for ever.
  package func take() -> Int32 { number.exchange(-1, ordering: .relaxed) }

  /// Closes now instead of with the last reference. Errors of close(2) have no remedy here: the number is free anyway.
  package func close() {
    let raw = take()
    if raw >= 0 { _ = Glibc.close(raw) }
  }

  /// A second descriptor for the same open file: offset, O_NONBLOCK and socket state are shared. Source: fcntl(2).
  package func duplicate() throws(SystemError) -> Descriptor {
    let source = raw
    return Descriptor(owning: try retrying("duplicate", "fd \(source)") { fcntl(source, F_DUPFD_CLOEXEC, 0) })
  }

  package var isCloseOnExec: Bool { fcntl(raw, F_GETFD) & FD_CLOEXEC != 0 }

  /// Off only right before an execve that shall keep the descriptor; set again by whoever receives it.
  package func setCloseOnExec(_ on: Bool) throws(SystemError) {
    let source = raw
    try retrying("set close-on-exec of", "fd \(source)") { fcntl(source, F_SETFD, on ? FD_CLOEXEC : 0) }
  }

  package var isNonblocking: Bool { fcntl(raw, F_GETFL) & O_NONBLOCK != 0 }

  /// O_NONBLOCK belongs to the open file, not to this number: everyone who shares it is changed too.
  package func setNonblocking(_ on: Bool) throws(SystemError) {
    let source = raw
    let flags = try retrying("read the flags of", "fd \(source)") { fcntl(source, F_GETFL) }
    try retrying("set the flags of", "fd \(source)") {
      fcntl(source, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK)
    }
  }

  package var description: String { "fd \(raw)" }

  /// A pipe, both ends close-on-exec. Only the reading end is made non-blocking: the other may go to a program that
  /// does not expect it.
  package static func pipe(nonblockingReader: Bool = false) throws(SystemError) -> (
    reader: Descriptor, writer: Descriptor
  ) {
    var ends: [Int32] = [-1, -1]
    try retrying("make a pipe") { cl_pipe(&ends) }
    let pair = (reader: Descriptor(owning: ends[0]), writer: Descriptor(owning: ends[1]))
    if nonblockingReader { try pair.reader.setNonblocking(true) }
    return pair
  }

  /// Opens a path with open(2), close-on-exec added.
  package static func open(_ path: String, flags: Int32, mode: UInt32 = 0) throws(SystemError) -> Descriptor {
    Descriptor(owning: try retrying("open", path) { Glibc.open(path, flags | O_CLOEXEC, mode) })
  }
}
