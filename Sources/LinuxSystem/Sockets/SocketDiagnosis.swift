import CLinux
import Glibc
package import Vocabulary

/// What the kernel says of the sockets on a port, of every process and user. Source: sock_diag(7).
package enum SocketDiagnosis {
  package struct Entry: Hashable, Sendable {
    package let address: [UInt8]
    package let remote: [UInt8]
    package let remotePort: UInt16
    package let inode: UInt64
    package let user: UInt32
    /// Of a listener: connections waiting to be accepted.
    package let queued: Int
    /// The number of the cgroup it was made in; 0 where the kernel does not say.
    package let cgroup: UInt64
    /// Somebody has called shutdown(2) on it.
    package let isShut: Bool
  }

  /// Room for as many is made first: who asks does so while clients wait.
  private static let usual = 64
  private static let limit = 4_096
  private static let listening: UInt32 = 1 << 10
  private static let synReceived: UInt32 = 1 << 3 | 1 << 12
  /// TCP_ESTABLISHED and TCP_CLOSE_WAIT: this end may still have something to say.
  private static let open: UInt32 = 1 << 1 | 1 << 8
  private static let anyState: UInt32 = 0xffff_ffff

  /// Every TCP listener on `port`, of both families.
  package static func listeners(onPort port: UInt16) throws(SystemError) -> [Entry] {
    try entries(Int32(IPPROTO_TCP), listening, port)
  }

  /// Every UDP socket bound to `port`, of both families.
  package static func datagramSockets(onPort port: UInt16) throws(SystemError) -> [Entry] {
    try entries(Int32(IPPROTO_UDP), anyState, port).filter { $0.remotePort == 0 }
  }

  /// Connections to `address` whose handshake is not complete. They show no listener: only their addresses tell them apart.
  /// The kernel walks through all its connections for it, once for each family: half a millisecond with many.
  package static func halfOpen(at address: SocketAddress.InternetAddress) throws(SystemError) -> Set<Peer> {
    let families =
      switch address.host {
      case .v4: [AF_INET]
      case .v6: [AF_INET6]
      case .any: [AF_INET, AF_INET6]
      }
    let found = try entries(Int32(IPPROTO_TCP), synReceived, address.port, families)
    return Set(found.map { Peer(address: $0.remote, port: $0.remotePort) })
  }

  /// The connections to `port` that some process holds, by inode.
  package static func connections(onPort port: UInt16) throws(SystemError) -> Set<UInt64> {
    Set(try entries(Int32(IPPROTO_TCP), open, port, most: 262_144).map(\.inode)).subtracting([0])
  }

  /// When each connection to `port` was ended that this end ended first and no process holds any more, as far as the
  /// kernel still knows: of the last minute. Source: tcp(7), `tcp_fin_timeout`; TCP_TIMEWAIT_LEN is fixed.
  package static func ended(onPort port: UInt16) throws(SystemError) -> [Instant] {
    let timeout = (try? readFile("/proc/sys/net/ipv4/tcp_fin_timeout")).flatMap { bytes in
      Int64(String(decoding: bytes, as: UTF8.self).filter(\.isNumber))
    }
    var ends: [Instant] = []
    for family in [AF_INET, AF_INET6] {
      var buffer = [cl_socket_entry](repeating: cl_socket_entry(), count: endedLimit)
      let count = min(endedLimit, try list(family, Int32(IPPROTO_TCP), 1 << finWait2 | 1 << timeWait, port, &buffer))
      let now = Instant.monotonicNow()
      for entry in buffer.prefix(count) where entry.inode == 0 && entry.kept_ms > 0 {
        let kept = entry.state == finWait2 ? timeout ?? 60 : 60
        ends.append(now + .milliseconds(Int64(entry.kept_ms)) + .seconds(-kept))
      }
    }
    return ends
  }

  /// Of each family; those above are not counted.
  private static let endedLimit = 16_384
  private static let finWait2: UInt32 = 5
  private static let timeWait: UInt32 = 6

  package struct Peer: Hashable, Sendable {
    package let address: [UInt8]
    package let port: UInt16
  }

  private static func entries(
    _ transport: Int32, _ states: UInt32, _ port: UInt16, _ families: [Int32] = [AF_INET, AF_INET6],
    most: Int = limit
  ) throws(SystemError) -> [Entry] {
    var all: [Entry] = []
    for family in families {
      var buffer = [cl_socket_entry](repeating: cl_socket_entry(), count: usual)
      var count = try list(family, transport, states, port, &buffer)
      if count > usual {
        // More may have come meanwhile.
        let room = min(most, max(limit, count + count / 4))
        buffer = [cl_socket_entry](repeating: cl_socket_entry(), count: room)
        count = min(room, try list(family, transport, states, port, &buffer))
      }
      all += buffer.prefix(count).map { Entry($0, family) }
    }
    return all
  }

  private static func list(
    _ family: Int32, _ transport: Int32, _ states: UInt32, _ port: UInt16, _ buffer: inout [cl_socket_entry]
  ) throws(SystemError) -> Int {
    let capacity = Int32(buffer.count)
    return Int(
      try retrying("list the sockets on port", "\(port)") {
        cl_list_sockets(family, transport, states, port, &buffer, capacity)
      })
  }
}

extension SocketDiagnosis.Entry {
  fileprivate init(_ raw: cl_socket_entry, _ family: Int32) {
    let length = family == AF_INET ? 4 : 16
    address = withUnsafeBytes(of: raw.local) { Array($0.prefix(length)) }
    remote = withUnsafeBytes(of: raw.remote) { Array($0.prefix(length)) }
    remotePort = raw.remote_port
    inode = UInt64(raw.inode)
    user = raw.uid
    queued = Int(raw.queued)
    cgroup = raw.cgroup
    isShut = raw.shut != 0
  }
}
