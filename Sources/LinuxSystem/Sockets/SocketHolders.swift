import Glibc

/// Who holds a port, for an error a person reads.
package enum SocketHolders {
  private static let maxProcesses = 20_000

  /// `nginx (pid 812)` for each process that has a TCP listener on `port`; a user id where /proc does not tell.
  package static func describe(port: UInt16) -> [String] {
    guard let entries = try? SocketDiagnosis.listeners(onPort: port), !entries.isEmpty else { return [] }
    let names = processes(holding: Set(entries.map(\.inode)))
    return names.isEmpty ? Set(entries.map(\.user)).sorted().map { "a process of uid \($0)" } : names
  }

  private static func processes(holding inodes: Set<UInt64>) -> [String] {
    let links = Set(inodes.map { "socket:[\($0)]" })
    var found: [String] = []
    for pid in entries(of: "/proc").prefix(maxProcesses) where pid.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
      for descriptor in entries(of: "/proc/\(pid)/fd") {
        guard let link = link("/proc/\(pid)/fd/\(descriptor)"), links.contains(link) else { continue }
        found.append("\(command(of: pid)) (pid \(pid))")
        break
      }
      if found.count >= 5 { break }
    }
    return found
  }

  private static func entries(of path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }

  private static func link(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: 256)
    let length = readlink(path, &buffer, buffer.count)
    return length > 0 ? String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
  }

  private static func command(of pid: String) -> String {
    guard let file = try? Descriptor.open("/proc/\(pid)/comm", flags: O_RDONLY) else { return "a process" }
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = read(file.raw, &buffer, buffer.count)
    return count > 0 ? String(decoding: buffer.prefix(count).prefix { $0 != 0x0a }, as: UTF8.self) : "a process"
  }
}
