import ControlProtocol
import Glibc
internal import JSON
import LinuxSystem
import Vocabulary

/// One caller. Its calls are answered one after another, in their order; while one is under way no more is read.
///
/// Reading stops also while a reply waits to be read, so a caller that asks and never reads costs one reply.
final class ControlConnection {
  let caller: Caller
  private let descriptor: Descriptor
  /// Keeps itself in the server's table; gone from there it takes no more part.
  private unowned let server: ControlServer
  private let loop: EventLoop
  private var registration: EventLoop.Registration?
  private var isOpen = true
  private var input: MessageSplitter
  private var inputEnded = false
  private var output: [UInt8] = []
  /// Bytes of `output` the kernel has taken.
  private var written = 0
  /// Since when the caller has something to read.
  private var outputSince: Instant?
  /// When the last call came in whole, or its last reply went out.
  private var lastMoved: Instant
  private var current: Current?
  private var isAnswering = false
  private var isResuming = false
  private var resumption: TimerToken?

  /// The call under way, and how its replies look.
  private struct Current {
    let number: UInt64
    let more: Bool
    let sink: EventSink?
    weak var reply: ControlReply?
  }
  private var nextNumber: UInt64 = 1

  /// Bytes of one caller read before others have their turn.
  private static let readSize = 16 * 1024

  init(_ descriptor: Descriptor, caller: Caller, server: ControlServer) throws(SystemError) {
    self.descriptor = descriptor
    self.caller = caller
    self.server = server
    loop = server.loop
    input = MessageSplitter(limit: server.limits.message)
    lastMoved = loop.now
    registration = try loop.register(descriptor, events: .read) { [weak self] in self?.happened($0) }
  }

  // MARK: From the kernel

  private func happened(_ events: EventLoop.Events) {
    let hangup = !events.isDisjoint(with: [.hangup, .error])
    if hasOutput && (hangup || events.contains(.write)) { flush() }
    guard isOpen else { return }
    if hangup && (current != nil || resumption != nil) { return end() }
    if hangup || events.contains(.read) { fill() }
    if isOpen { answer() }
  }

  private func fill() {
    let raw = descriptor.raw
    withUnsafeTemporaryAllocation(byteCount: Self.readSize, alignment: 1) { buffer in
      do throws(SystemError) {
        guard
          let count = try unlessWouldBlock("read from", "a caller", { recv(raw, buffer.baseAddress, buffer.count, 0) })
        else { return }
        if count == 0 { inputEnded = true } else { input.append(buffer[..<count]) }
      } catch { end() }
    }
  }

  /// Sends what the kernel takes, keeps the rest, and cuts off a caller that lets too much pile up.
  private func send(_ message: [UInt8]) {
    guard isOpen else { return }
    output += message
    flush()
    if isOpen && output.count - written > server.limits.output { end() }
  }

  /// A descriptor goes with the first byte of its message, and nothing waits before it: calls are answered only then.
  /// A caller whose buffer is full all the same does not speak the protocol.
  private func send(_ message: [UInt8], with passed: Descriptor?) {
    guard let passed else { return send(message) }
    do throws(SystemError) {
      let count = try descriptor.send(message, passing: passed) ?? 0
      guard count > 0 else { return end() }
      if count < message.count { send(Array(message[count...])) }
    } catch { end() }
  }

  private func flush() {
    let raw = descriptor.raw
    do throws(SystemError) {
      while written < output.count {
        let count = try unlessWouldBlock("write to", "a caller") {
          output.withUnsafeBytes {
            Glibc.send(raw, $0.baseAddress.map { $0 + written }, $0.count - written, Int32(MSG_NOSIGNAL))
          }
        }
        guard let count else { break }
        written += count
      }
    } catch {
      return end()
    }
    if written == output.count {
      output.removeAll(keepingCapacity: output.capacity <= 65_536)
      written = 0
      if outputSince != nil { lastMoved = loop.now }
      outputSince = nil
    } else {
      if written > 65_536 {
        output.removeFirst(written)
        written = 0
      }
      outputSince = outputSince ?? loop.now
    }
    watch()
  }

  private var hasOutput: Bool { !output.isEmpty }

  private func watch() {
    guard isOpen else { return }
    var events: EventLoop.Events = []
    if hasOutput { events.insert(.write) }
    if current == nil && !hasOutput && !inputEnded && resumption == nil { events.insert(.read) }
    do throws(SystemError) { try registration?.watch(events) } catch { end() }
  }

  // MARK: Calls

