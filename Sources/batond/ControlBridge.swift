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

  func reload(_ reply: ControlReply) { begin(reply) { runtime.reload(completion: $0) } }
  func restart(_ reply: ControlReply) { begin(reply) { runtime.restart(completion: $0) } }

  func scale(engine: EngineName, workers: Int, _ reply: ControlReply) {
    guard let serving = runtime.core.serving, runtime.core.generations[serving]?.engine(engine) != nil else {
      return reply.refuse(.unknownEngine(engine.rawValue))
    }
    begin(reply) { runtime.scale(engine, to: workers, completion: $0) }
  }

  func stop(now: Bool, _ reply: ControlReply) {
    let operation = OperationID("stop")
    reply.began(operation, holds: "the service ends in order")
    stopping.append((reply, Instant.monotonicNow()))
    if now { runtime.stopNow() } else { runtime.stop(.stop) }
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

  private func begin(
    _ reply: ControlReply, _ act: (@escaping (OperationOutcome) -> Void) -> OperationID
  ) {
    // The outcome may come before the operation's id is known here.
    var ended = false
    let id = act { [weak self] outcome in
      ended = true
      self?.waiting[outcome.operation] = nil
      reply.answer(outcome)
    }
    guard !ended else { return }
    waiting[id] = reply
    reply.began(id, holds: runtime.statusLine)
  }

  /// Each line of news goes to everyone who waits for an operation.
  private func progress(_ entry: History.Entry) {
    guard !waiting.isEmpty else { return }
    switch entry.happening.kind {
    case .generationStarting, .generationProving, .generationOnTrial, .workerReady, .workerFault, .workerExited:
      for reply in waiting.values { reply.progress(entry.happening.text) }
    default: break
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
