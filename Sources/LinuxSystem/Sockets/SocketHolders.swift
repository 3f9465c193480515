import Glibc

/// Who holds a port, for an error a person reads.
package enum SocketHolders {
  private static let maxProcesses = 20_000

  /// `nginx (pid 812)` for each process that listens on `port`, or has a UDP socket there; a user id where /proc does not
  /// tell.
  package static func describe(port: UInt16, datagram: Bool) -> [String] {
    let found =
      datagram ? try? SocketDiagnosis.datagramSockets(onPort: port) : try? SocketDiagnosis.listeners(onPort: port)
    guard let entries = found, !entries.isEmpty else { return [] }
    let names = processes(holding: Set(entries.map(\.inode)))
    return names.isEmpty ? Set(entries.map(\.user)).sorted().map { "a process of uid \($0)" } : names
  }

  /// The sockets a process holds, as inodes; empty where /proc does not tell.
  package static func inodes(heldBy pid: Int32) -> [UInt64] {
    ((try? directoryEntries("/proc/\(pid)/fd")) ?? []).compactMap { descriptor in
      guard let link = link("/proc/\(pid)/fd/\(descriptor)"), link.hasPrefix("socket:[") else { return nil }
      return UInt64(link.dropFirst("socket:[".count).dropLast())
    }
  }

  /// `nginx (pid 812)` for each process that holds one of the sockets; at most five.
  package static func processes(holding inodes: Set<UInt64>) -> [String] {
    let links = Set(inodes.map { "socket:[\($0)]" })
    var found: [String] = []
    let pids = ((try? directoryEntries("/proc")) ?? []).compactMap { Int32($0) }
    for pid in pids.prefix(maxProcesses) {
      for descriptor in (try? directoryEntries("/proc/\(pid)/fd")) ?? [] {
        guard let link = link("/proc/\(pid)/fd/\(descriptor)"), links.contains(link) else { continue }
        found.append("\(ProcessTree.command(of: pid)) (pid \(pid))")
        break
      }
      if found.count >= 5 { break }
    }
    return found
  }

  private static func link(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: 256)
    let length = readlink(path, &buffer, buffer.count)
    return length > 0 ? String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
  }
}
