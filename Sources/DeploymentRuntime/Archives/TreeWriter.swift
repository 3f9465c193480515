internal import CArchive
internal import CLinux
internal import Glibc
internal import LinuxSystem

/// Makes files, directories and links below one new directory, and never anywhere else.
///
/// Every directory on the way is opened by name from its parent without following links (openat(2), O_NOFOLLOW), files
/// are made with O_EXCL, and symbolic links only when all else is there: nothing is ever written through one. Owner is
/// who runs it; setuid, setgid and devices cannot be asked for.
struct TreeWriter {
  private struct Level {
    let name: ArraySlice<UInt8>
    let directory: Descriptor
  }

  private let subject: String
  private let root: Descriptor
  /// Permissions that nobody shall have.
  private let withheld: UInt32
  /// From the top to the directory last written in.
  private var levels: [Level] = []
  private var directories: [ArchiveEntry] = []
  private var links: [(entry: ArchiveEntry, target: [UInt8], mayLeadOutside: Bool)] = []

  /// `path` is an existing, empty directory.
  init(_ path: String, subject: String, withheld: UInt32) throws(ArchiveError) {
    self.subject = subject
    self.withheld = withheld
    do throws(SystemError) {
      root = try Descriptor.open(path, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    } catch { throw ArchiveError(subject, .system(error)) }
  }

  // MARK: Entries

  /// A new, empty file of that path, and its descriptor for the data.
  mutating func file(_ entry: ArchiveEntry) throws(ArchiveError) -> Descriptor {
    let parent = try descend(entry.path.parent)
    do throws(SystemError) {
      return Descriptor(
        owning: try retrying("make", "\(entry.path)") {
          Self.withPointer(entry.path.name) { openat(parent.raw, $0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600) }
        })
    } catch { throw refusal(error, entry) }
  }

  /// Permissions and time of a file whose data is all there.
  func finish(_ file: Descriptor, _ entry: ArchiveEntry) throws(ArchiveError) {
    do throws(SystemError) { try setModeAndTime(of: file, entry) } catch { throw ArchiveError(subject, .system(error)) }
  }

  mutating func directory(_ entry: ArchiveEntry) throws(ArchiveError) {
    _ = try descend(entry.path)
    directories.append(entry)
  }

  mutating func hardLink(_ entry: ArchiveEntry, to target: TreePath) throws(ArchiveError) {
    let source = try descend(target.parent)
    let parent = try descend(entry.path.parent)
    do throws(SystemError) {
      try retrying("link", "\(entry.path)") {
        Self.withPointer(target.name) { old in
          Self.withPointer(entry.path.name) { linkat(source.raw, old, parent.raw, $0, 0) }
        }
      }
    } catch { throw refusal(error, entry) }
  }

  /// Made by ``finish()``.
  mutating func link(_ entry: ArchiveEntry, to target: [UInt8], mayLeadOutside: Bool) throws(ArchiveError) {
    if !mayLeadOutside, let why = Unsafe.why(link: entry.path, to: target) { throw unsafe(entry.path, why) }
    links.append((entry, target, mayLeadOutside))
  }

  /// Makes the links, and gives the directories their modes and times, the deepest first.
  mutating func finish() throws(ArchiveError) {
    for link in links {
      let parent = try descend(link.entry.path.parent)
      do throws(SystemError) {
        var times = Self.times(link.entry)
        try Self.withPointer(link.entry.path.name) { (name) throws(SystemError) in
          try retrying("make the link", "\(link.entry.path)") {
            Self.withPointer(link.target[...]) { symlinkat($0, parent.raw, name) }
          }
          try retrying("set the time of", "\(link.entry.path)") {
            utimensat(parent.raw, name, &times, Int32(AT_SYMLINK_NOFOLLOW))
          }
        }
      } catch { throw refusal(error, link.entry) }
    }
    for link in links where !link.mayLeadOutside { try prove(link.entry, link.target) }
    for entry in directories.reversed() {
      let directory = try descend(entry.path)
      do throws(SystemError) { try setModeAndTime(of: directory, entry) } catch {
        throw ArchiveError(subject, .system(error))
      }
    }
  }

  /// The kernel follows the link and all that it names, and refuses when one of them leads outside.
  private func prove(_ entry: ArchiveEntry, _ target: [UInt8]) throws(ArchiveError) {
    let end = entry.path.withPointer { ca_open_beneath(root.raw, $0) }
    if end >= 0 { return _ = close(end) }
    if errno == EXDEV { throw unsafe(entry.path, "is a link to \(EscapedText.escape(target)), which leads outside") }
  }

  private func setModeAndTime(of file: Descriptor, _ entry: ArchiveEntry) throws(SystemError) {
    try retrying("set the mode of", "\(entry.path)") { fchmod(file.raw, entry.mode & ~withheld) }
    var times = Self.times(entry)
    try retrying("set the time of", "\(entry.path)") { futimens(file.raw, &times) }
  }

  // MARK: The way there

  /// The directory of that path, made where it is missing. Begins at the part of the way that is the same as last time.
  private mutating func descend(_ path: TreePath) throws(ArchiveError) -> Descriptor {
    var depth = 0
    if !path.isTop {
      for name in path.bytes.split(separator: UInt8(ascii: "/")) {
        if depth == levels.count || levels[depth].name != name {
          levels.removeSubrange(depth...)
          let parent = levels.last?.directory ?? root
          levels.append(Level(name: name, directory: try enter(name, in: parent, on: path)))
        }
        depth += 1
      }
    }
    levels.removeSubrange(depth...)
    return levels.last?.directory ?? root
  }

  private func enter(
    _ name: ArraySlice<UInt8>, in parent: Descriptor, on path: TreePath
  ) throws(ArchiveError) -> Descriptor {
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    do throws(SystemError) {
      return try Self.withPointer(name) { (name) throws(SystemError) in
        let raw = openat(parent.raw, name, flags)
        if raw >= 0 { return Descriptor(owning: raw) }
        guard errno == ENOENT else { throw SystemError("enter", "\(path)", errno: errno) }
        try retrying("make the directory", "\(path)") { mkdirat(parent.raw, name, 0o755) }
        return Descriptor(owning: try retrying("enter", "\(path)") { openat(parent.raw, name, flags) })
      }
    } catch {
      guard error.errno == ENOTDIR || error.errno == ELOOP else { throw ArchiveError(subject, .system(error)) }
      throw unsafe(path, "is used as a directory and is none")
    }
  }

  private func refusal(_ error: SystemError, _ entry: ArchiveEntry) -> ArchiveError {
    switch error.errno {
    case EEXIST: unsafe(entry.path, "is there twice")
    case ENOENT where error.operation == "link": unsafe(entry.path, "is a hard link to nothing that came before")
    default: ArchiveError(subject, .system(error))
    }
  }

  private func unsafe(_ path: TreePath, _ why: String) -> ArchiveError {
    ArchiveError(subject, .unsafe(entry: path.escaped, why: why))
  }

  // MARK: Words of system calls

  private static func withPointer<Answer, Failure: Error>(
    _ name: ArraySlice<UInt8>, _ body: (UnsafePointer<CChar>) throws(Failure) -> Answer
  ) throws(Failure) -> Answer {
    var terminated = name.map { CChar(bitPattern: $0) }
    terminated.append(0)
    return try body(terminated)
  }

  private static func times(_ entry: ArchiveEntry) -> [timespec] {
    var (seconds, rest) = entry.modified.quotientAndRemainder(dividingBy: 1_000_000_000)
    if rest < 0 { (seconds, rest) = (seconds - 1, rest + 1_000_000_000) }
    let time = timespec(tv_sec: Int(seconds), tv_nsec: Int(rest))
    return [time, time]
  }
}
