import CLinux
import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem

/// Clients and listeners on loopback, for what only a real kernel can tell.
enum Loopback {
  static let v4: [UInt8] = [127, 0, 0, 1]
  static let v6 = [UInt8](repeating: 0, count: 15) + [1]
  static let options = ListeningSocket.Options(backlog: 1_024, nonblocking: true)

  static func address(_ host: SocketAddress.InternetAddress.Host = .v4(v4), port: UInt16 = 0)
    -> SocketAddress.InternetAddress
  { .init(host: host, port: port) }

  /// The first listener of a free port, and its address. The port is named in bind(2), as settings do: one the kernel
  /// chose there would be lost in a shutdown(2).
  static func first(
    _ host: SocketAddress.InternetAddress.Host = .v4(v4), datagram: Bool = false
  ) throws -> (Descriptor, SocketAddress.InternetAddress) {
    let chosen = try ListeningSocket.first(address(host), datagram: datagram, options)
    let named = address(host, port: try KernelAddress.local(of: chosen).port)
    chosen.close()
    return (try ListeningSocket.first(named, datagram: datagram, options), named)
  }

  /// A group of `count` listeners in the order of their joining.
  static func group(
    _ count: Int, _ host: SocketAddress.InternetAddress.Host = .v4(v4), datagram: Bool = false
  ) throws -> ([Descriptor], SocketAddress.InternetAddress) {
    let (first, address) = try first(host, datagram: datagram)
    var members = [first]
    while members.count < count {
      members.append(try ListeningSocket.joining(address, datagram: datagram, options))
    }
    return (members, address)
  }

  /// A client that has begun to connect, or is bound to its peer (datagrams).
  static func start(
    port: UInt16, host: [UInt8] = v4, mark: UInt32? = nil, source: [UInt8]? = nil, datagram: Bool = false
  ) throws -> Descriptor {
    let kind = datagram ? SOCK_DGRAM.rawValue : SOCK_STREAM.rawValue
    let family = host.count == 4 ? AF_INET : AF_INET6
    let client = Descriptor(
      owning: try retrying("socket") { cl_socket(family, Int32(kind | SOCK_NONBLOCK.rawValue)) })
    if let mark { try client.setOption(SOL_SOCKET, CL_SO_MARK, Int32(bitPattern: mark), "SO_MARK") }
    if let source {
      let address = KernelAddress(v4: source, port: 0)
      try retrying("bind") { withUnsafePointer(to: address.raw) { cl_bind(client.raw, $0) } }
    }
    let target = host.count == 4 ? KernelAddress(v4: host, port: port) : KernelAddress(v6: host, port: port)
    let answer = withUnsafePointer(to: target.raw) { cl_connect(client.raw, $0) }
    try #require(answer == 0 || errno == EINPROGRESS, "connect: \(ErrorNumber.name(errno))")
    return client
  }

  static func wait(_ descriptors: [Descriptor], for events: Int32, milliseconds: Int32 = 10_000) -> [Int] {
    var waiting = descriptors.map { pollfd(fd: $0.raw, events: Int16(events), revents: 0) }
    _ = poll(&waiting, nfds_t(waiting.count), milliseconds)
    return waiting.indices.filter { waiting[$0].revents != 0 }
  }

  /// The place in `listeners` of the one that a new client meets.
  static func met(
    _ listeners: [Descriptor], port: UInt16, host: [UInt8] = v4, mark: UInt32? = nil, source: [UInt8]? = nil
  ) throws -> Int {
    let client = try start(port: port, host: host, mark: mark, source: source)
    try #require(!wait([client], for: POLLOUT).isEmpty)
    let ready = wait(listeners, for: POLLIN)
    try #require(ready.count == 1)
    _ = try #require(try Connection.accept(from: listeners[ready[0]]))
    return ready[0]
  }

  /// How many of `count` clients each listener meets.
  static func tally(_ count: Int, _ listeners: [Descriptor], port: UInt16, host: [UInt8] = v4) throws -> [Int] {
    var tally = [Int](repeating: 0, count: listeners.count)
    for _ in 0..<count { tally[try met(listeners, port: port, host: host)] += 1 }
    return tally
  }

  /// A filter that lets everything through.
  static func attachForeignFilter(_ raw: Int32) -> Int32 {
    let all = [cl_instruction(code: 0x06, if_true: 0, if_false: 0, value: .max)]
    return cl_attach_filter(raw, all, all.count)
  }

  /// Whether sockets may be marked here: otherwise tests of marks say so by name.
  static var canMark: Bool {
    let raw = cl_socket(AF_INET, Int32(SOCK_STREAM.rawValue))
    defer { close(raw) }
    return cl_set_option(raw, SOL_SOCKET, CL_SO_MARK, 1) == 0
  }
}
