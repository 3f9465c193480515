/// One entry of an archive, checked: its path is relative and stays inside, its kind is one a release may have.
package struct ArchiveEntry: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    case file(size: UInt64)
    case directory
    /// The target as written.
    case link(target: [UInt8])
    /// A second name of the file of that path, which came before.
    case hardLink(target: TreePath)
  }

  /// The top itself for `./`.
  package var path: TreePath
  package var kind: Kind
  /// Permissions alone, 0o777 at most; of a directory also setgid and sticky.
  package var mode: UInt32
  /// Nanoseconds since 1970.
  package var modified: Int64

  package init(path: TreePath, kind: Kind, mode: UInt32, modified: Int64) {
    self.path = path
    self.kind = kind
    self.mode = mode
    self.modified = modified
  }
}

/// How much an archive may hold.
package struct ArchiveLimits: Hashable, Sendable {
  package var entries: Int
  /// Of all files together, unpacked; free space limits it as well.
  package var bytes: UInt64
  package init(entries: Int = 500_000, bytes: UInt64 = 1 << 40) {
    self.entries = entries
    self.bytes = bytes
  }
}

/// What an archive held.
package struct ArchiveSummary: Hashable, Sendable {
  package var entries = 0
  /// Of all files, unpacked.
  package var bytes: UInt64 = 0
  package init() {}
}

/// What a path or a link may not say.
enum Unsafe {
  static let deepest = 200

  /// Why a name in an archive is no path below its top.
  static func why(_ path: some Collection<UInt8>) -> String {
    if path.first == UInt8(ascii: "/") { return "is an absolute path" }
    if path.contains(0) { return "has a NUL in its path" }
    let names = path.split(separator: UInt8(ascii: "/"))
    if names.contains(where: { $0.elementsEqual("..".utf8) }) { return "leads outside with \"..\"" }
    return "is a path of \(path.count) bytes, with a name of \(names.map(\.count).max() ?? 0)"
  }

  /// Why a symbolic link at `path` with this target may not be made, as far as its words say: it must be relative and not
  /// climb above the top. Whether other links on its way lead outside only the made tree can tell.
  static func why(link path: TreePath, to target: [UInt8]) -> String? {
    if target.isEmpty || target.contains(0) { return "is a link to nowhere" }
    if target.count >= 4_096 { return "is a link with a target of \(target.count) bytes" }
    let words = EscapedText.escape(target)
    if target.first == UInt8(ascii: "/") { return "is a link to \(words), an absolute path" }
    var depth = path.depth - 1
    for part in target.split(separator: UInt8(ascii: "/")) {
      if part.elementsEqual("..".utf8) { depth -= 1 } else if !part.elementsEqual(".".utf8) { depth += 1 }
      if depth < 0 { return "is a link to \(words), which is outside" }
    }
    return nil
  }
}
