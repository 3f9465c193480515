import CLinux
import Glibc

/// Stream connections, made and taken without waiting; every descriptor is close-on-exec and non-blocking.
package enum Connection {
  /// The next connection that waits at a non-blocking listener; nil when there is none. Source: accept(2).
  ///
  /// - Throws: EMFILE, ENFILE, ENOMEM: the connection still waits, so stop watching the listener for a while. Connections
  ///   that failed while they waited are passed over.
  package static func accept(from listener: Descriptor) throws(SystemError) -> Descriptor? {
    while true {
      do throws(SystemError) {
        let raw = try unlessWouldBlock("accept a connection on", "\(listener)") { cl_accept(listener.raw) }
        return raw.map { Descriptor(owning: $0) }
      } catch {
        if ![ECONNABORTED, EPROTO, EPERM].contains(error.errno) { throw error }
      }
    }
  }

  /// Connects to a Unix stream socket: at once or not at all.
  ///
  /// - Throws: ENOENT and ECONNREFUSED when nobody answers, EAGAIN when the queue is full, EACCES. Source: unix(7).
  package static func open(path: String) throws(SystemError) -> Descriptor {
    guard let target = KernelAddress(path: path) else { throw SystemError("connect to", path, errno: ENAMETOOLONG) }
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue)
    let socket = Descriptor(owning: try retrying("make a socket for", path) { cl_socket(AF_UNIX, type) })
    try retrying("connect to", path) { withUnsafePointer(to: target.raw) { cl_connect(socket.raw, $0) } }
    return socket
  }

  /// Two ends of one connection. Source: socketpair(2).
  package static func pair() throws(SystemError) -> (Descriptor, Descriptor) {
    var ends: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    try retrying("make a socket pair") { socketpair(AF_UNIX, type, 0, &ends) }
    return (Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
  }
}

/// Who was at the other end of a Unix socket when it was connected; not necessarily who holds it now.
package struct PeerCredentials: Hashable, Sendable {
  package let pid: Int32
  package let user: UInt32
  package let group: UInt32
}

extension Descriptor {
  /// SO_PEERCRED. Source: unix(7).
  package func peerCredentials() throws(SystemError) -> PeerCredentials {
    var pid: Int32 = 0
    var user: UInt32 = 0
    var group: UInt32 = 0
    try retrying("read the peer of", "\(self)") { cl_peer_credentials(raw, &pid, &user, &group) }
    return PeerCredentials(pid: pid, user: user, group: group)
  }

  /// SO_PEERGROUPS: the supplementary groups the peer had when it connected. Source: socket(7).
  package func peerGroups() throws(SystemError) -> [UInt32] {
    let option: Int32 = 59  // SO_PEERGROUPS of asm-generic/socket.h
    // The kernel's own limit, so one call is enough.
    var groups = [UInt32](repeating: 0, count: 65_536)
    var size = socklen_t(groups.count * MemoryLayout<UInt32>.size)
    try retrying("read the groups of the peer of", "\(self)") {
      getsockopt(raw, SOL_SOCKET, option, &groups, &size)
    }
    return Array(groups.prefix(Int(size) / MemoryLayout<UInt32>.size))
  }
}
