import CLinux
import Glibc

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
  }

  private static let limit = 4_096
  private static let listening: UInt32 = 1 << 10
  private static let synReceived: UInt32 = 1 << 3 | 1 << 12
  private static let anyState: UInt32 = 0xffff_ffff

  /// Every TCP listener on `port`, of both families.
  package static func listeners(onPort port: UInt16) throws(SystemError) -> [Entry] {
    try entries(Int32(IPPROTO_TCP), listening, port)
  }

  /// Every UDP socket bound to `port`, of both families.
  package static func datagramSockets(onPort port: UInt16) throws(SystemError) -> [Entry] {
    try entries(Int32(IPPROTO_UDP), anyState, port).filter { $0.remotePort == 0 }
  }

  /// Connections to `port` whose handshake is not complete. They show no listener: only their addresses tell them apart.
  package static func halfOpen(onPort port: UInt16) throws(SystemError) -> Set<Peer> {
    Set(try entries(Int32(IPPROTO_TCP), synReceived, port).map { Peer(address: $0.remote, port: $0.remotePort) })
  }

  package struct Peer: Hashable, Sendable {
    package let address: [UInt8]
    package let port: UInt16
  }

  private static func entries(_ transport: Int32, _ states: UInt32, _ port: UInt16) throws(SystemError) -> [Entry] {
    var all: [Entry] = []
    for family in [AF_INET, AF_INET6] {
      var buffer = [cl_socket_entry](repeating: cl_socket_entry(), count: limit)
      let count = try retrying("list the sockets on port", "\(port)") {
        cl_list_sockets(family, transport, states, port, &buffer, Int32(limit))
      }
      all += buffer.prefix(Int(count)).map { raw in
        Entry(
          address: withUnsafeBytes(of: raw.local) { Array($0.prefix(family == AF_INET ? 4 : 16)) },
          remote: withUnsafeBytes(of: raw.remote) { Array($0.prefix(family == AF_INET ? 4 : 16)) },
          remotePort: raw.remote_port, inode: UInt64(raw.inode), user: raw.uid, queued: Int(raw.queued),
          cgroup: raw.cgroup)
      }
    }
    return all
  }
}
