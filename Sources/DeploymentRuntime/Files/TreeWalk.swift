internal import CLinux
internal import Glibc
package import LinuxSystem

/// What keeps a walk through a tree from going on for ever.
package struct TreeLimits: Hashable, Sendable {
  /// More than this in one tree is refused (E2BIG).
  package var entries = 500_000
  /// Directories in each other (ELOOP): each costs a descriptor on the way.
  package var depth = 512

  package init(entries: Int = 500_000, depth: Int = 512) {
    self.entries = entries
    self.depth = depth
  }
}

/// Something met in a tree.
package struct TreeEntry {
  package let path: TreePath
  package let facts: FileFacts
  /// The directory it is in, open as long as the visit lasts, and the last name of `path` there.
  let directory: Int32
  let name: UnsafePointer<CChar>
}

/// Meets everything in a tree once, directories before what is in them, in the order of ``TreePath``.
///
/// Links are not followed, mounts inside are refused (EXDEV), each directory is opened relative to the one above, so that
/// nothing renamed meanwhile leads outside.
package struct TreeWalk {
  private let top: String
  private let skipped: Set<TreePath>
  private let limits: TreeLimits
  private var met = 0
  private var ground: FileFacts?

  /// What is `skipped` is anchored at the top; neither it nor what is below it is met.
  package static func each(
    in top: String, skipping skipped: Set<TreePath> = [], limits: TreeLimits = TreeLimits(),
    _ visit: (TreeEntry) throws(SystemError) -> Void
  ) throws(SystemError) {
    var walk = TreeWalk(top: top, skipped: skipped, limits: limits)
    let directory = try Descriptor.open(top, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    walk.ground = try FileFacts.of(directory, top)
    try walk.descend(into: directory, .top, depth: 0, visit)
  }

  private init(top: String, skipped: Set<TreePath>, limits: TreeLimits) {
    self.top = top
    self.skipped = skipped
    self.limits = limits
  }

  private mutating func descend(
    into directory: Descriptor, _ path: TreePath, depth: Int, _ visit: (TreeEntry) throws(SystemError) -> Void
  ) throws(SystemError) {
    let names = try entryNames(of: directory, subject(path))
    for name in names {
      let child = path.appending(name.dropLast())
      if !skipped.isEmpty, skipped.contains(child) { continue }
      met += 1
      guard met <= limits.entries else { throw SystemError("walk", "\(top) (\(limits.entries) entries)", errno: E2BIG) }
      try Self.withName(name) { (pointer) throws(SystemError) in
        var raw = cl_file_facts()
        try retrying("look at", subject(child)) { cl_look(directory.raw, pointer, &raw) }
        let facts = FileFacts(raw)
        guard facts.sharesMount(with: ground ?? facts) else {
          throw SystemError("enter the mount", subject(child), errno: EXDEV)
        }
        try visit(TreeEntry(path: child, facts: facts, directory: directory.raw, name: pointer))
        guard facts.kind == .directory else { return }
        guard depth < limits.depth, child.bytes.count < 4_096 else {
          throw SystemError("go deeper than", subject(child), errno: ELOOP)
        }
        let inner = try Self.openDirectory(in: directory.raw, pointer, subject(child))
        try descend(into: inner, child, depth: depth + 1, visit)
      }
    }
  }

  private func subject(_ path: TreePath) -> String { path.isTop ? top : "\(top)/\(path.escaped)" }

  static func openDirectory(in directory: Int32, _ name: UnsafePointer<CChar>, _ subject: @autoclosure () -> String)
    throws(SystemError) -> Descriptor
  {
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    return Descriptor(owning: try retrying("open", subject()) { openat(directory, name, flags) })
  }

  static func withName(_ name: [UInt8], _ body: (UnsafePointer<CChar>) throws(SystemError) -> Void) throws(SystemError)
  {
    let outcome: Result<Void, SystemError> = name.withUnsafeBytes { bytes in
      bytes.withMemoryRebound(to: CChar.self) { chars in
        guard let base = chars.baseAddress else { return .success(()) }
        return Result { () throws(SystemError) in try body(base) }
      }
    }
    try outcome.get()
  }
}

/// The names in an open directory, sorted, each with its NUL; without `.` and `..`. Source: getdents64(2).
func entryNames(of directory: Descriptor, _ subject: @autoclosure () -> String) throws(SystemError) -> [[UInt8]] {
  var names: [[UInt8]] = []
  try retrying("list", subject()) { lseek(directory.raw, 0, SEEK_SET) }
  try withUnsafeTemporaryBuffer(of: 1 << 15) { (buffer) throws(SystemError) in
    while true {
      let count = try retrying("list", subject()) { cl_read_entries(directory.raw, buffer.baseAddress, buffer.count) }
      if count == 0 { break }
      var offset = 0
      while offset < count {
        // struct linux_dirent64: the record's length lies at 16, the name at 19.
        let length = Int(buffer.loadUnaligned(fromByteOffset: offset + 16, as: UInt16.self))
        let name = buffer[(offset + 19)..<(offset + length)].prefix { $0 != 0 }
        let isDots = name.count <= 2 && name.allSatisfy { $0 == UInt8(ascii: ".") }
        if !isDots { names.append(Array(name) + [0]) }
        offset += length
      }
    }
  }
  names.sort { $0.lexicographicallyPrecedes($1) }
  return names
}

/// `withUnsafeTemporaryAllocation` with a typed error.
private func withUnsafeTemporaryBuffer(
  of size: Int, _ body: (UnsafeMutableRawBufferPointer) throws(SystemError) -> Void
) throws(SystemError) {
  let outcome: Result<Void, SystemError> = withUnsafeTemporaryAllocation(byteCount: size, alignment: 16) { buffer in
    Result { () throws(SystemError) in try body(buffer) }
  }
  try outcome.get()
}