  /// Answers calls that are here, until one takes time, a reply is not read, or it is others' turn.
  private func answer() {
    guard !isAnswering else { return }
    isAnswering = true
    defer { isAnswering = false }
    var budget = server.limits.callsPerTurn
    while isOpen, current == nil, !hasOutput, resumption == nil {
      guard budget > 0 else {
        resumeSoon()
        break
      }
      budget -= 1
      do throws(MessageSplitter.Failure) {
        guard let message = try nextMessage() else { break }
        lastMoved = loop.now
        take(message)
      } catch { end() }
    }
    if isOpen && inputEnded && current == nil && !hasOutput && resumption == nil && !isResuming { end() }
    watch()
  }

  /// Bytes of calls that may not be answered yet stay where they are.
  private func nextMessage() throws(MessageSplitter.Failure) -> ArraySlice<UInt8>? {
    guard input.count > 0 else { return nil }
    if input.hasMessage, let later = server.delay(of: caller) {
      resumption = loop.schedule(at: later) { [weak self] in
        self?.resumption = nil
        self?.answer()
      }
      return nil
    }
    return try input.next()
  }

  private func resumeSoon() {
    isResuming = true
    loop.deferred { [weak self] in
      self?.isResuming = false
      self?.answer()
    }
  }

  private func take(_ message: ArraySlice<UInt8>) {
    let call: Call
    do throws(Call.Malformed) {
      call = try Call(message: message)
    } catch {
      // Whoever sends this does not speak the protocol: there is no reply it could read.
      return end()
    }
    do throws(ControlError) {
      let route = try Route.of(call)
      let request = try route.request(of: call)
      let needed = route.access(for: request)
      guard server.policy.access(of: caller) >= needed else {
        throw .notAllowed(method: call.method, allowed: needed.holders)
      }
      if route.needsMore(request) && !call.more { throw .expectedMore }
      guard let handler = server.handler else { throw .methodNotImplemented(call.method) }
      try perform(request, of: call, handler)
    } catch {
      reply(error.reply, to: call)
    }
  }

  private func reply(_ reply: CallReply, to call: Call) {
    if !call.oneway { send(reply.message) }
  }

  private func perform(_ request: Request, of call: Call, _ handler: any ControlHandler) throws(ControlError) {
    switch request {
    case .getInfo:
      reply(CallReply(parameters: info), to: call)
    case .getInterfaceDescription(let name):
      guard let text = Interface.description(of: name) else { throw .interfaceNotFound(name) }
      reply(CallReply(parameters: ["description": text.json]), to: call)
    case .status:
      reply(CallReply(parameters: handler.status().json), to: call)
    case .environment(let engine, let reveal):
      guard let variables = handler.environment(engine: engine) else { throw .unknownEngine(engine.rawValue) }
      let shown = reveal ? variables : variables.map { EnvironmentVariable(name: $0.name, value: nil) }
      reply(CallReply(parameters: EnvironmentReply(variables: shown).json), to: call)
    case .events(let limit, let follow):
      handler.events(limit: limit, follow: follow, sink(for: call, follow: follow))
    case .reload(let wait, let release, let hold):
      handler.reload(release: release, hold: hold, outcome(of: .reload, wait, for: call))
    case .commit(let operation):
      try handler.commit(operation)
      reply(CallReply(parameters: EmptyReply().json), to: call)
    case .abort(let operation):
      try handler.abort(operation)
      reply(CallReply(parameters: EmptyReply().json), to: call)
    case .probe(let operation, let socket):
      let (answer, socket) = try handler.probe(operation, socket: socket)
      if !call.oneway { send(CallReply(parameters: answer.json).message, with: socket) }
    case .restart(let wait): handler.restart(outcome(of: .restart, wait, for: call))
    case .upgrade(let wait): handler.upgrade(outcome(of: .upgrade, wait, for: call))
    case .stop(let now, let wait): handler.stop(now: now, outcome(of: .stop, wait, for: call))
    case .signal(let engine, let name, let worker):
      let workers = try handler.signal(name, engine: engine, worker: worker, by: caller)
      reply(CallReply(parameters: SignalReply(workers: workers).json), to: call)
    case .scale(let engine, let workers, let wait):
      handler.scale(engine: engine, workers: workers, outcome(of: .scale, wait, for: call))
    }
  }

  private var info: JSON {
    [
      "vendor": "baton", "product": "batond", "version": server.version.json,
      "url": "https://varlink.org", "interfaces": Interface.names.json,
    ]
  }

  // MARK: Calls that take time

