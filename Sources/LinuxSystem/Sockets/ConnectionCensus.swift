import Glibc
package import Vocabulary

/// Which connections to a service's addresses processes hold, as the kernel has it at one moment: TCP connections in which
/// they may still have something to say, and connected Unix stream sockets. Asked before processes are killed, so that what is cut can
/// be told. Source: sock_diag(7), proc(5) on /proc/net/unix and /proc/PID/fd.
package struct ConnectionCensus {
  private let inodes: Set<UInt64>
  /// Why what was found is not the whole, which then is not to be taken for it.
  package let failure: SystemError?

  /// `connections`: how the kernel is asked, for tests.
  package init(
    of addresses: [SocketAddress],
    connections: (UInt16) throws(SystemError) -> Set<UInt64> = SocketDiagnosis.connections(onPort:)
  ) {
    var inodes: Set<UInt64> = []
    var failure: SystemError?
    let ports = Set(
      addresses.compactMap { address -> UInt16? in
        if case .tcp(let internet) = address { return internet.port }
        return nil
      })
    for port in ports {
      do throws(SystemError) { inodes.formUnion(try connections(port)) } catch { failure = error }
    }
    let paths = addresses.compactMap { address -> String? in
      if case .unix(let path) = address { return path }
      return nil
    }
    if !paths.isEmpty {
      do throws(SystemError) { inodes.formUnion(try Self.unixConnections(at: paths)) } catch { failure = error }
    }
    self.inodes = inodes
    self.failure = failure
  }

  /// nil: nobody can say.
  package func count(heldBy pids: [Int32]) -> Int? {
    guard failure == nil else { return nil }
    guard !inodes.isEmpty else { return 0 }
    // A parent and its children may hold the same one.
    return Set(pids.flatMap { SocketHolders.inodes(heldBy: $0) }).intersection(inodes).count
  }

  /// The accepting ends: they show the path their listener was bound to, which a listener that is renamed over the public
  /// path begins with.
  private static func unixConnections(at paths: [String]) throws(SystemError) -> Set<UInt64> {
    let text = try readFile("/proc/net/unix")
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
