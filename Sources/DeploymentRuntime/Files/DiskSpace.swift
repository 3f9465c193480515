internal import Glibc
package import LinuxSystem
package import Vocabulary

/// What is free where a path lies, for a user that is not root. Source: statvfs(3).
package struct DiskSpace: Hashable, Sendable {
  package let free: ByteCount
  package let total: ByteCount
  /// nil where the file system has no fixed number of them, as btrfs.
  package let freeInodes: UInt64?

  package static func at(_ path: String) throws(SystemError) -> DiskSpace {
    var facts = statvfs()
    try retrying("look at the space of", path) { statvfs(path, &facts) }
    let unit = UInt64(facts.f_frsize)
    return DiskSpace(
      free: ByteCount(UInt64(facts.f_bavail) &* unit), total: ByteCount(UInt64(facts.f_blocks) &* unit),
      freeInodes: facts.f_files == 0 ? nil : UInt64(facts.f_favail))
  }
}

/// What a tree takes.
package struct TreeSize: Hashable, Sendable {
  /// On the disk; a file with several names counts once.
  package var stored: ByteCount
  /// The sizes of its files.
  package var content: ByteCount
  /// Entries, which is inodes but for hard links.
  package var entries: Int

  /// - Throws: E2BIG beyond the limits, EXDEV at a mount.
  package static func of(_ path: String, skipping skipped: Set<TreePath> = [], limits: TreeLimits = TreeLimits())
    throws(SystemError) -> TreeSize
  {
    let top = try FileFacts.of(path)
    guard top.kind == .directory else {
      return TreeSize(stored: ByteCount(top.storedBytes), content: ByteCount(top.size), entries: 1)
    }
    var stored = top.storedBytes
    var content: UInt64 = 0
    var entries = 1
    var seen: Set<FileFacts.Identity> = []
    try TreeWalk.each(in: path, skipping: skipped, limits: limits) { (entry) throws(SystemError) in
      entries += 1
      if entry.facts.kind == .file { content &+= entry.facts.size }
      if entry.facts.links > 1, entry.facts.kind != .directory, !seen.insert(entry.facts.identity).inserted { return }
      stored &+= entry.facts.storedBytes
    }
    return TreeSize(stored: ByteCount(stored), content: ByteCount(content), entries: entries)
  }
}
