import ControlProtocol
import ControlServer
import JSON
import LinuxSystem
import Supervision
import SupervisorRuntime
import Vocabulary

/// What the control socket asks, in the runtime's words, and the answers in the protocol's.
final class ControlBridge: ControlHandler {
  private let runtime: Runtime
  private let history: History
  private let service: ServiceName
  private var followers: [EventSink] = []
  private let records: Records?

  init(runtime: Runtime, history: History, records: Records?, service: ServiceName) {
    self.records = records
    self.runtime = runtime
    self.history = history
    self.service = service
    history.sinks.append { [unowned self] entry in
      followers.removeAll { !$0.isOpen }
      for follower in followers { follower.emit(EventReport(entry, service: self.service)) }
      progress(entry)
    }
  }

  func status() -> StatusReport { StatusReport(of: runtime, service: service) }

  // MARK: Acts

  /// Callers that wait, told how it goes.
  private var waiting: [OperationID: ControlReply] = [:]

  func reload(release: ReleaseID?, hold: Duration?, _ reply: ControlReply) {
    // Whoever names a release deploys it, with the supervisor that is there.
    if release == nil, hold == nil { upgrade?.beginIfReplaced() }
    let id = begin(reply) {
      runtime.reload(ReloadWish(release: release, hold: hold), by: Asker(reply.caller), completion: $0)
    }
    keep(hold, of: id, reply)
  }

  /// A reload that waited in another image of this program.
  func resume(_ saved: SavedReload, _ reply: ControlReply) {
    begin(reply, saysSo: false) {
      runtime.reload(saved, completion: $0)
      return saved.operation
    }
    keep(saved.wish.hold, of: saved.operation, reply)
  }

  /// What those hear who wait for an operation.
  func tellWaiting(_ text: String) {
    for reply in waiting.values { reply.progress(text) }
  }

  private func keep(_ hold: Duration?, of id: OperationID, _ reply: ControlReply) {
    guard let hold, waiting[id] != nil else { return }
    holds[id] = hold
    reply.callerLeft = { [weak self] in self?.runtime.releaseHold(id, .abort(.callerLeft)) }
  }

  /// How long the candidates of reloads that hold may wait.
  private var holds: [OperationID: Duration] = [:]

  func commit(_ operation: OperationID) throws(ControlError) {
    if !runtime.releaseHold(operation, .commit) { throw .notHeld(operation) }
  }

  func abort(_ operation: OperationID) throws(ControlError) {
    guard holds[operation] != nil else { throw .notHeld(operation) }
    runtime.releaseHold(operation, .abort(.asked))
  }

  func probe(_ operation: OperationID, socket: SocketName) throws(ControlError) -> (ProbeReply, Descriptor?) {
    do throws(ProbeDoorError) {
      switch try runtime.openProbe(operation, socket) {
      case .unix(let path): return (ProbeReply(path: path), nil)
      case .tcp(let address, let descriptor):
        return (ProbeReply(host: address.hostText, port: Int(address.port)), descriptor)
      }
    } catch {
      switch error {
      case .notHeld: throw .notHeld(operation)
      case .unknownSocket: throw .unknownSocket(socket.rawValue)
      case .cannot(let reason): throw .cannotProbe(socket: socket.rawValue, reason: reason)
      }
    }
  }

  weak var upgrade: Upgrade?

  func upgrade(_ reply: ControlReply) {
    guard let upgrade else { return reply.refuse(.methodNotImplemented("io.baton.Service.Upgrade")) }
    upgrade.begin(reply)
  }

  /// A caller of another image of this program that follows what happens.
  func follow(_ sink: EventSink) { followers.append(sink) }

  func restart(_ reply: ControlReply) { begin(reply) { runtime.restart(by: Asker(reply.caller), completion: $0) } }

  func scale(engine: EngineName, workers: Int, _ reply: ControlReply) {
    guard let serving = runtime.core.serving, runtime.core.generations[serving]?.engine(engine) != nil else {
      return reply.refuse(.unknownEngine(engine.rawValue))
    }
    begin(reply) { runtime.scale(engine, to: workers, by: Asker(reply.caller), completion: $0) }
  }

  func signal(
    _ name: String, engine: EngineName, worker: String?, by caller: Caller
  ) throws(ControlError) -> [String] {
    guard let signal = Signal(named: name) else { throw .invalidParameter("signal") }
    guard let serving = runtime.core.serving, let found = runtime.core.generations[serving]?.engine(engine) else {
      throw .unknownEngine(engine.rawValue)
    }
    if let worker, !found.workers.contains(where: { $0.id.label == worker }) { throw .invalidParameter("worker") }
    return runtime.signal(signal, engine, label: worker, by: Asker(caller)).map(\.label)
  }

  func stop(now: Bool, _ reply: ControlReply) {
    let operation = OperationID("stop")
    reply.began(operation, holds: "the service ends in order")
    stopping.append((reply, Instant.monotonicNow()))
    let asker = Asker(reply.caller)
    if now { runtime.stopNow(by: asker) } else { runtime.stop(.stop, by: asker) }
  }

