import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem
@testable import SupervisorRuntime

/// A server in the test's own process, on the test's own loop, that does what each test says.
final class TinyServer {
  enum Step {
    case send([UInt8])
    /// One byte in each wake-up of the loop.
    case trickle([UInt8])
    case sendFor(ever: [UInt8])
    case close
    case reset
  }

  final class Connection {
    let descriptor: Descriptor
    var question: [UInt8] = []
    var registration: EventLoop.Registration?
    var steps: [Step]
    var hasHeard = false
    /// The client has closed.
    var isOver = false
    /// The client's IPv4 address.
    var peer: [UInt8] = []

    init(_ descriptor: Descriptor, _ steps: [Step]) {
      self.descriptor = descriptor
      self.steps = steps
    }
  }

  let target: ProbeTarget
  private(set) var connections: [Connection] = []
  /// Whether a question must be complete before the steps begin.
  var listensFirst = true
  private let loop: EventLoop
  private let listener: Descriptor
  private var registration: EventLoop.Registration?
  private let steps: [Step]

  /// On an ephemeral port of 127.0.0.1 or ::1, or on a path.
  init(_ loop: EventLoop, v6: Bool = false, path: String? = nil, backlog: Int32 = 64, _ steps: [Step]) throws {
    self.loop = loop
    self.steps = steps
    let place: ProbeTarget =
      if let path { .unix(path: path) } else {
        .tcp(.init(host: v6 ? .v6([UInt8](repeating: 0, count: 15) + [1]) : .v4([127, 0, 0, 1]), port: 0))
      }
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let listener = Descriptor(owning: try retrying("socket") { socket(place.family, type, 0) })
    try retrying("bind") { () -> Int32 in (try? place.withSocketAddress { bind(listener.raw, $0, $1) }) ?? -1 }
    try retrying("listen") { listen(listener.raw, backlog) }
    self.listener = listener
    if case .tcp(let address) = place {
      target = .tcp(.init(host: address.host, port: try KernelAddress.local(of: listener).port))
    } else {
      target = place
    }
  }

  convenience init(_ loop: EventLoop, answer: String) throws {
    try self.init(loop, [.send(Array(answer.utf8)), .close])
  }

  deinit { stop() }

  var port: UInt16 { if case .tcp(let address) = target { address.port } else { 0 } }

  /// Without this, connections stay in the queue.
  func start() throws -> TinyServer {
    registration = try loop.register(listener, events: .read) { [unowned self] _ in accept() }
    return self
  }

  func stop() {
    registration?.cancel()
    for connection in connections { connection.registration?.cancel() }
    connections = []
    listener.close()
  }

  private func accept() {
    var name = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let raw = withUnsafeMutablePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.accept(listener.raw, $0, &size) }
    }
    guard raw >= 0 else { return }
    let descriptor = Descriptor(owning: raw)
    try? descriptor.setCloseOnExec(true)
    try? descriptor.setNonblocking(true)
    let connection = Connection(descriptor, steps)
    connection.peer = withUnsafeBytes(of: name.sin_addr) { Array($0) }
    connections.append(connection)
    connection.registration = try? loop.register(connection.descriptor, events: .read) { [unowned self] _ in
      hear(connection)
    }
    if !listensFirst { go(connection) }
  }

  private func hear(_ connection: Connection) {
    var buffer = [UInt8](repeating: 0, count: 4_096)
    let count = recv(connection.descriptor.raw, &buffer, buffer.count, 0)
    if count <= 0 {
      connection.isOver = true
      connection.registration?.cancel()
    } else {
      connection.question += buffer.prefix(count)
    }
    guard listensFirst, !connection.hasHeard, connection.question.suffix(4).elementsEqual("\r\n\r\n".utf8) else {
      return
    }
    connection.hasHeard = true
    go(connection)
  }

  private func go(_ connection: Connection) {
    guard let step = connection.steps.first, !connection.isOver else { return }
    switch step {
    case .send(let bytes):
      connection.steps[0] = .send(Array(bytes.dropFirst(send(bytes, connection))))
      if case .send(let rest) = connection.steps[0], rest.isEmpty { connection.steps.removeFirst() }
    case .trickle(let bytes):
      connection.steps[0] = .trickle(Array(bytes.dropFirst(send(Array(bytes.prefix(1)), connection))))
      if bytes.isEmpty { connection.steps.removeFirst() }
    case .sendFor(let bytes): _ = send(bytes, connection)
    case .reset, .close:
      if case .reset = step {
        var setting = linger(l_onoff: 1, l_linger: 0)
        setsockopt(
          connection.descriptor.raw, SOL_SOCKET, SO_LINGER, &setting, socklen_t(MemoryLayout<linger>.size))
      }
      connection.registration?.cancel()
      connection.descriptor.close()
      connection.isOver = true
    }
    loop.deferred { [weak self] in self?.go(connection) }
  }

  private func send(_ bytes: [UInt8], _ connection: Connection) -> Int {
    max(Glibc.send(connection.descriptor.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL)), 0)
  }
}
