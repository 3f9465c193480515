internal import Glibc
package import LinuxSystem
package import Vocabulary

/// How a person asks an operation for an orderly end: a byte in the FIFO `deploys/OPERATION/abort`, which whoever may act
/// as the deploy user can write. It stays in there, so that everyone who looks later sees it too.
package struct AbortPipe {
  /// Readable from the first wish on.
  package let descriptor: Descriptor

  package static func path(_ layout: Layout, _ id: OperationID) -> String { "\(layout.operation(id))/abort" }

  /// For the process that works on the operation.
  package init(_ layout: Layout, _ id: OperationID) throws(SystemError) {
    let path = Self.path(layout, id)
    if mkfifo(path, 0o600) != 0, errno != EEXIST { throw SystemError("make", path, errno: errno) }
    // Both ends in one, so that it never looks as if the other side had gone.
    descriptor = try Descriptor.open(path, flags: O_RDWR | O_NONBLOCK | O_NOFOLLOW)
    var status = stat()
    try retrying("look at", path) { fstat(descriptor.raw, &status) }
    guard status.st_mode & S_IFMT == S_IFIFO else { throw SystemError("use", path, errno: EINVAL) }
  }

  /// From elsewhere. false: nobody works on it.
  package static func ask(_ layout: Layout, _ id: OperationID) -> Bool {
    guard let pipe = try? Descriptor.open(path(layout, id), flags: O_WRONLY | O_NONBLOCK | O_NOFOLLOW) else {
      return false
    }
    var byte: UInt8 = 1
    return write(pipe.raw, &byte, 1) == 1
  }

  /// Whether a process has it open: one that works on the operation, up to its last word.
  package static func isAttended(_ layout: Layout, _ id: OperationID) -> Bool {
    (try? Descriptor.open(path(layout, id), flags: O_WRONLY | O_NONBLOCK | O_NOFOLLOW)) != nil
  }

  /// SIGINT and SIGTERM become a wish; SIGHUP, of a terminal that went away, is none.
  package func takeSignals() {
    signalTarget = descriptor.raw
    for number in [SIGINT, SIGTERM] {
      signal(number) { _ in
        var byte: UInt8 = 1
        let before = errno
        _ = write(signalTarget, &byte, 1)
        errno = before
      }
    }
    signal(SIGHUP, SIG_IGN)
  }
}

/// Written before the handlers are placed, read by them alone.
nonisolated(unsafe) private var signalTarget: Int32 = -1