  private var stopping: [(reply: ControlReply, since: Instant)] = []

  /// The last thing callers hear: the service has ended.
  func ended() {
    for (reply, since) in stopping {
      reply.finish(
        VerdictReport(
          operation: OperationID("stop"), act: .stop, outcome: .done, what: runtime.statusLine,
          holds: "nothing runs", took: .monotonicNow() - since))
    }
    stopping = []
    for follower in followers { follower.close() }
    followers = []
  }

  @discardableResult
  private func begin(
    _ reply: ControlReply, saysSo: Bool = true, _ act: (@escaping (OperationOutcome) -> Void) -> OperationID
  ) -> OperationID {
    // The outcome may come before the operation's id is known here.
    var ended = false
    let id = act { [weak self] outcome in
      ended = true
      self?.waiting[outcome.operation] = nil
      self?.holds[outcome.operation] = nil
      reply.answer(outcome)
    }
    guard !ended else { return id }
    waiting[id] = reply
    if saysSo { reply.began(id, holds: runtime.statusLine) }
    return id
  }

  /// Each line of news goes to everyone who waits for an operation.
  private func progress(_ entry: History.Entry) {
    guard !waiting.isEmpty else { return }
    switch entry.happening.kind {
    case .generationStarting, .generationProving, .generationOnTrial, .generationRolling, .workerReady, .workerFault,
      .workerExited:
      tellWaiting(entry.happening.text)
    case .generationHeld: tellHeld(entry.happening)
    default: break
    }
  }

  /// To whom it waits for, with what can be done about it.
  private func tellHeld(_ happening: Happening) {
    for (id, reply) in waiting {
      var held: Progress.Held?
      if id == happening.operation, let generation = happening.generation, let limit = holds[id] {
        held = Progress.Held(generation: generation, release: happening.release ?? ReleaseID("-"), limit: limit)
      }
      reply.progress(happening.text, held: held)
    }
  }

  // MARK: Asking

  func events(limit: Int, follow: Bool, _ sink: EventSink) {
    guard let records else { return begin(sink, recent(limit), follow) }
    // What happens until the ledger answers is in its answer or in what follows, never in both.
    let seen = history.recent.last?.number ?? 0
    records.latest(limit) { [weak self] latest in
      guard let self else { return }
      let later = history.recent.filter { $0.number > seen }.map { EventReport($0, service: self.service) }
      begin(sink, latest.map { $0 + later } ?? recent(limit), follow)
    }
  }

  private func recent(_ limit: Int) -> [EventReport] {
    history.recent.suffix(limit).map { EventReport($0, service: service) }
  }

  private func begin(_ sink: EventSink, _ events: [EventReport], _ follow: Bool) {
    sink.begin(with: events)
    if follow, followers.count < Self.maxFollowers { followers.append(sink) }
  }

  private static let maxFollowers = 64

  func environment(engine: EngineName) -> [EnvironmentVariable]? {
    guard let serving = runtime.core.serving, let generation = runtime.generations[serving],
      let settings = generation.engine(engine)
    else { return nil }
    return generation.environment(of: settings).sorted { $0.key < $1.key }.map {
      EnvironmentVariable(name: $0.key, value: $0.value)
    }
  }
}

extension Asker {
  init(_ caller: Caller) { self.init(pid: caller.pid, user: caller.uid) }
}

extension ControlReply {
  fileprivate func answer(_ outcome: OperationOutcome) {
    if outcome.result == .busy {
      return refuse(.busy(holder: outcome.other.map { "\($0)" } ?? "reloads that wait", since: nil))
    }
    finish(VerdictReport(outcome))
  }
}

extension VerdictReport {
  init(_ outcome: OperationOutcome) {
    self.init(
      operation: outcome.operation, act: Act(outcome.act), outcome: Outcome(outcome.result), what: outcome.what,
      holds: outcome.holds, next: outcome.next, lastLines: outcome.lastLines, took: outcome.took,
      generation: outcome.generation, release: outcome.release)
  }
}

extension VerdictReport.Act {
  init(_ act: OperationOutcome.Act) {
    switch act {
    case .start: self = .start
    case .reload: self = .reload
    case .restart: self = .restart
    case .scale: self = .scale
    }
  }
}

extension VerdictReport.Outcome {
  init(_ result: OperationOutcome.Result) {
    switch result {
    case .done: self = .done
    case .failed, .busy: self = .failed
    case .needsPerson: self = .needsPerson
    case .settingsWrong: self = .settingsWrong
    }
  }
}

extension EventReport {
  init(_ entry: History.Entry, service: ServiceName) {
    let happening = entry.happening
    self.init(
      time: WallTime(microseconds: entry.wallMicroseconds), kind: happening.kind.rawValue, service: service,
      text: happening.text, engine: happening.engine, worker: happening.worker?.label, generation: happening.generation,
      release: happening.release, operation: happening.operation, from: happening.from, to: happening.to,
      reason: happening.reason, pid: happening.pid.map { Int($0) })
  }
}
