import CLinux
import Deployment
import Glibc
import LinuxSystem
import Vocabulary

/// Which files of a complete release are just what git has: to be linked into the next release instead of being written
/// again. A file counts as long as its inode, size and time of change are those of the moment it was exported; a build
/// that touched it took it off the list.
struct KnownContents {
  struct Entry: Hashable {
    var object: String
    var inode: UInt64
    var size: UInt64
    /// Nanoseconds since 1970.
    var modified: Int64
  }

  /// Hash of all `.gitattributes` and their places: they decide what a file looks like in a work tree.
  var attributes: String
  var entries: [TreePath: Entry] = [:]

  static func directory(_ layout: Layout) -> String { "\(layout.deploys)/sources" }
  static func path(_ layout: Layout, _ release: ReleaseID) -> String { "\(directory(layout))/\(release)" }

  private static let title = "baton-sources 1"

  var text: [UInt8] {
    var bytes = Array("\(Self.title) \(attributes)\n".utf8)
    bytes.reserveCapacity(entries.count * 120)
    for (path, entry) in entries {
      bytes += entry.object.utf8
      for number in [entry.inode, entry.size, UInt64(bitPattern: entry.modified)] {
        bytes.append(0x20)
        DecimalText.append(number, to: &bytes)
      }
      bytes.append(0x20)
      bytes += EscapedText.escape(path.bytes).utf8
      bytes.append(0x0A)
    }
    return bytes
  }

  /// nil where it is not there or not to be read: then everything is written anew.
  static func read(_ layout: Layout, _ release: ReleaseID) -> KnownContents? {
    guard let bytes = try? readFile(path(layout, release), limit: 1 << 28) else { return nil }
    let lines = bytes.split(separator: 0x0A)
    guard let first = lines.first.map({ String(decoding: $0, as: UTF8.self) }), first.hasPrefix("\(title) "),
      bytes.last == 0x0A
    else { return nil }
    var known = KnownContents(attributes: String(first.dropFirst(title.count + 1)))
    known.entries.reserveCapacity(lines.count)
    for line in lines.dropFirst() {
      let fields = line.split(separator: 0x20, maxSplits: 4)
      guard fields.count == 5, let path = TreePath(escaped: fields[4]), let inode = number(fields[1]),
        let size = number(fields[2]), let modified = number(fields[3])
      else { return nil }
      known.entries[path] = Entry(
        object: String(decoding: fields[0], as: UTF8.self), inode: inode, size: size, modified: Int64(modified))
    }
    return known
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
    var number: UInt64 = 0
    for digit in digits {
      guard (0x30...0x39).contains(digit), number < 1 << 60 else { return nil }
      number = number * 10 + UInt64(digit - 0x30)
    }
    return digits.isEmpty ? nil : number
  }

  /// Those that are in a listing of the release, as they were.
  func confirmed(by listing: TreeListing) -> KnownContents {
    var kept = KnownContents(attributes: attributes)
    kept.entries.reserveCapacity(entries.count)
    for (item, facts) in zip(listing.items, listing.facts) where facts.kind == .file {
      if let entry = entries[item.path], entry.agrees(facts) { kept.entries[item.path] = entry }
    }
    return kept
  }

  static func facts(of path: TreePath, in top: Descriptor) -> stat? {
    var facts = stat()
    let isThere = path.withPointer { fstatat(top.raw, $0, &facts, AT_SYMLINK_NOFOLLOW) == 0 }
    return isThere && facts.st_mode & S_IFMT == S_IFREG ? facts : nil
  }
}

extension KnownContents.Entry {
  init(_ object: String, _ facts: stat) {
    self.init(
      object: object, inode: UInt64(facts.st_ino), size: UInt64(facts.st_size), modified: Self.modified(facts))
  }

  func agrees(_ facts: FileFacts) -> Bool {
    inode == facts.identity.inode && size == facts.size && modified == facts.modified
  }

  func agrees(_ facts: stat) -> Bool {
    inode == UInt64(facts.st_ino) && size == UInt64(facts.st_size) && modified == Self.modified(facts)
  }

  private static func modified(_ facts: stat) -> Int64 {
    Int64(facts.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(facts.st_mtim.tv_nsec)
  }
}
