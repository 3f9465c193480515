import LinuxSystem
import Settings
import Supervision
import Vocabulary

/// What the supervisor asks: is a worker ready, does it live, has it anything pending, and does a generation answer
/// right through the public address.
final class Questions {
  var send: (Event) -> Void = { _ in }
  private let loop: EventLoop
  private let listeners: Listeners
  private let workers: Workers
  private var repeated: [WorkerID: Repeated] = [:]
  private var probes: [UInt64: any Cancellable] = [:]
  private var nextKey: UInt64 = 0
  /// Of the generation on trial.
  private var check: (any Cancellable)?
  /// Workers are saving what they have: that is not asked twice.
  private var saves: Set<UInt64> = []

  private static let readinessInterval = Duration.milliseconds(25)
  private static let pendingInterval = Duration.milliseconds(500)
  private static let timeToDie = Duration.milliseconds(20)
  private static let proofAttempts = 3
  private static let commandLimit = Duration.seconds(10)

  init(loop: EventLoop, listeners: Listeners, workers: Workers) {
    self.loop = loop
    self.listeners = listeners
    self.workers = workers
  }

  /// Asked again until yes, or until the worker is gone.
  private final class Repeated {
    var probe: (any Cancellable)?
    var timer: TimerToken?
  }

  // MARK: Over an upgrade

  /// A worker's state is being saved by a command, whose end must be heard.
  var isSaving: Bool { !saves.isEmpty }

  /// Process groups of commands that can be asked again.
  var commands: [Int32] {
    let asked = repeated.values.compactMap(\.probe) + Array(probes.values) + [check].compactMap { $0 }
    return asked.compactMap { ($0 as? CommandProbe)?.group }
  }

  // MARK: One worker

  func askReadiness(_ id: WorkerID, _ engine: Settings.Engine?, _ generation: ResolvedGeneration?) {
    guard let engine, let generation else { return }
    ask(id, every: Self.readinessInterval, yes: { .ready($0) }) { [weak self] answer in
      self?.readinessProbe(id, engine, generation, answer)
    }
  }

  func askPending(_ id: WorkerID, _ engine: Settings.Engine?, _ generation: ResolvedGeneration?) {
    guard let engine, let generation, let command = engine.drain.pending else { return }
    ask(id, every: Self.pendingInterval, yes: { .nothingPending($0) }) { [weak self] answer in
      self?.commandProbe(id, command, engine, generation, limit: Self.commandLimit, answer)
    }
  }

  func save(_ id: WorkerID, _ engine: Settings.Engine?, _ generation: ResolvedGeneration?) {
    guard let engine, let generation, let command = engine.drain.save else { return }
    let key = takeKey()
    saves.insert(key)
    probes[key] = commandProbe(id, command, engine, generation, limit: Self.commandLimit) { [weak self] result in
      self?.probes[key] = nil
      self?.saves.remove(key)
      if case .failed(let why) = result { self?.workers.note(id, "its state could not be saved: \(why)") }
      self?.send(.saved(id))
    }
  }

  func askLiveness(_ id: WorkerID, _ engine: Settings.Engine?, _ generation: ResolvedGeneration?) {
    guard case .http(let template, _, let timeout, _) = engine?.watchdog else { return }
    let key = takeKey()
    probes[key] = httpProbe(id, template, timeout: timeout) { [weak self] result in
      self?.probes[key] = nil
      self?.send(.livenessAnswered(id, isAlive: result.isPassed))
    }
  }

  private func readinessProbe(
    _ id: WorkerID, _ engine: Settings.Engine, _ generation: ResolvedGeneration,
    _ answer: @escaping (ProbeResult) -> Void
  ) -> (any Cancellable)? {
    switch engine.ready {
    case .notify, .after: return nil
    case .http(let template): return httpProbe(id, template, timeout: .seconds(2), answer)
    case .tcp(let text):
      let filled = workers.fill(text, for: id)
      guard case .tcp(let address)? = try? SocketAddress(text: filled) else {
        return refuse("\"\(filled)\" is no TCP address", answer)
      }
      let probe = TCPProbe(loop: loop, target: .tcp(address.probed), timeout: .seconds(2), completion: answer)
      probe.start()
      return probe
    case .exec(let command):
      return commandProbe(id, command, engine, generation, limit: Self.commandLimit, answer)
    }
  }

  private func httpProbe(
    _ id: WorkerID, _ template: Settings.URLTemplate, timeout: Duration, _ answer: @escaping (ProbeResult) -> Void
  ) -> (any Cancellable)? {
    let url: ProbeURL
    do throws(ProbeURLError) {
      url = try ProbeURL(text: workers.fill(template.text, for: id))
    } catch { return refuse("\(error)", answer) }
    let probe = HTTPProbe(loop: loop, request: HTTPProbe.Request(url: url, timeout: timeout), completion: answer)
    probe.start()
    return probe
  }

