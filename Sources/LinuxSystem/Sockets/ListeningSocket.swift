import CLinux
import Glibc
package import Vocabulary

/// Why a service cannot listen where it should.
package enum ListenError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Somebody else has the address.
  case taken(String, holders: [String])
  case system(SystemError)
  /// What is there, was passed or would be made is not what the settings say.
  case unfit(String)
  /// A second listener on the same address cannot be had: the first belongs to another user.
  case cannotJoin(String)

  package var description: String {
    switch self {
    case .taken(let address, let holders):
      "\(address) is taken" + (holders.isEmpty ? " by another process" : " by " + holders.joined(separator: ", "))
    case .system(let error): "\(error)"
    case .unfit(let why), .cannotJoin(let why): why
    }
  }
}

/// Makes the sockets a service answers on: the first of an address, and those that join it. Source: socket(7), ip(7).
package struct ListeningSocket {
  package struct Options: Hashable, Sendable {
    package var backlog: Int32
    package var nonblocking: Bool

    package init(backlog: Int, nonblocking: Bool) {
      self.backlog = Int32(clamping: backlog)
      self.nonblocking = nonblocking
    }
  }

  package let descriptor: Descriptor

  // MARK: TCP and UDP

  /// The first listener of an address. Bound without SO_REUSEPORT, so that a taken port is an error whoever took it;
  /// then opened to joiners, with a program that sends everyone to it.
  package static func first(
    _ address: SocketAddress.InternetAddress, datagram: Bool, _ options: Options
  ) throws(ListenError) -> Descriptor {
    do {
      let target = KernelAddress(address)
      if datagram {
        // The group of a UDP socket is made when it is bound: whether the port is free is tried beforehand.
        let trial = try make(target, address, datagram: true, options)
        try bind(trial, target, address, datagram: true)
        let bound = try KernelAddress.local(of: trial).port
        trial.close()
        var exact = address
        exact.port = bound
        return try member(exact, datagram: true, options, listens: true)
      }
      let socket = try make(target, address, datagram: false, options)
      try bind(socket, target, address, datagram: false)
      try socket.setOption(SOL_SOCKET, CL_SO_REUSEPORT, 1, "SO_REUSEPORT")
      try listen(socket, options)
      try SteeringInstructions.constant(0).attach(to: socket)
      return socket
    } catch let error as ListenError {
      throw error
    } catch let error as SystemError {
      throw .system(error)
    } catch { throw .unfit("\(error)") }
  }

  /// A further listener on the exact address (with its real port) of one that is there.
  ///
  /// `behindDoor`: the group has no program yet, so the kernel would spread clients at once. Everything that comes to the
  /// new listener is dropped (and sent again by the client's kernel) until ``openDoor(_:)``.
  package static func joining(
    _ address: SocketAddress.InternetAddress, datagram: Bool, _ options: Options, behindDoor: Bool = false
  ) throws(ListenError) -> Descriptor {
    do {
      return try member(address, datagram: datagram, options, listens: true, behindDoor: behindDoor)
    } catch let error as SystemError {
      if error.errno == EADDRINUSE { throw .cannotJoin("no second listener can be had: \(error)") }
      throw .system(error)
    } catch { throw .unfit("\(error)") }
  }

  package static func openDoor(_ socket: Descriptor) throws(SystemError) {
    let raw = socket.raw
    try retrying("open", "fd \(raw)") { cl_open_door(raw) }
  }

  /// listen(2) again, after somebody shut the TCP socket down: it joins its group anew, as the last. Only where bind(2)
  /// named the port: one the kernel chose is lost with the shutdown.
  ///
  /// Whoever shuts it down a second time is told ENOTCONN, and yet the socket remembers it: were it to listen so, the kernel
  /// would end each connection as soon as it is made. So it is made to forget, and when the second shutdown came between that
  /// and listen(2), it begins anew. (Source: inet_shutdown, tcp_disconnect and tcp_rcv_state_process of Linux.)
  package static func listenAgain(_ socket: Descriptor, _ options: Options) throws(SystemError) {
    let raw = socket.raw
    for _ in 0..<attempts {
      try retrying("forget the shutdown of", "fd \(raw)") { cl_disconnect(raw) }
      try listen(socket, options)
      if !isShut(socket) { return }
    }
    throw SystemError("listen on", "fd \(raw), which is shut down again and again", errno: ESHUTDOWN)
  }

  private static let attempts = 8

  private static func isShut(_ socket: Descriptor) -> Bool {
    do throws(SystemError) {
      let port = try KernelAddress.local(of: socket).port
      return try SocketDiagnosis.listeners(onPort: port).contains { $0.inode == socket.inode && $0.isShut }
    } catch {
      // Nobody can say. It listens, and only a shutdown just between the two calls would have been missed: no reason to
      // give it up.
      return false
    }
  }

  /// One that listens gets the backlog and the blocking that the settings say now.
  package static func renew(_ socket: Descriptor, _ options: Options) throws(SystemError) {
    try socket.setNonblocking(options.nonblocking)
    try listen(socket, options)
  }

  private static func listen(_ socket: Descriptor, _ options: Options) throws(SystemError) {
    let raw = socket.raw
    try retrying("listen on", "fd \(raw)") { Glibc.listen(raw, options.backlog) }
  }

  private static func member(
    _ address: SocketAddress.InternetAddress, datagram: Bool, _ options: Options, listens: Bool,
    behindDoor: Bool = false
  ) throws -> Descriptor {
    let target = KernelAddress(address)
    let socket = try make(target, address, datagram: datagram, options)
    try socket.setOption(SOL_SOCKET, CL_SO_REUSEPORT, 1, "SO_REUSEPORT")
    if behindDoor {
      let raw = socket.raw
      try retrying("shut the door of", "fd \(raw)") { cl_shut_door(raw) }
    }
    let raw = socket.raw
    try retrying("bind", address.text) {
      withUnsafePointer(to: target.raw) { cl_bind(raw, $0) }
    }
    if !datagram { try listen(socket, options) }
    return socket
  }

  private static func make(
    _ target: KernelAddress, _ address: SocketAddress.InternetAddress, datagram: Bool, _ options: Options
  ) throws(SystemError) -> Descriptor {
    let kind = datagram ? SOCK_DGRAM : SOCK_STREAM
    let type = Int32(kind.rawValue) | (options.nonblocking ? Int32(SOCK_NONBLOCK.rawValue) : 0)
    let socket = Descriptor(owning: try retrying("make a socket for", address.text) { cl_socket(target.family, type) })
    if !datagram { try socket.setOption(SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR") }
    if target.family == AF_INET6 {
      try socket.setOption(Int32(IPPROTO_IPV6), IPV6_V6ONLY, address.host == .any ? 0 : 1, "IPV6_V6ONLY")
    }
    return socket
  }

  private static func bind(
    _ socket: Descriptor, _ target: KernelAddress, _ address: SocketAddress.InternetAddress, datagram: Bool
  ) throws {
    let raw = socket.raw
    do {
      try retrying("bind", address.text) { withUnsafePointer(to: target.raw) { cl_bind(raw, $0) } }
    } catch {
      guard error.errno == EADDRINUSE else { throw error }
      throw ListenError.taken(address.text, holders: SocketHolders.describe(port: address.port, datagram: datagram))
    }
  }

  // MARK: Unix

  /// A listener at `path`, which must not exist. Whoever calls renames it to where clients look.
  package static func unix(
    _ path: String, _ options: Options, mode: UInt32, owner: UInt32?, group: UInt32?
  ) throws(ListenError) -> Descriptor {
    var bound = false
    var complete = false
    defer { if bound && !complete { unlink(path) } }
    do {
      guard let target = KernelAddress(path: path) else {
        throw ListenError.unfit("\(path) is no path for a socket: it takes 1 to 107 bytes")
      }
      let type = Int32(SOCK_STREAM.rawValue) | (options.nonblocking ? Int32(SOCK_NONBLOCK.rawValue) : 0)
      let socket = Descriptor(owning: try retrying("make a socket for", path) { cl_socket(AF_UNIX, type) })
      let raw = socket.raw
      try retrying("bind", path) { withUnsafePointer(to: target.raw) { cl_bind(raw, $0) } }
      bound = true
      try give(path, mode: mode, owner: owner, group: group)
      try listen(socket, options)
      complete = true
      return socket
    } catch let error as ListenError {
      throw error
    } catch let error as SystemError {
      throw .system(error)
    } catch { throw .unfit("\(error)") }
  }

  /// What has a path and keeps it: a socket somebody answers on, or a file that is no socket. nil: the path is free, or
  /// held by a left-over socket, and may be taken by rename(2).
  package static func occupant(of path: String) -> String? {
    var status = stat()
    guard lstat(path, &status) == 0 else { return nil }
    guard status.st_mode & S_IFMT == S_IFSOCK else { return "a file that is no socket" }
    do throws(SystemError) {
      let peer = try Connection.open(path: path).peerCredentials()
      return "\(ProcessTree.command(of: peer.pid)) (pid \(peer.pid))"
    } catch {
      // Any other answer than these comes from somebody who is there: a full queue, a lack of rights.
      return error.errno == ECONNREFUSED || error.errno == ENOENT ? nil : "a process that answers \(error.name)"
    }
  }

  package static func give(_ path: String, mode: UInt32, owner: UInt32?, group: UInt32?) throws(SystemError) {
    if owner != nil || group != nil {
      try retrying("change the owner of", path) { chown(path, owner ?? .max, group ?? .max) }
    }
    try retrying("change the mode of", path) { chmod(path, mode) }
  }

  // MARK: Inherited

  /// What of a descriptor from systemd is not as the settings say: its kind, that it listens, and where. Nil where all is.
  package static func difference(of descriptor: Descriptor, from address: SocketAddress) throws(ListenError) -> String?
  {
    do throws(SystemError) {
      return try difference(of: descriptor, at: try KernelAddress.local(of: descriptor), from: address)
    } catch {
      if error.errno == ENOTSOCK { return "is no socket" }
      throw .system(error)
    }
  }

  private static func difference(
    of descriptor: Descriptor, at local: KernelAddress, from address: SocketAddress
  ) throws(SystemError) -> String? {
    let kind = try descriptor.knownOption(SOL_SOCKET, SO_TYPE, "the kind")
    let isStream = kind == Int32(SOCK_STREAM.rawValue)
    let isInternet = local.family == AF_INET || local.family == AF_INET6
    switch address {
    case .tcp(let wanted):
      guard isInternet, isStream else { return "is not a TCP socket" }
      return descriptor.isListening ? try difference(of: descriptor, at: local, from: wanted) : "does not listen"
    case .udp(let wanted):
      guard isInternet, !isStream else { return "is not a UDP socket" }
      return try difference(of: descriptor, at: local, from: wanted)
    case .unix(let path):
      guard local.family == AF_UNIX, isStream, descriptor.isListening else { return "is not a listening Unix socket" }
      // One that was made here was bound beside the path, as PATH.NUMBER: the kernel remembers only that name.
      return local.path == path || local.path.hasPrefix(path + ".") ? nil : "is at \(local.path)"
    }
  }

  private static func difference(
    of descriptor: Descriptor, at local: KernelAddress, from wanted: SocketAddress.InternetAddress
  ) throws(SystemError) -> String? {
    let found = SocketAddress.InternetAddress(
      host: local.family == AF_INET ? .v4(local.bytes) : .v6(local.bytes), port: local.port)
    guard wanted.port == 0 || found.port == wanted.port else { return "has port \(found.port)" }
    let isWildcard = local.family == AF_INET6 && local.bytes.allSatisfy { $0 == 0 }
    let takesBoth =
      isWildcard ? try descriptor.knownOption(Int32(IPPROTO_IPV6), IPV6_V6ONLY, "the protocols") == 0 : false
    switch wanted.host {
    case .any: return takesBoth ? nil : isWildcard ? "takes IPv6 only" : "is at \(found.text)"
    case .v6 where takesBoth: return "takes IPv4 too"
    case .v4, .v6: return found.host == wanted.host ? nil : "is at \(found.text)"
    }
  }
}
