internal import CLinux
internal import Glibc
internal import LinuxSystem
internal import Synchronization
internal import Vocabulary

/// Removes a tree of any size and depth, name by name from open directories: no link is followed, no mount is entered, and
/// what is renamed meanwhile leads nowhere else. Source: unlinkat(2).
enum TreeRemoval {
  /// Directories in each other, each with a descriptor on the way; what lies deeper is hung up at the top first. For all
  /// threads together.
  private static let depth = 256

  /// Names at the top from which on more than one thread is worth its while.
  private static let many = 8

  /// - Returns: what became free; a file with other names elsewhere frees nothing.
  /// - Throws: EXDEV at a mount, which stays with all above it; the rest may be gone.
  @discardableResult
  static func remove(_ path: String) throws(SystemError) -> ByteCount {
    let facts: FileFacts
    do { facts = try FileFacts.of(path) } catch {
      if error.errno == ENOENT { return ByteCount(0) }
      throw error
    }
    guard facts.kind == .directory else {
      try retrying("remove", path) { unlink(path) }
      return ByteCount(facts.links == 1 ? facts.storedBytes : 0)
    }
    if facts.mode & 0o700 != 0o700 { chmod(path, mode_t(facts.mode | 0o700)) }
    let top = try Descriptor.open(path, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    let ground = try FileFacts.of(top, path)
    var freed = facts.storedBytes
    var round = 0
    while true {
      let done = try empty(path, top, ground, round: round)
      freed &+= done.freed
      if done.hungUp == 0 { break }
      round += 1
    }
    try retrying("remove", path) { rmdir(path) }
    return ByteCount(freed)
  }

  /// What is in the top, on all processors: names are removed one after the other within one directory alone.
  private static func empty(
    _ path: String, _ top: Descriptor, _ ground: FileFacts, round: Int
  ) throws(SystemError) -> (hungUp: Int, freed: UInt64) {
    let names = try entryNames(of: top, path)
    let outcome = Mutex<(hungUp: Int, freed: UInt64, error: SystemError?)>((0, 0, nil))
    let raw = top.raw
    let threads = names.count < many ? 1 : Parallel.processors
    // One that was killed may have left such names as well: not the same ones.
    let mark = ".tmp-deep-\(getpid())-\(Instant.monotonicNow().nanoseconds)-\(round)"
    Parallel.each(of: names.count, threads: threads) { index in
      guard outcome.withLock({ $0.error == nil }) else { return }
      var removal = Removal(
        path: path, top: raw, ground: ground, deepest: depth / threads, name: "\(mark)-\(index)")
      var trouble: SystemError?
      do throws(SystemError) {
        try TreeWalk.withName(names[index]) { (name) throws(SystemError) in
          try removal.removeOne(raw, name, names[index], depth: 0)
        }
      } catch { trouble = error }
      outcome.withLock { sum in
        sum.hungUp += removal.hungUp
        sum.freed &+= removal.freed
        sum.error = sum.error ?? trouble
      }
    }
    let sum = outcome.withLock { $0 }
    if let error = sum.error { throw error }
    return (sum.hungUp, sum.freed)
  }

  private struct Removal {
    let path: String
    let top: Int32
    let ground: FileFacts
    let deepest: Int
    /// Begins the names of what it hangs up: no other of this time or before has it.
    let name: String
    /// Directories that were too deep and lie at the top now.
    private(set) var hungUp = 0
    private(set) var freed: UInt64 = 0

    init(path: String, top: Int32, ground: FileFacts, deepest: Int, name: String) {
      self.path = path
      self.top = top
      self.ground = ground
      self.deepest = deepest
      self.name = name
    }

    private mutating func empty(_ directory: Descriptor, depth: Int) throws(SystemError) {
      for name in try entryNames(of: directory, path) {
        try TreeWalk.withName(name) { (pointer) throws(SystemError) in
          try removeOne(directory.raw, pointer, name, depth: depth)
        }
      }
    }

    mutating func removeOne(
      _ directory: Int32, _ name: UnsafePointer<CChar>, _ bytes: [UInt8], depth: Int
    ) throws(SystemError) {
      var raw = cl_file_facts()
      try retrying("look at", subject(bytes)) { cl_look(directory, name, &raw) }
      let facts = FileFacts(raw)
      if facts.kind != .directory {
        if unlinkat(directory, name, 0) != 0 { throw refusal(bytes, errno) }
        if facts.links == 1 { freed &+= facts.storedBytes }
        return
      }
      guard facts.sharesMount(with: ground) else { throw refusal(bytes, EXDEV) }
      if unlinkat(directory, name, AT_REMOVEDIR) == 0 {
        freed &+= facts.storedBytes
        return
      }
      if depth >= deepest { return try hangUp(directory, name, bytes) }
      // Build tools make their caches unwritable.
      if facts.mode & 0o700 != 0o700 { fchmodat(directory, name, mode_t(facts.mode | 0o700), 0) }
      let inner = try TreeWalk.openDirectory(in: directory, name, subject(bytes))
      try empty(inner, depth: depth + 1)
      if unlinkat(directory, name, AT_REMOVEDIR) != 0 { throw refusal(bytes, errno) }
      freed &+= facts.storedBytes
    }

    private mutating func hangUp(_ directory: Int32, _ name: UnsafePointer<CChar>, _ bytes: [UInt8])
      throws(SystemError)
    {
      hungUp += 1
      let target = "\(self.name)-\(hungUp)"
      try retrying("hang up", subject(bytes)) { renameat(directory, name, top, target) }
    }

    private func refusal(_ name: [UInt8], _ number: Int32) -> SystemError {
      SystemError("remove", subject(name), errno: number)
    }

    private func subject(_ name: [UInt8]) -> String { "\(path)/…/\(EscapedText.escape(Array(name.dropLast())))" }
  }
}
