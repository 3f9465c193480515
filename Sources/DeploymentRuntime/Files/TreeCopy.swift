internal import CLinux
internal import Glibc
internal import LinuxSystem

/// A second tree like the first: modes and times are kept, setuid and setgid bits and owners are not.
package enum TreeCopy {
  package enum Manner: Hashable, Sendable {
    case contents
    /// Hard links: a file is in both trees, so neither may be changed in place. Same file system only (EXDEV).
    case links
  }

  static func copy(_ from: String, to: String, skipping skipped: Set<TreePath>, _ manner: Manner) throws(SystemError) {
    let ground = try FileFacts.of(from)
    guard ground.kind == .directory else { throw SystemError("copy the \(ground.kind.noun)", from, errno: ENOTDIR) }
    try retrying("make the directory", to) { mkdir(to, 0o700) }
    let target = try Descriptor.open(to, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    // Modes and times of directories come last: filling one changes its time and needs its write permission.
    var directories: [(path: TreePath, facts: FileFacts)] = []
    try TreeWalk.each(in: from, skipping: skipped) { (entry) throws(SystemError) in
      if entry.facts.kind == .directory { directories.append((entry.path, entry.facts)) }
      try copyOne(entry, into: target, manner, subject: "\(to)/\(entry.path.escaped)")
    }
    for (path, facts) in directories.reversed() { try dress(path, facts, in: target, to) }
    try retrying("set the mode of", to) { fchmod(target.raw, mode_t(ground.mode & 0o777)) }
  }

  private static func copyOne(_ entry: TreeEntry, into target: Descriptor, _ manner: Manner, subject: String)
    throws(SystemError)
  {
    let outcome: Result<Void, SystemError> = entry.path.withPointer { path in
      Result { () throws(SystemError) in
        switch entry.facts.kind {
        case .directory:
          try retrying("make the directory", subject) { mkdirat(target.raw, path, 0o700) }
        case .link:
          let link = try readLink(at: entry.directory, entry.name, subject) + [0]
          try retrying("link", subject) {
            link.withUnsafeBytes { bytes in
              bytes.withMemoryRebound(to: CChar.self) { symlinkat($0.baseAddress ?? path, target.raw, path) }
            }
          }
        case .file:
          if manner == .links {
            try retrying("link", subject) { linkat(entry.directory, entry.name, target.raw, path, 0) }
          } else {
            try copyFile(entry, target, path, subject)
          }
        case .socket, .pipe, .characterDevice, .blockDevice:
          throw SystemError("copy the \(entry.facts.kind.noun)", subject, errno: EINVAL)
        }
      }
    }
    try outcome.get()
  }

  private static func copyFile(
    _ entry: TreeEntry, _ target: Descriptor, _ path: UnsafePointer<CChar>, _ subject: String
  ) throws(SystemError) {
    let source = Descriptor(
      owning: try retrying("open", subject) { openat(entry.directory, entry.name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) })
    let copy = Descriptor(
      owning: try retrying("make", subject) {
        openat(target.raw, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
      })
    try retrying("copy", subject) { cl_copy_contents(source.raw, copy.raw) }
    try retrying("set the mode of", subject) { fchmod(copy.raw, mode_t(entry.facts.mode & 0o1777)) }
    let times = [timespec(omitted: true), timespec(nanoseconds: entry.facts.modified)]
    try retrying("set the time of", subject) { futimens(copy.raw, times) }
  }

  private static func dress(_ path: TreePath, _ facts: FileFacts, in target: Descriptor, _ to: String)
    throws(SystemError)
  {
    let times = [timespec(omitted: true), timespec(nanoseconds: facts.modified)]
    try retrying("set the time of", "\(to)/\(path)") { path.withPointer { utimensat(target.raw, $0, times, 0) } }
    try retrying("set the mode of", "\(to)/\(path)") {
      path.withPointer { fchmodat(target.raw, $0, mode_t(facts.mode & 0o1777), 0) }
    }
  }
}

extension timespec {
  init(nanoseconds: Int64) {
    let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    self.init(
      tv_sec: rest < 0 ? Int(seconds) - 1 : Int(seconds), tv_nsec: rest < 0 ? Int(rest) + 1_000_000_000 : Int(rest))
  }

  /// Left as it is: UTIME_OMIT of utimensat(2).
  init(omitted: Bool) { self.init(tv_sec: 0, tv_nsec: (1 << 30) - 2) }
}
