internal import CLinux
internal import Deployment
internal import Glibc
internal import LinuxSystem

/// Room on the disk that only a rollback may use: a file that is there to be removed. A full disk is one of the reasons to
/// go back, and the records of that need a little room themselves.
enum RoomToReturn {
  /// Requests, records, the ledger's log and what is said take less than a quarter of it.
  static let bytes: Int64 = 4 << 20

  static func path(_ layout: Layout) -> String { "\(layout.deploys)/room" }

  /// Sets it aside unless it is there. Where it cannot be had the deploy goes on: the preflight says what is missing.
  static func keep(_ layout: Layout, effects: Effects) {
    let path = path(layout)
    if access(path, F_OK) == 0 { return }
    try? effects.perform(.write, path) { () throws(SystemError) in
      let file = try Descriptor.open(path, flags: O_WRONLY | O_CREAT | O_NOFOLLOW, mode: 0o600)
      if cl_reserve(file.raw, bytes) != 0 { _ = unlink(path) }
    }
  }

  /// Gives it back to the disk. false: there was none.
  static func give(_ layout: Layout, effects: Effects) -> Bool {
    let path = path(layout)
    guard access(path, F_OK) == 0 else { return false }
    let given: Void? = try? effects.perform(.unlink, path) { () throws(SystemError) in
      if unlink(path) != 0 { throw SystemError("remove", path, errno: errno) }
    }
    return given != nil
  }
}
