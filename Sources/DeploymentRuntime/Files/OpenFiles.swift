internal import CLinux
internal import Glibc
package import LinuxSystem

/// A file of a tree that a process may write at any moment.
package struct OpenFile: Hashable, Sendable {
  package let path: TreePath
  package let pid: Int32
  package let command: String
}

/// Who is at work in a tree, as /proc tells: files open for writing, by whatever name, and shared writable mappings, as
/// SQLite has them. Only root sees everybody. Source: proc(5).
package struct TreeUsers {
  package private(set) var writers: [OpenFile] = []
  /// Processes that run a program of the tree, work in it, or have a file of it open.
  package private(set) var processes: Set<Int32> = []
  private let names: [FileFacts.Identity: TreePath]

  /// More open files than this are not looked at, and E2BIG is thrown.
  private static let limit = 2_000_000

  /// - Throws: EPERM where the files of some process may not be seen: then nothing can be said.
  package static func of(_ names: [FileFacts.Identity: TreePath]) throws(SystemError) -> TreeUsers {
    var users = TreeUsers(names: names)
    var count = 0
    for name in try directoryEntries("/proc") {
      guard let pid = Int32(name), pid != getpid() else { continue }
      try users.look(at: pid, &count)
    }
    users.writers.sort { ($0.path, $0.pid) < ($1.path, $1.pid) }
    return users
  }

  init(names: [FileFacts.Identity: TreePath]) { self.names = names }

  private mutating func look(at pid: Int32, _ count: inout Int) throws(SystemError) {
    let descriptors: [String]
    do throws(SystemError) { descriptors = try directoryEntries("/proc/\(pid)/fd") } catch {
      // It has ended, or is a kernel thread; a refusal is something else.
      if error.errno == EACCES || error.errno == EPERM {
        throw SystemError("see the open files of", "process \(pid) (\(ProcessTree.command(of: pid)))", errno: EPERM)
      }
      return
    }
    for link in ["exe", "cwd"] where identity("/proc/\(pid)/\(link)").flatMap({ names[$0] }) != nil {
      processes.insert(pid)
    }
    var written: Set<TreePath> = []
    for descriptor in descriptors {
      count += 1
      guard count <= Self.limit else { throw SystemError("see the open files of", "all processes", errno: E2BIG) }
      guard let path = identity("/proc/\(pid)/fd/\(descriptor)").flatMap({ names[$0] }) else { continue }
      processes.insert(pid)
      if Self.isWriting(pid, descriptor) { written.insert(path) }
    }
    for path in Self.mappings(pid, names) { written.insert(path) }
    guard !written.isEmpty else { return }
    processes.insert(pid)
    let command = ProcessTree.command(of: pid)
    writers += written.map { OpenFile(path: $0, pid: pid, command: command) }
  }

  private func identity(_ path: String) -> FileFacts.Identity? {
    var facts = stat()
    guard stat(path, &facts) == 0 else { return nil }
    return FileFacts.Identity(device: UInt64(facts.st_dev), inode: UInt64(facts.st_ino))
  }

  /// `flags: 0100002` of fdinfo, in octal.
  private static func isWriting(_ pid: Int32, _ descriptor: String) -> Bool {
    guard let bytes = try? readFile("/proc/\(pid)/fdinfo/\(descriptor)", limit: 1 << 16) else { return false }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("flags:") {
      guard let flags = Int32(line.dropFirst(6).drop { $0 == "\t" || $0 == " " }, radix: 8) else { return true }
      return flags & O_ACCMODE != O_RDONLY
    }
    return true
  }

  /// `7f…-7f… rw-s 00000000 fe:00 1234  /path`: shared and writable, so writes come without any descriptor.
  private static func mappings(_ pid: Int32, _ names: [FileFacts.Identity: TreePath]) -> [TreePath] {
    guard let bytes = try? readFile("/proc/\(pid)/maps", limit: 64 << 20) else { return [] }
    var found: [TreePath] = []
    var start = 0
    while let end = index(of: "\n", in: bytes, from: start) {
      let line = start..<end
      start = end + 1
      // A process has hundreds of mappings, and hardly ever one like this.
      guard let space = index(of: " ", in: bytes, from: line.lowerBound), space + 4 < end,
        bytes[space + 2] == UInt8(ascii: "w"), bytes[space + 4] == UInt8(ascii: "s")
      else { continue }
      let fields = bytes[line].split(separator: UInt8(ascii: " "), maxSplits: 5)
      guard fields.count > 4, let inode = UInt64(String(decoding: fields[4], as: UTF8.self)) else { continue }
      let device = String(decoding: fields[3], as: UTF8.self).split(separator: ":").compactMap { UInt32($0, radix: 16) }
      guard device.count == 2 else { continue }
      let identity = FileFacts.Identity(device: cl_device(device[0], device[1]), inode: inode)
      if let path = names[identity] { found.append(path) }
    }
    return found
  }

  /// By memchr(3): all mappings of all processes are megabytes.
  private static func index(of byte: Unicode.Scalar, in bytes: [UInt8], from start: Int) -> Int? {
    bytes.withUnsafeBytes { all in
      guard let base = all.baseAddress, start < all.count else { return nil }
      return memchr(base + start, Int32(byte.value), all.count - start).map { base.distance(to: UnsafeRawPointer($0)) }
    }
  }

  /// Who the processes run as, root last: whom a release must be readable by.
  package func identity() -> Identity? {
    let all = processes.sorted().compactMap(Self.identity(of:))
    return all.first { $0.user != 0 } ?? all.first
  }

  private static func identity(of pid: Int32) -> Identity? {
    guard let bytes = try? readFile("/proc/\(pid)/status", limit: 1 << 16) else { return nil }
    var ids: [String: [UInt32]] = [:]
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      if parts.count == 2 {
        ids[String(parts[0])] = parts[1].split { $0 == "\t" || $0 == " " }.compactMap { UInt32($0) }
      }
    }
    // Real, effective, saved, file system.
    guard let users = ids["Uid"], users.count == 4, let groups = ids["Gid"], groups.count == 4 else { return nil }
    return Identity(user: users[1], group: groups[1], groups: ids["Groups"] ?? [])
  }

  /// A process of the tree for which `path` lies on a mount it may only read: a sandbox of its unit.
  package func readOnlyView(of path: String) -> Int32? {
    processes.sorted().first { pid in
      guard let bytes = try? readFile("/proc/\(pid)/mountinfo", limit: 16 << 20) else { return false }
      var best = (length: -1, isReadOnly: false)
      for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
        let fields = line.split(separator: " ")
        guard fields.count > 5 else { continue }
        let point = fields[4]
        guard point == "/" || path == point || path.hasPrefix("\(point)/"), point.utf8.count >= best.length else {
          continue
        }
        // A later mount on the same place hides the earlier one.
        best = (point.utf8.count, fields[5].split(separator: ",").contains("ro"))
      }
      return best.isReadOnly
    }
  }
}
