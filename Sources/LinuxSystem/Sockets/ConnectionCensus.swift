import Glibc
package import Vocabulary

/// Which connections to a service's addresses processes hold, as the kernel has it at one moment: TCP connections in which
/// they may still have something to say, and connected Unix stream sockets. Asked before processes are killed, so that what is cut can
/// be told. Source: sock_diag(7), proc(5) on /proc/net/unix and /proc/PID/fd.
package struct ConnectionCensus {
  private let inodes: Set<UInt64>

  /// Of what the kernel does not tell, nothing is counted.
  package init(of addresses: [SocketAddress]) {
    var inodes: Set<UInt64> = []
    let ports = Set(
      addresses.compactMap { address -> UInt16? in
        if case .tcp(let internet) = address { return internet.port }
        return nil
      })
    for port in ports { inodes.formUnion((try? SocketDiagnosis.connections(onPort: port)) ?? []) }
    let paths = addresses.compactMap { address -> String? in
      if case .unix(let path) = address { return path }
      return nil
    }
    if !paths.isEmpty { inodes.formUnion(Self.unixConnections(at: paths)) }
    self.inodes = inodes
  }

  package func count(heldBy pids: [Int32]) -> Int {
    guard !inodes.isEmpty else { return 0 }
    // A parent and its children may hold the same one.
    return Set(pids.flatMap { SocketHolders.inodes(heldBy: $0) }).intersection(inodes).count
  }

  /// The accepting ends: they show the path their listener was bound to, which a listener that is renamed over the public
  /// path begins with.
  private static func unixConnections(at paths: [String]) -> Set<UInt64> {
    guard let text = try? readFile("/proc/net/unix") else { return [] }
    var found: Set<UInt64> = []
    for line in text.split(separator: 0x0a) {
      let fields = String(decoding: line, as: UTF8.self).split(separator: " ", maxSplits: 7)
      // Num RefCount Protocol Flags Type St Inode Path
      guard fields.count == 8, fields[5] == connected, let inode = UInt64(fields[6]),
        paths.contains(where: { fields[7] == $0 || fields[7].hasPrefix("\($0).") })
      else { continue }
      found.insert(inode)
    }
    return found
  }

  /// SS_CONNECTED
  private static let connected = "03"
}