  /// An answer of its own for what cannot be asked; later, as every answer comes.
  private func refuse(_ why: String, _ answer: @escaping (ProbeResult) -> Void) -> (any Cancellable)? {
    loop.deferred { answer(.failed(why)) }
    return nil
  }

  private func commandProbe(
    _ id: WorkerID, _ command: [String], _ engine: Settings.Engine, _ generation: ResolvedGeneration, limit: Duration,
    _ answer: @escaping (ProbeResult) -> Void
  ) -> (any Cancellable)? {
    let request = workers.command(command.map { workers.fill($0, for: id) }, for: id, engine, generation)
    let probe = CommandProbe(
      loop: loop, children: workers.children, request, timeout: limit, completion: answer)
    probe.start()
    return probe
  }

  private func ask(
    _ id: WorkerID, every interval: Duration, yes: @escaping (WorkerID) -> Event,
    _ start: @escaping (@escaping (ProbeResult) -> Void) -> (any Cancellable)?
  ) {
    guard workers.isRunning(id) else {
      repeated[id] = nil
      return
    }
    let entry = repeated[id] ?? Repeated()
    repeated[id] = entry
    entry.probe = start { [weak self] result in
      guard let self else { return }
      entry.probe = nil
      guard !result.isPassed else {
        repeated[id] = nil
        send(yes(id))
        return
      }
      entry.timer = loop.schedule(after: interval) { [weak self] in self?.ask(id, every: interval, yes: yes, start) }
    }
  }

  /// Nobody waits for answers about a worker that is gone.
  func forget(_ id: WorkerID) {
    guard let entry = repeated.removeValue(forKey: id) else { return }
    entry.probe?.cancel()
    loop.cancel(entry.timer)
  }

  // MARK: A generation

  /// One question through the public address. An answer counts only if no listener of the address left its place
  /// meanwhile, be it one of an earlier generation that a straggler shut down: until then it is asked again, three times
  /// at most.
  func prove(
    _ id: GenerationID, _ engine: EngineName, number: Int, _ prove: Settings.Prove, through listener: ListenerID,
    attempt: Int = 1
  ) {
    let key = takeKey()
    let departures = listeners.departures[listener.key, default: 0]
    let finish = { [weak self] (failure: String?) in
      guard let self else { return }
      probes[key] = nil
      guard let displaced = listeners.misplaced(listener, since: departures) else {
        return send(.proofAnswered(id, engine, number: number, failure: failure))
      }
      guard attempt < Self.proofAttempts else {
        return send(.proofAnswered(id, engine, number: number, failure: failure ?? displaced))
      }
      _ = loop.schedule(after: Self.timeToDie) { [weak self] in
        self?.prove(id, engine, number: number, prove, through: listener, attempt: attempt + 1)
      }
    }
    guard let route = listeners.probeRoute(to: listener) else {
      return send(
        .proofAnswered(id, engine, number: number, failure: "there is no way to ask it through \(listener.key)"))
    }
    var request = HTTPProbe.Request(target: route.target, path: prove.path, timeout: prove.timeout)
    request.host = prove.host
    request.status = prove.status
    request.bodyContains = prove.body
    request.mark = route.mark
    request.source = route.source
    let probe = HTTPProbe(loop: loop, request: request) { [weak self] result in
      switch result {
      case .passed: finish(nil)
      case .failed(let why):
        // A program that dies resets its connections before it is seen dead, and its end says more than they do.
        _ = self?.loop.schedule(after: Self.timeToDie) { finish("\(prove.path) on \(listener.key): \(why)") }
      }
    }
    probes[key] = probe
    probe.start()
  }

  /// The settings' own check of a generation on trial; a question that nobody waits for any more is given up.
  func check(_ generation: ResolvedGeneration, _ trial: Settings.Trial, round: Int, serving: GenerationID?) {
    check?.cancel()
    check = nil
    let answer = { [weak self] (result: ProbeResult) in
      self?.check = nil
      var failure: String?
      if case .failed(let why) = result { failure = why }
      self?.send(.trialChecked(generation.id, round: round, failure: failure))
    }
    switch trial.check {
    case nil: loop.deferred { answer(.passed) }
    case .exec(let words):
      var command = generation.command(words)
      command.environment["BATON_GENERATION"] = "\(generation.id)"
      command.environment["BATON_RELEASE"] = generation.release.text
      command.environment["BATON_SERVING_GENERATION"] = serving.map { "\($0)" }
      let probe = CommandProbe(
        loop: loop, children: workers.children, command, timeout: trial.checkTimeout, completion: answer)
      check = probe
      probe.start()
    case .http(let template):
      do throws(ProbeURLError) {
        let url = try ProbeURL(text: template.text)
        let probe = HTTPProbe(
          loop: loop, request: HTTPProbe.Request(url: url, timeout: trial.checkTimeout), completion: answer)
        check = probe
        probe.start()
      } catch { loop.deferred { answer(.failed("\(error)")) } }
    }
  }

  private func takeKey() -> UInt64 {
    nextKey += 1
    return nextKey
  }
}
