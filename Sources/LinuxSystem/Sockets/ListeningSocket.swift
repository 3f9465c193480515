import CLinux
import Glibc
package import Vocabulary

/// Why a service cannot listen where it should.
package enum ListenError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Somebody else has the address.
  case taken(String, holders: [String])
  case system(SystemError)
  /// An inherited descriptor is not what its name says.
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
        try bind(trial, target, address)
        let bound = try KernelAddress.local(of: trial).port
        trial.close()
        var exact = address
        exact.port = bound
        return try member(exact, datagram: true, options, listens: true)
      }
      let socket = try make(target, address, datagram: false, options)
      try bind(socket, target, address)
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

  /// listen(2) again, after somebody shut the socket down: it joins its group anew, as the last.
  package static func listen(_ socket: Descriptor, _ options: Options) throws(SystemError) {
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
    _ socket: Descriptor, _ target: KernelAddress, _ address: SocketAddress.InternetAddress
  ) throws {
    let raw = socket.raw
    do {
      try retrying("bind", address.text) { withUnsafePointer(to: target.raw) { cl_bind(raw, $0) } }
    } catch {
      guard error.errno == EADDRINUSE else { throw error }
      throw ListenError.taken(address.text, holders: SocketHolders.describe(port: address.port))
    }
  }

  // MARK: Unix

  /// A listener at `path`, which must not exist. Whoever calls renames it to where clients look.
  package static func unix(
    _ path: String, _ options: Options, mode: UInt32, owner: UInt32?, group: UInt32?
  ) throws(ListenError) -> Descriptor {
    do {
      guard let target = KernelAddress(path: path) else {
        throw ListenError.unfit("\(path) is no path for a socket: it takes 1 to 107 bytes")
      }
      let type = Int32(SOCK_STREAM.rawValue) | (options.nonblocking ? Int32(SOCK_NONBLOCK.rawValue) : 0)
      let socket = Descriptor(owning: try retrying("make a socket for", path) { cl_socket(AF_UNIX, type) })
      let raw = socket.raw
      try retrying("bind", path) { withUnsafePointer(to: target.raw) { cl_bind(raw, $0) } }
      if owner != nil || group != nil {
        try retrying("change the owner of", path) { chown(path, owner ?? .max, group ?? .max) }
      }
      try retrying("change the mode of", path) { chmod(path, mode) }
      try listen(socket, options)
      return socket
    } catch let error as ListenError {
      throw error
    } catch let error as SystemError {
      throw .system(error)
    } catch { throw .unfit("\(error)") }
  }

  /// Whether a process answers at `path`: a stale one may be taken over, a live one not.
  package static func isAnswering(_ path: String) -> Bool {
    guard let target = KernelAddress(path: path) else { return false }
    let raw = cl_socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue))
    guard raw >= 0 else { return false }
    let probe = Descriptor(owning: raw)
    let answer = withUnsafePointer(to: target.raw) { cl_connect(probe.raw, $0) }
    return answer == 0 || errno == EAGAIN || errno == EINPROGRESS
  }

  // MARK: Inherited

  /// Checks that a descriptor from systemd is the listening socket its name stands for.
  package static func adopt(_ descriptor: Descriptor, for address: SocketAddress) throws(ListenError) {
    let local: KernelAddress
    do { local = try KernelAddress.local(of: descriptor) } catch { throw .system(error) }
    let type = descriptor.option(SOL_SOCKET, SO_TYPE)
    switch address {
    case .tcp(let wanted), .udp(let wanted):
      let isDatagram = if case .udp = address { true } else { false }
      let expected = Int32(isDatagram ? SOCK_DGRAM.rawValue : SOCK_STREAM.rawValue)
      guard local.family == AF_INET || local.family == AF_INET6, type == expected else {
        throw .unfit("the socket systemd passed is not \(isDatagram ? "a UDP" : "a TCP") socket")
      }
      guard wanted.port == 0 || local.port == wanted.port else {
        throw .unfit("the socket systemd passed has port \(local.port), the settings say \(wanted.port)")
      }
      guard isDatagram || descriptor.isListening else { throw .unfit("the socket systemd passed does not listen") }
    case .unix(let path):
      guard local.family == AF_UNIX, descriptor.isListening else {
        throw .unfit("the socket systemd passed is not a listening Unix socket")
      }
      guard local.path == path else {
        throw .unfit("the socket systemd passed is at \(local.path), the settings say \(path)")
      }
    }
  }
}
