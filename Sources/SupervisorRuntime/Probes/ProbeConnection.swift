import Glibc
import LinuxSystem
import Vocabulary

/// A client's connection that never blocks the loop. Closed by ``close()``, which the probe that owns it always calls.
final class ProbeConnection {
  struct Options: Hashable {
    /// SO_MARK, by which a steering program knows a probe.
    var mark: UInt32?
    /// The four bytes of an IPv4 address to connect from, where marks are not allowed.
    var source: [UInt8]?
  }

  let target: ProbeTarget
  private(set) var isConnected = false
  private let loop: EventLoop
  private let options: Options
  private var socket: Descriptor?
  private var registration: EventLoop.Registration?
  private var retry: TimerToken?
  private var ready: () -> Void = {}

  /// How long until a Unix socket whose queue is full is tried again; the kernel does not tell when there is room.
  private static let retryDelay = Duration.milliseconds(20)

  init(loop: EventLoop, target: ProbeTarget, options: Options = Options()) {
    self.loop = loop
    self.target = target
    self.options = options
  }

  deinit { close() }

  /// Starts to connect. `done` is called later, once, with nil or with why there is no connection; a reason known at
  /// once is thrown instead.
  func open(_ done: @escaping (_ failure: String?) -> Void) throws(ConnectError) {
    let socket = try Self.makeSocket(target, options)
    self.socket = socket
    try connect(socket, done)
  }

  /// Marked, or bound to the source that marks it; not connected.
  static func makeSocket(_ target: ProbeTarget, _ options: Options) throws(ConnectError) -> Descriptor {
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    do throws(SystemError) {
      let socket = Descriptor(owning: try retrying("make a socket") { Glibc.socket(target.family, type, 0) })
      guard case .tcp = target else { return socket }
      if let mark = options.mark {
        try retrying("mark the connection (needs CAP_NET_ADMIN or CAP_NET_RAW)") {
          setsockopt(socket.raw, SOL_SOCKET, SO_MARK, [mark], socklen_t(MemoryLayout<UInt32>.size))
        }
      }
      if let source = options.source {
        // The port is chosen at connect(2), so that few probes cannot use up the ports of an address.
        _ = setsockopt(
          socket.raw, Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, [Int32(1)], socklen_t(MemoryLayout<Int32>.size))
        try retrying("bind", source.map { String($0) }.joined(separator: ".")) {
          ProbeTarget.with(ProbeTarget.v4(source, port: 0)) { bind(socket.raw, $0, $1) }
        }
      }
      return socket
    } catch { throw ConnectError(error, target) }
  }

  /// Source: connect(2). A Unix socket never says EINPROGRESS: with a full queue it says EAGAIN, and nothing is begun.
  private func connect(_ socket: Descriptor, _ done: @escaping (String?) -> Void) throws(ConnectError) {
    do throws(SystemError) {
      let answer = try target.withSocketAddress { Glibc.connect(socket.raw, $0, $1) == 0 ? 0 : Glibc.errno }
      switch answer {
      case 0, EINPROGRESS, EINTR:
        registration = try loop.register(socket, events: .write) { [self] _ in ready() }
        ready = { [unowned self] in connected(socket, done) }
      case EAGAIN where target.family == AF_UNIX:
        retry = loop.schedule(after: Self.retryDelay) { [self] in
          do throws(ConnectError) { try connect(socket, done) } catch { done(error.reason) }
        }
      default:
        throw SystemError("connect to", target.description, errno: answer)
      }
    } catch { throw ConnectError(error, target) }
  }

  private func connected(_ socket: Descriptor, _ done: (String?) -> Void) {
    var number: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(socket.raw, SOL_SOCKET, SO_ERROR, &number, &size)
    ready = {}
    if number == 0 && Self.isConnectedToItself(socket) {
      // Its own close must not keep the port busy: the worker that is to listen there needs it.
      var reset = linger(l_onoff: 1, l_linger: 0)
      setsockopt(socket.raw, SOL_SOCKET, SO_LINGER, &reset, socklen_t(MemoryLayout<linger>.size))
      number = ECONNREFUSED
    }
    guard number == 0 else {
      return done(ConnectError(SystemError("connect to", target.description, errno: number), target).reason)
    }
    isConnected = true
    done(nil)
  }

  /// With nobody listening on a port of the ephemeral range, the kernel may pick that very port for our end, and TCP's
  /// simultaneous open then connects the socket to itself: it would pass for an answer. Source: RFC 9293 §3.5.
  static func isConnectedToItself(_ socket: Descriptor) -> Bool {
    guard let own = name(of: socket, getsockname), let other = name(of: socket, getpeername) else { return false }
    return own == other && (own.starts(with: bytes(AF_INET)) || own.starts(with: bytes(AF_INET6)))
  }

  private static func bytes(_ family: Int32) -> [UInt8] { withUnsafeBytes(of: sa_family_t(family)) { Array($0) } }

  private static func name(
    of socket: Descriptor, _ ask: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> [UInt8]? {
    var storage = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let answer = withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { ask(socket.raw, $0, &size) }
    }
    guard answer == 0 else { return nil }
    return withUnsafeBytes(of: &storage) { Array($0.prefix(Int(size))) }
  }

  // MARK: Talking

  /// Calls `handler` for each of `events` from now on, and for an end of the connection.
  func watch(_ events: EventLoop.Events, _ handler: @escaping () -> Void) throws(SystemError) {
    ready = handler
    try registration?.watch(events)
  }

  /// How much was taken; nil when nothing can be taken now.
  func send(_ bytes: ArraySlice<UInt8>) throws(SystemError) -> Int? {
    let raw = socket?.raw ?? -1
    return try unlessWouldBlock("send") {
      bytes.withUnsafeBytes { Glibc.send(raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }
  }

  /// How much came, 0 at the end; nil when there is nothing now.
  func receive(into buffer: inout [UInt8]) throws(SystemError) -> Int? {
    let raw = socket?.raw ?? -1
    return try unlessWouldBlock("receive") {
      buffer.withUnsafeMutableBytes { recv(raw, $0.baseAddress, $0.count, 0) }
    }
  }

  func close() {
    loop.cancel(retry)
    retry = nil
    registration?.cancel()
    registration = nil
    ready = {}
    socket?.close()
    socket = nil
  }
}

/// Why there is no connection, in words for a person.
struct ConnectError: Error {
  let reason: String

  init(_ error: SystemError, _ target: ProbeTarget) {
    switch (error.errno, target) {
    case (ECONNREFUSED, _): reason = "connection refused"
    case (ENOENT, .unix(let path)): reason = "there is no socket at \(path)"
    case (ENOTSOCK, .unix(let path)): reason = "\(path) is not a socket"
    default: reason = "cannot \(error)"
    }
  }
}
