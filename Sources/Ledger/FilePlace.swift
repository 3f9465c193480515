internal import Glibc

/// Which file lies at a path, so that one that is open can be told from another that lies there later.
package struct FilePlace {
  private let path: String
  private let file: File?

  private struct File: Equatable {
    let device: UInt64
    let inode: UInt64

    init?(_ path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
    }
  }

  /// As it is now: right after it was opened.
  package init(_ path: String) {
    self.path = path
    file = File(path)
  }

  /// False when it is no longer the same: moved away, deleted, or put back from a backup.
  package var isUnchanged: Bool { file != nil && File(path) == file }
}