  private func begin(_ call: Call, sink: EventSink?) -> UInt64? {
    guard !call.oneway else { return nil }
    let number = nextNumber
    nextNumber += 1
    current = Current(number: number, more: call.more, sink: sink)
    return number
  }

  private func outcome(of act: VerdictReport.Act, _ wait: Bool, for call: Call) -> ControlReply {
    let number = begin(call, sink: nil)
    let reply = ControlReply(caller: caller, act: act, waits: wait) { [weak self] answer in
      switch answer {
      case .progress(let progress):
        self?.news(CallReply(parameters: ActReply(progress: progress).json, continues: true), of: number)
      case .verdict(let verdict) where verdict.succeeded:
        self?.last(CallReply(parameters: ActReply(verdict: verdict).json), of: number)
      case .verdict(let verdict): self?.last(ControlError.failed(verdict).reply, of: number)
      case .error(let error): self?.last(error.reply, of: number)
      }
    }
    if number != nil { current?.reply = reply }
    return reply
  }

  private func sink(for call: Call, follow: Bool) -> EventSink {
    let number = nextNumber
    let sink = EventSink(follow: follow) { [weak self] events, continues in
      let parameters = EventsReply(events: events).json
      if continues {
        self?.news(CallReply(parameters: parameters, continues: true), of: number)
      } else {
        self?.last(CallReply(parameters: parameters), of: number)
      }
    }
    if begin(call, sink: sink) == nil { sink.callerLeft() }
    return sink
  }

  // MARK: Over an upgrade

  /// nil when more is to be done here than to give one reply or to take a call that has not begun to come in.
  var handedOver: ControlServer.HandedOver? {
    guard isOpen, !inputEnded, !hasOutput, input.count == 0, resumption == nil else { return nil }
    guard let current else { return ControlServer.HandedOver(descriptor: descriptor.raw, wait: .call, more: false) }
    let wait: ControlServer.HandedOver.Wait
    if let sink = current.sink {
      guard sink.isOpen, current.more else { return nil }
      wait = .events
    } else {
      guard let reply = current.reply else { return nil }
      switch (reply.act, reply.operation) {
      case (.upgrade, _): wait = .verdict
      case (.reload, let operation?): wait = .reload(operation)
      default: return nil
      }
    }
    return ControlServer.HandedOver(descriptor: descriptor.raw, wait: wait, more: current.more)
  }

  func resumeUpgrade(more: Bool) -> ControlReply {
    let reply = outcome(of: .upgrade, true, for: Request.upgrade(wait: true).call(more: more))
    watch()
    return reply
  }

  func resumeReload(_ operation: OperationID, more: Bool) -> ControlReply {
    let call = Request.reload(wait: true, release: nil, hold: nil).call(more: more)
    let reply = outcome(of: .reload, true, for: call)
    reply.resume(operation)
    watch()
    return reply
  }

  func resumeEvents() -> EventSink {
    let sink = sink(for: Request.events(limit: 0, follow: true).call(more: true), follow: true)
    watch()
    return sink
  }

  /// A reply that is not the last. Only callers that asked for `more` get it.
  private func news(_ reply: CallReply, of number: UInt64?) {
    guard let current, current.number == number, current.more else { return }
    send(reply.message)
  }

  private func last(_ reply: CallReply, of number: UInt64?) {
    guard let current, current.number == number else { return }
    self.current = nil
    lastMoved = loop.now
    send(reply.message)
    // Not from here: the handler that answers is in the middle of its own work.
    if isOpen && !isAnswering { resumeSoon() }
  }

  // MARK: The end

  /// Cuts off a caller that does not read its replies or does not finish its message.
  func checkPatience() {
    let now = loop.now
    let waitsForUs = current != nil || resumption != nil || isResuming
    let since = outputSince ?? (waitsForUs ? nil : lastMoved)
    if let since, now - since > server.limits.patience { end() }
  }

  /// Closes. What the caller asked for goes on; its outcome is not told to anyone.
  func end() {
    guard isOpen else { return }
    abandon()
    server.remove(self)
  }

  /// As ``end()``, when the server itself is going away.
  func abandon() {
    isOpen = false
    current?.sink?.callerLeft()
    let reply = current?.reply
    current = nil
    loop.cancel(resumption)
    resumption = nil
    registration?.cancel()
    registration = nil
    descriptor.close()
    reply?.leave()
  }
}

extension Request {
  fileprivate func call(more: Bool) -> Call {
    var call = call
    call.more = more
    return call
  }
}
