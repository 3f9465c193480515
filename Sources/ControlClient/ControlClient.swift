package import ControlProtocol
import Glibc
package import JSON
package import LinuxSystem
package import Vocabulary

/// One connection to a supervisor's control socket, for commands: calls block, each with a deadline.
///
/// Not Sendable: one thread, one call at a time.
package final class ControlClient {
  package let path: String
  private let descriptor: Descriptor
  private var input = MessageSplitter(limit: JSON.Limits.reply.bytes)
  /// Where the caller writes what it is given; when its reader leaves, waiting ends.
  private var audience: Int32 = -1
  /// What came beside the last reply.
  private var passed: Descriptor?
  /// Ends waiting when it becomes readable.
  private var interrupt: Int32 = -1

  /// - Throws: ``ClientError/unreachable(path:_:)`` when nobody listens there, or nobody takes the connection in time.
  package init(path: String, patience: Duration = .seconds(5)) throws(ClientError) {
    self.path = path
    do throws(SystemError) {
      descriptor = try Self.connect(path, patience)
    } catch {
      throw .unreachable(path: path, error)
    }
  }

  /// Whether a supervisor takes connections there now; a socket without one is left over.
  package static func isAnswering(_ path: String) -> Bool {
    do throws(SystemError) {
      _ = try connect(path, .milliseconds(200))
      return true
    } catch { return error.errno == EAGAIN }
  }

  // MARK: Calls

  /// Calls and returns the only reply.
  package func call<Answer: JSONValue>(
    _ request: Request, patience: Duration = .seconds(10)
  ) throws(ClientError) -> Answer {
    let deadline = Instant.monotonicNow() + patience
    try send(request.call, deadline)
    return try decode(try reply(deadline, patience).parameters)
  }

  package func status() throws(ClientError) -> StatusReport { try call(.status) }

  /// Asks for a long act and returns its verdict, also one that says "failed". Waits `patience` from one sign of life to
  /// the next, and as long as the act takes without one. `progress` is called with each line of news.
  package func act(
    _ request: Request, patience: Duration? = nil, progress: (Progress) -> Void
  ) throws(ClientError) -> VerdictReport {
    try begin(request)
    while true {
      switch try news(patience: patience) {
      case .progress(let news): progress(news)
      case .verdict(let verdict): return verdict
      }
    }
  }

  /// What comes of a long act.
  package enum News: Hashable, Sendable {
    case progress(Progress)
    /// The last; also one that says "failed".
    case verdict(VerdictReport)
  }

  /// Asks for a long act; ``news(patience:interrupt:)`` then tells what comes of it.
  package func begin(_ request: Request) throws(ClientError) {
    var call = request.call
    call.more = true
    try send(call, .monotonicNow() + .seconds(10))
  }

  /// The next news of the act that was begun, waited for `patience`, or as long as it takes. As soon as `interrupt` is
  /// readable the waiting ends with ``ClientError/interrupted``.
  package func news(patience: Duration? = nil, interrupt: Descriptor? = nil) throws(ClientError) -> News {
    self.interrupt = interrupt?.raw ?? -1
    defer { self.interrupt = -1 }
    do throws(ClientError) {
      let reply = try reply(patience.map { .monotonicNow() + $0 }, patience ?? .zero)
      let outcome: ActReply = try decode(reply.parameters)
      if let verdict = outcome.verdict { return .verdict(verdict) }
      if let news = outcome.progress, reply.continues { return .progress(news) }
      throw .strange(path: path, "the last reply has no verdict")
    } catch .refused(.failed(let verdict)) {
      return .verdict(verdict)
    } catch {
      throw error
    }
  }

  /// The word a held generation waits for; its verdict comes where it was asked for.
  package func commit(_ operation: OperationID) throws(ClientError) { let _: EmptyReply = try call(.commit(operation)) }
  package func abort(_ operation: OperationID) throws(ClientError) { let _: EmptyReply = try call(.abort(operation)) }

  /// A way to the held generation through the address clients use; the socket, where there is one, is not connected yet.
  package func probe(
    _ operation: OperationID, socket: SocketName
  ) throws(ClientError) -> (way: ProbeReply, socket: Descriptor?) {
    passed = nil
    defer { passed = nil }
    let way: ProbeReply = try call(.probe(operation, socket: socket))
    if way.path == nil && passed == nil { throw .strange(path: path, "the socket did not come with the reply") }
    return (way, passed)
  }

  /// Gives each event to `each` until it returns false, the supervisor ends the call, or, without `follow`, there are no
  /// more. Ends also when nobody reads any more what is written to `audience`, a pipe or socket.
  package func events(
    limit: Int, follow: Bool, audience: Int32 = -1, each: (EventReport) -> Bool
  ) throws(ClientError) {
    let patience = Duration.seconds(10)
    self.audience = audience
    defer { self.audience = -1 }
    try send(Request.events(limit: limit, follow: follow).call, .monotonicNow() + patience)
    while true {
      let reply: CallReply
      do throws(ClientError) {
        reply = try self.reply(follow ? nil : .monotonicNow() + patience, patience)
      } catch .audienceLeft {
        return
      } catch { throw error }
      let events: EventsReply = try decode(reply.parameters)
      for event in events.events where !each(event) { return }
      if !reply.continues { return }
    }
  }

  /// The labels of the workers that got it.
  package func signal(_ name: String, engine: EngineName, worker: String?) throws(ClientError) -> [String] {
    let reply: SignalReply = try call(.signal(engine: engine, signal: name, worker: worker))
    return reply.workers
  }

  package func environment(engine: EngineName, reveal: Bool) throws(ClientError) -> [EnvironmentVariable] {
    let reply: EnvironmentReply = try call(.environment(engine: engine, reveal: reveal))
    return reply.variables
  }

  private func decode<Answer: JSONValue>(_ json: JSON) throws(ClientError) -> Answer {
    do throws(ShapeError) {
      return try Answer(json: json)
    } catch {
      throw .strange(path: path, error.description)
    }
  }

  // MARK: Bytes

  private static func connect(_ path: String, _ patience: Duration) throws(SystemError) -> Descriptor {
    let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = Descriptor(owning: try retrying("make a socket") { socket(AF_UNIX, type, 0) })
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let name = Array(path.utf8) + [0]
    guard name.count <= MemoryLayout.size(ofValue: address.sun_path) else {
      throw SystemError("use the socket path", path, errno: ENAMETOOLONG)
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
    // A full queue makes connect(2) wait, and this bounds it.
    var limit = timeval(
      tv_sec: Int(patience.milliseconds / 1_000), tv_usec: Int(patience.milliseconds % 1_000) * 1_000)
    _ = setsockopt(descriptor.raw, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    try retrying("connect to", path) {
      withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          Glibc.connect(descriptor.raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
    }
    try descriptor.setNonblocking(true)
    return descriptor
  }

  private func send(_ call: Call, _ deadline: Instant) throws(ClientError) {
    let message = call.message
    var written = 0
    let raw = descriptor.raw
    do throws(SystemError) {
      while written < message.count {
        let count = try unlessWouldBlock("write to", path) {
          message.withUnsafeBytes {
            Glibc.send(raw, $0.baseAddress.map { $0 + written }, $0.count - written, Int32(MSG_NOSIGNAL))
          }
        }
        if let count { written += count } else { try wait(Int16(POLLOUT), until: deadline) }
      }
    } catch {
      // It may have said why before it hung up: the reply tells.
      if error.errno == EPIPE || error.errno == ECONNRESET { return }
      throw error.errno == ETIMEDOUT ? .slow(path: path, after: .seconds(10)) : .unreachable(path: path, error)
    }
  }

  /// The next reply; an error reply is thrown. `deadline` nil waits for ever.
  private func reply(_ deadline: Instant?, _ patience: Duration) throws(ClientError) -> CallReply {
    let message = try nextMessage(deadline, patience)
    let json: JSON
    do throws(JSONError) {
      json = try JSON(text: message, limits: .reply)
    } catch {
      throw .strange(path: path, error.description)
    }
    let reply: CallReply = try decode(json)
    guard let name = reply.error else { return reply }
    var known: ControlError?
    do throws(ShapeError) {
      known = try ControlError(error: name, parameters: reply.parameters)
    } catch {
      throw .strange(path: path, error.description)
    }
    throw known.map { .refused($0) } ?? .unknownError(name, reply.parameters)
  }

  private func nextMessage(_ deadline: Instant?, _ patience: Duration) throws(ClientError) -> ArraySlice<UInt8> {
    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
      do throws(MessageSplitter.Failure) {
        if let message = try input.next() { return message }
      } catch {
        throw .strange(path: path, "a reply of more than \(JSON.Limits.reply.bytes) bytes")
      }
      do throws(SystemError) {
        guard let (count, passed) = try descriptor.receive(into: &buffer) else {
          try wait(Int16(POLLIN), until: deadline)
          continue
        }
        if let passed { self.passed = passed }
        guard count > 0 else { throw SystemError("read from", path, errno: ECONNRESET) }
        input.append(buffer[..<count])
      } catch {
        switch error.errno {
        case ETIMEDOUT: throw .slow(path: path, after: patience)
        case EPIPE: throw .audienceLeft
        case ECANCELED: throw .interrupted
        default: throw .lost(path: path)
        }
      }
    }
  }

  private func wait(_ events: Int16, until deadline: Instant?) throws(SystemError) {
    // A negative number is passed over, and errors are reported without being asked for. Source: poll(2).
    var entries = [
      pollfd(fd: descriptor.raw, events: events, revents: 0), pollfd(fd: audience, events: 0, revents: 0),
      pollfd(fd: interrupt, events: Int16(POLLIN), revents: 0),
    ]
    let left = deadline.map { max(0, ($0 - .monotonicNow()).milliseconds + 1) } ?? -1
    let ready = try retrying("wait for", path) { poll(&entries, 3, Int32(clamping: left)) }
    if ready == 0 { throw SystemError("wait for", path, errno: ETIMEDOUT) }
    if entries[2].revents != 0 { throw SystemError("wait for", path, errno: ECANCELED) }
    if entries[1].revents != 0 { throw SystemError("write for", "a reader", errno: EPIPE) }
  }
}
