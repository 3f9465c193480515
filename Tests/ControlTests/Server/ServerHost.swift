import ControlClient
import ControlProtocol
import ControlServer
import Foundation
import Glibc
import JSON
import LinuxSystem
import Synchronization
import Vocabulary

/// A control server on a thread of its own, in a directory of its own, with a supervisor that answers from samples.
final class ServerHost: Sendable {
  let path: String
  private let directory: String
  private let inbox: EventLoop.Inbox
  private let ended = DispatchSemaphore(value: 0)

  /// The values tests choose, before the thread starts.
  struct Setting: Sendable {
    var limits = ControlLimits()
    var serviceUsers: Set<UInt32> = []
    var operators: UInt32?
    var supervisor: UInt32 = geteuid()
    var status = Sample.serving
  }

  init(_ setting: Setting = Setting()) throws {
    var template = Array("/tmp/control-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError("make a directory", errno: errno) }
    directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    chmod(directory, 0o755)
    path = directory + "/control"
    let started = DispatchSemaphore(value: 0)
    let box = Mutex<EventLoop.Inbox?>(nil)
    let holder = Holder()
    let path = path
    Thread.detachNewThread { [ended] in
      // Everything of the loop is made and ended on this thread.
      guard let loop = try? EventLoop() else { return }
      let handler = SampleHandler(setting.status, loop)
      let policy = AccessPolicy(
        supervisor: setting.supervisor, serviceUsers: setting.serviceUsers, operators: setting.operators)
      let server = try? ControlServer(
        path: path, loop: loop, handler: handler, policy: policy, version: "0.1.0", limits: setting.limits)
      holder.set(server, handler)
      box.withLock { $0 = loop.inbox }
      started.signal()
      try? loop.run()
      server?.close()
      holder.set(nil, nil)
      ended.signal()
    }
    started.wait()
    guard let inbox = box.withLock({ $0 }) else { throw SystemError("start a server", path, errno: EIO) }
    self.inbox = inbox
    self.holder = holder
  }

  private let holder: Holder

  /// What lives on the loop's thread and is touched only there.
  private final class Holder: @unchecked Sendable {
    private(set) var server: ControlServer?
    private(set) var handler: SampleHandler?
    func set(_ server: ControlServer?, _ handler: SampleHandler?) {
      self.server = server
      self.handler = handler
    }
  }

  func stop() {
    inbox.post { $0.stop() }
    ended.wait()
    unlink(path)
    rmdir(directory)
  }

  /// Runs on the loop's thread and waits for it.
  func onLoop<Answer: Sendable>(_ body: @escaping @Sendable (SampleHandler, ControlServer) -> Answer) -> Answer? {
    let done = DispatchSemaphore(value: 0)
    let box = Mutex<Answer?>(nil)
    let holder = holder
    // The closure runs while this call waits, so it cannot outlive it.
    let work: @Sendable (EventLoop) -> Void = { _ in
      if let handler = holder.handler, let server = holder.server {
        let answer = body(handler, server)
        box.withLock { $0 = answer }
      }
      done.signal()
    }
    inbox.post(work)
    done.wait()
    return box.withLock { $0 }
  }

  /// How long another caller waits for the status: the measure of whether somebody delays the loop.
  func timeOfStatus() throws -> Duration {
    let start = Instant.monotonicNow()
    let client = try ControlClient(path: path)
    _ = try client.status()
    return .monotonicNow() - start
  }

  /// Waits until the server has so many connections.
  func waitForConnections(_ count: Int) -> Bool {
    let deadline = Instant.monotonicNow() + .seconds(10)
    while Instant.monotonicNow() < deadline {
      if onLoop({ $1.connectionCount }) == count { return true }
      sched_yield()
    }
    return false
  }
}

/// Answers from samples; keeps long acts open until a test ends them.
final class SampleHandler: ControlHandler {
  private let sample: StatusReport
  private let loop: EventLoop
  var replies: [ControlReply] = []
  var sinks: [EventSink] = []
  var asked: [String] = []

  init(_ sample: StatusReport, _ loop: EventLoop) {
    self.sample = sample
    self.loop = loop
  }

  func status() -> StatusReport { sample }

