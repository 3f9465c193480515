internal import CLinux
internal import Glibc
internal import LinuxSystem

/// Whose a tree was, to be put back: one line a name, `USER GROUP MODE PATH`.
package struct Ownership: Hashable, Sendable {
  package struct Entry: Hashable, Sendable {
    let path: TreePath
    let user: UInt32
    let group: UInt32
    let mode: UInt32
  }

  package let entries: [Entry]

  /// Of everything but what is `outside`, the top with it; links are not counted, as nobody asks for their owner.
  static func of(_ tree: String, outside: Set<TreePath>) throws(SystemError) -> Ownership {
    let top = try FileFacts.of(tree)
    var entries = [Entry(path: .top, user: top.user, group: top.group, mode: top.mode)]
    try TreeWalk.each(in: tree, skipping: outside) { (entry) throws(SystemError) in
      guard entry.facts.kind == .file || entry.facts.kind == .directory else { return }
      let facts = entry.facts
      entries.append(Entry(path: entry.path, user: facts.user, group: facts.group, mode: facts.mode))
    }
    return Ownership(entries: entries)
  }

  /// What a release's owners and modes are: the deploy user's, read by the service as before, written by nobody else.
  /// Nothing becomes unreadable to the service on the way: the group comes first.
  func handOver(_ tree: String, to user: UInt32, service: Identity?) throws(SystemError) {
    let top = try Descriptor.open(tree, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    for entry in entries {
      let wanted = Self.handedOver(entry, user, service)
      try Self.change(entry.path, in: top, tree, owners: (entry.user, user)) { (file, subject) throws(SystemError) in
        try retrying("set the group of", subject) { fchown(file, ~0, wanted.group) }
        // Once with both, so that reading never stops; then without what the new owner alone may do.
        try retrying("set the mode of", subject) { fchmod(file, mode_t(wanted.mode | (entry.mode & 0o777))) }
        try retrying("set the owner of", subject) { fchown(file, wanted.user, ~0) }
        try retrying("set the mode of", subject) { fchmod(file, mode_t(wanted.mode)) }
      }
    }
  }

  static func handedOver(_ entry: Entry, _ user: UInt32, _ service: Identity?) -> Entry {
    var mode = entry.mode & 0o1777 & ~0o022
    var group = entry.group
    if let service, service.user != 0, service.user != user {
      let groups = service.groups + [service.group]
      let served =
        if entry.user == service.user { mode >> 6 } else if groups.contains(group) { mode >> 3 } else { mode }
      if served & 0o5 != mode & 0o5 {
        // Others would read less than the service did: its group does it.
        group = groups.contains(group) && entry.user != service.user ? group : service.group
        mode = mode & ~0o070 | (served & 0o5) << 3
      }
    }
    return Entry(path: entry.path, user: user, group: group, mode: mode)
  }

  /// Puts everything back that is there still.
  func restore(_ tree: String, from user: UInt32) throws(SystemError) {
    let top = try Descriptor.open(tree, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    for entry in entries.reversed() {
      do throws(SystemError) {
        try Self.change(entry.path, in: top, tree, owners: (entry.user, user)) { (file, subject) throws(SystemError) in
          try retrying("set the owner of", subject) { fchown(file, entry.user, entry.group) }
          try retrying("set the mode of", subject) { fchmod(file, mode_t(entry.mode)) }
        }
      } catch {
        if error.errno != ENOENT { throw error }
      }
    }
  }

  /// On an open file found without any link on the way, and only if it is still one of `owners`: whoever may write in the
  /// tree must not lead root to a file elsewhere.
  private static func change(
    _ path: TreePath, in top: Descriptor, _ tree: String, owners: (UInt32, UInt32),
    _ body: (Int32, String) throws(SystemError) -> Void
  ) throws(SystemError) {
    let subject = path.isTop ? tree : "\(tree)/\(path)"
    if path.isTop { return try body(top.raw, subject) }
    let file = Descriptor(
      owning: try retrying("open", subject) { path.withPointer { cl_open_beneath(top.raw, $0, O_RDONLY | O_NONBLOCK) } }
    )
    let facts = try FileFacts.of(file, subject)
    guard facts.user == owners.0 || facts.user == owners.1 else {
      throw SystemError("take over", subject, errno: EPERM)
    }
    try body(file.raw, subject)
  }

  // MARK: As a file

  var text: [UInt8] {
    var text: [UInt8] = []
    for entry in entries {
      text += Array("\(entry.user) \(entry.group) \(String(entry.mode, radix: 8)) \(entry.path.escaped)\n".utf8)
    }
    return text + Array("end\n".utf8)
  }

  static func read(_ path: String) throws(SystemError) -> Ownership {
    let bytes = try readFile(path, limit: 256 << 20)
    var entries: [Entry] = []
    var isWhole = false
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      let words = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      isWhole = words.count == 1 && line.elementsEqual("end".utf8)
      if isWhole { break }
      let texts = words.prefix(3).map { String(decoding: $0, as: UTF8.self) }
      guard words.count == 4, let user = UInt32(texts[0]), let group = UInt32(texts[1]),
        let mode = UInt32(texts[2], radix: 8), let path = TreePath(escaped: words[3])
      else { throw SystemError("understand", path, errno: EBADMSG) }
      entries.append(Entry(path: path, user: user, group: group, mode: mode))
    }
    guard isWhole else { throw SystemError("understand", path, errno: EBADMSG) }
    return Ownership(entries: entries)
  }
}
