internal import CLinux
internal import Glibc
internal import LinuxSystem

/// Removes a tree of any size and depth, name by name from open directories: no link is followed, no mount is entered, and
/// what is renamed meanwhile leads nowhere else. Source: unlinkat(2).
enum TreeRemoval {
  /// Directories in each other, each with a descriptor on the way; what lies deeper is hung up at the top first.
  private static let depth = 256

  /// - Throws: EXDEV at a mount, which stays with all above it; the rest may be gone.
  static func remove(_ path: String) throws(SystemError) {
    let facts: FileFacts
    do { facts = try FileFacts.of(path) } catch {
      if error.errno == ENOENT { return }
      throw error
    }
    guard facts.kind == .directory else {
      try retrying("remove", path) { unlink(path) }
      return
    }
    if facts.mode & 0o700 != 0o700 { chmod(path, mode_t(facts.mode | 0o700)) }
    let top = try Descriptor.open(path, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    var removal = Removal(path: path, top: top, ground: try FileFacts.of(top, path))
    repeat {
      removal.hungUp = 0
      try removal.empty(top, depth: 0)
    } while removal.hungUp > 0
    try retrying("remove", path) { rmdir(path) }
  }

  private struct Removal {
    let path: String
    let top: Descriptor
    let ground: FileFacts
    /// Directories that were too deep and lie at the top now.
    var hungUp = 0
    private var named = 0

    init(path: String, top: Descriptor, ground: FileFacts) {
      self.path = path
      self.top = top
      self.ground = ground
    }

    mutating func empty(_ directory: Descriptor, depth: Int) throws(SystemError) {
      for name in try entryNames(of: directory, path) {
        try TreeWalk.withName(name) { (pointer) throws(SystemError) in
          try removeOne(directory, pointer, name, depth: depth)
        }
      }
    }

    private mutating func removeOne(
      _ directory: Descriptor, _ name: UnsafePointer<CChar>, _ bytes: [UInt8], depth: Int
    ) throws(SystemError) {
      if unlinkat(directory.raw, name, 0) == 0 { return }
      let failure = errno
      // EISDIR is Linux' answer for a directory, EPERM that of POSIX.
      guard failure == EISDIR || failure == EPERM else { throw refusal(bytes, failure) }
      var raw = cl_file_facts()
      try retrying("look at", subject(bytes)) { cl_look(directory.raw, name, &raw) }
      let facts = FileFacts(raw)
      guard facts.kind == .directory else { throw refusal(bytes, failure) }
      guard facts.sharesMount(with: ground) else { throw refusal(bytes, EXDEV) }
      if unlinkat(directory.raw, name, AT_REMOVEDIR) == 0 { return }
      if depth >= TreeRemoval.depth { return try hangUp(directory, name, bytes) }
      // Build tools make their caches unwritable.
      if facts.mode & 0o700 != 0o700 { fchmodat(directory.raw, name, mode_t(facts.mode | 0o700), 0) }
      let inner = try TreeWalk.openDirectory(in: directory.raw, name, subject(bytes))
      try empty(inner, depth: depth + 1)
      if unlinkat(directory.raw, name, AT_REMOVEDIR) != 0 { throw refusal(bytes, errno) }
    }

    private mutating func hangUp(_ directory: Descriptor, _ name: UnsafePointer<CChar>, _ bytes: [UInt8])
      throws(SystemError)
    {
      named += 1
      hungUp += 1
      let target = ".tmp-deep-\(named)"
      try retrying("hang up", subject(bytes)) { renameat(directory.raw, name, top.raw, target) }
    }

    private func refusal(_ name: [UInt8], _ number: Int32) -> SystemError {
      SystemError("remove", subject(name), errno: number)
    }

    private func subject(_ name: [UInt8]) -> String { "\(path)/…/\(EscapedText.escape(Array(name.dropLast())))" }
  }
}