  func reload(release: ReleaseID?, hold: Duration?, _ reply: ControlReply) {
    if hold != nil { reply.callerLeft = { [weak self] in self?.asked.append("caller left") } }
    keep("reload" + (release.map { " \($0)" } ?? ""), reply)
  }

  func commit(_ operation: OperationID) throws(ControlError) {
    if operation.text != "reload r1-1" { throw .notHeld(operation) }
    asked.append("commit")
  }

  func abort(_ operation: OperationID) throws(ControlError) { asked.append("abort") }

  /// One end of a pair, whose other end answers with a word.
  func probe(_ operation: OperationID, socket: SocketName) throws(ControlError) -> (ProbeReply, Descriptor?) {
    if socket.rawValue == "local" { return (ProbeReply(path: "/run/x.sock"), nil) }
    guard let (near, far) = try? Connection.pair() else { throw .unknownSocket(socket.rawValue) }
    _ = write(far.raw, "candidate", 9)
    return (ProbeReply(host: "127.0.0.1", port: 8_000), near)
  }
  func restart(_ reply: ControlReply) { keep("restart", reply) }
  func upgrade(_ reply: ControlReply) { keep("upgrade", reply) }
  func stop(now: Bool, _ reply: ControlReply) { keep(now ? "stop now" : "stop", reply) }
  func scale(engine: EngineName, workers: Int, _ reply: ControlReply) {
    if engine.rawValue == "drop" { return }
    if engine.rawValue != "web" { return reply.refuse(.unknownEngine(engine.rawValue)) }
    keep("scale \(engine)=\(workers)", reply)
  }

  func signal(_ name: String, engine: EngineName, worker: String?, by caller: Caller) throws(ControlError) -> [String] {
    if engine.rawValue != "web" { throw .unknownEngine(engine.rawValue) }
    asked.append("signal \(engine) \(name)")
    return [worker ?? "web.1"]
  }

  private func keep(_ act: String, _ reply: ControlReply) {
    asked.append(act)
    reply.began(OperationID("\(act)-1"), holds: "generation 12 serves")
    replies.append(reply)
  }

  func events(limit: Int, follow: Bool, _ sink: EventSink) {
    asked.append("events")
    sink.begin(with: Array(Sample.events.suffix(limit)))
    if follow { sinks.append(sink) }
  }

  func environment(engine: EngineName) -> [EnvironmentVariable]? {
    engine.rawValue == "web" ? [.init(name: "PATH", value: "/bin"), .init(name: "SECRET", value: "x")] : nil
  }
}

/// A caller that sends what it likes, with blocking calls and a deadline of 10 s on each.
final class RawCaller {
  let descriptor: Descriptor
  private var input = MessageSplitter(limit: 8 << 20)

  init(_ path: String) throws {
    descriptor = Descriptor(owning: try retrying("socket") { socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0) })
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    for option in [SO_SNDTIMEO, SO_RCVTIMEO] {
      setsockopt(descriptor.raw, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let raw = descriptor.raw
    try retrying("connect", path) {
      withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
    }
  }

  /// How many bytes went out before the server cut us off.
  @discardableResult
  func send(_ bytes: [UInt8]) -> Int {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor.raw, $0.baseAddress.map { $0 + sent }, $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count <= 0 { break }
      sent += count
    }
    return sent
  }

  @discardableResult func send(_ text: String) -> Int { send(Array(text.utf8)) }
  func send(_ request: Request, more: Bool = false, oneway: Bool = false) {
    var call = request.call
    (call.more, call.oneway) = (more, oneway)
    send(call.message)
  }

  func endInput() { shutdown(descriptor.raw, Int32(SHUT_WR)) }

  /// The next reply; nil when the server hung up or said nothing for 10 s.
  func reply() throws -> CallReply? {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      if let message = try input.next() { return try CallReply(json: JSON(text: message, limits: .reply)) }
      let count = recv(descriptor.raw, &buffer, buffer.count, 0)
      guard count > 0 else { return nil }
      input.append(buffer[..<count])
    }
  }

  /// Reads until the server closes; false when it has not within 10 s.
  func waitForHangup() -> Bool {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = recv(descriptor.raw, &buffer, buffer.count, 0)
      if count == 0 || count < 0 && errno == ECONNRESET { return true }
      if count < 0 && errno != EINTR { return false }
    }
  }
}
