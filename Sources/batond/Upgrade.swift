import ControlProtocol
import ControlServer
import LinuxSystem
import Settings
import Supervision
import SupervisorRuntime
import Vocabulary

/// Puts the program that lies where this one was started from in this one's place, with everything kept.
///
/// Does what ``Upgrading`` decides: the new program says, in a process of its own, that it can go on from the state as it
/// is now and from the settings; what has happened is recorded; the new image begins.
final class Upgrade {
  /// How the program was started, and what the manager told it.
  struct Program {
    var path: String?
    var arguments: [String]
    /// Variables that were taken out of the environment, and that the new image is to find there again.
    var variables: [String: String]
  }

  /// What those are told who wait for something else than the verdict.
  var news: (String) -> Void = { _ in }
  /// Somebody asked us to end, and it is not decided yet how.
  func stopIsAsked() { send(.stopping) }

  private let program: Program
  private let loop: EventLoop
  private let runtime: Runtime
  private let history: History
  private let children: Children
  private let records: Records?
  private let control: ControlServer
  private let lock: Descriptor
  private let prefix: String
  private var next = 1
  private var core = Upgrading()
  private var inbox: [Upgrading.Event] = []
  private var isHandling = false
  private var tick: TimerToken?
  /// Who asked for what is under way.
  private var reply: ControlReply?
  private var probe: CommandProbe?

  private static let checkLimit = Duration.seconds(10)
  private static let recordLimit = Duration.seconds(2)

  init(
    _ program: Program, loop: EventLoop, runtime: Runtime, history: History, children: Children, records: Records?,
    control: ControlServer, lock: Descriptor, prefix: String
  ) {
    self.program = program
    self.loop = loop
    self.runtime = runtime
    self.history = history
    self.children = children
    self.records = records
    self.control = control
    self.lock = lock
    self.prefix = prefix
    history.sinks.append { [weak self] entry in
      guard entry.happening.kind == .shutdownStarted else { return }
      self?.loop.deferred { [weak self] in self?.send(.stopping) }
    }
  }

  func begin(_ reply: ControlReply) {
    if let run = core.run { return reply.refuse(.busy(holder: "\(run.operation)", since: nil)) }
    let operation = takeOperation()
    self.reply = reply
    runtime.tellAsked(operation, "upgrade", by: Asker(reply.caller))
    reply.began(operation, holds: runtime.statusLine)
    send(.asked(operation, isForReload: false))
  }

  /// Before a reload, where the settings say so and another program lies in this one's place: the reload waits for it.
  func beginIfReplaced() {
    guard core.run == nil, let path = program.path, ProgramImage.isReplaced(at: path),
      let serving = runtime.core.serving, runtime.generations[serving]?.settings.handover.upgradeOnReload == true,
      !core.isStopping, !runtime.core.isStopping
    else { return }
    reply = nil
    send(.asked(takeOperation(), isForReload: true))
  }

  private func takeOperation() -> OperationID {
    defer { next += 1 }
    return OperationID("upgrade-\(prefix)-\(next)")
  }

  // MARK: Events in, actions out

  private func send(_ event: Upgrading.Event) {
    inbox.append(event)
    guard !isHandling else { return }
    isHandling = true
    while !inbox.isEmpty {
      for action in core.handle(inbox.removeFirst(), at: .monotonicNow()) { perform(action) }
    }
    isHandling = false
    loop.cancel(tick)
    tick = core.nextDeadline.map { loop.schedule(at: $0) { [weak self] in self?.send(.tick) } }
  }

  private func perform(_ action: Upgrading.Action) {
    switch action {
    case .pause(let operation): runtime.pause(for: operation)
    case .resume: runtime.goOn()
    case .look:
      // What the caller does in the same breath, such as a reload, is to be asked for first.
      loop.deferred { [weak self] in self?.look() }
    case .check: check()
    case .cancelCheck:
      probe?.cancel()
      probe = nil
    case .record: record()
    case .replace: replace()
    case .waits(let unrest): progress("waits: \(unrest)")
    case .refuse(let run, let why): refuse(run, why)
    case .busy(_, let holder):
      reply?.refuse(.busy(holder: holder, since: nil))
      reply = nil
    }
  }

  private func progress(_ text: String) {
    if let reply { reply.progress(text) } else { news(text) }
  }

  // MARK: Acts

  private func look() {
    if runtime.core.isStopping { send(.stopping) }
    send(.looked(runtime.unrest))
  }

  /// The new program says whether it could go on.
  private func check() {
    guard let path = program.path else {
      return send(.failed("where this program lies is not known: /proc is not readable"))
    }
    progress("asking \(path) whether it can go on from here")
    do throws(SystemError) {
      let state = try SealedMemory.make("baton-state", saved().bytes)
      var environment = ProgramImage.environment()
      environment[StateInheritance.variable] = "3"
      let command = CommandProbe.Command(
        arguments: [path] + program.arguments.dropFirst() + ["--self-check"], environment: environment)
      let probe = CommandProbe(loop: loop, children: children, command, timeout: Self.checkLimit) { [weak self] in
        self?.probe = nil
        var failure: String?
        if case .failed(let why) = $0 { failure = "\(path) cannot take over: \(why)" }
        self?.send(.checked(failure: failure))
      }
      probe.passed = [state]
      probe.start()
      self.probe = probe
    } catch { send(.failed("the state cannot be written: \(error)")) }
  }

  /// What has happened is in the ledger, so that little has to be carried.
  private func record() {
    guard let records else { return send(.recorded) }
    records.flush(through: history.nextNumber - 1, limit: Self.recordLimit) { [weak self] in self?.send(.recorded) }
  }

  private func replace() {
    guard let path = program.path else { return send(.failed("where this program lies is not known")) }
    do throws(SystemError) {
      let state = saved()
      let memory = try SealedMemory.make("baton-state", state.bytes)
      var environment = ProgramImage.environment().merging(program.variables) { $1 }
      environment[StateInheritance.variable] = "\(memory.raw)"
      let failure = ProgramImage.replace(
        with: path, arguments: program.arguments, environment: environment, keeping: state.descriptors + [memory.raw])
      send(.failed("\(failure)"))
    } catch { send(.failed("the state cannot be written: \(error)")) }
  }

  private func saved() -> SavedState {
    let (listener, callers) = control.handedOver
    let connections = callers.map { caller in
      let wait: SavedControl.Wait =
        switch caller.wait {
        case .verdict: .verdict
        case .events: .events
        case .reload: .reload
        case .call: .call
        }
      let operation: OperationID? = if case .reload(let operation) = caller.wait { operation } else { nil }
      return SavedControl.Connection(
        descriptor: caller.descriptor, wait: wait, more: caller.more, operation: operation)
    }
    let now = Instant.monotonicNow()
    return runtime.save(
      control: SavedControl(
        listener: listener, lock: lock.raw, connections: connections, operators: control.policy.operators),
      upgrade: SavedUpgrade(
        operation: core.run?.operation ?? OperationID("-"), startedAt: core.run?.since ?? now, leftAt: now,
        from: Daemon.version), recordedThrough: records?.flushedThrough ?? 0)
  }

  // MARK: The end

  private func refuse(_ run: Upgrading.Run, _ why: String) {
    var happening = Happening(.upgradeRefused, "upgrade refused: \(why); batond \(Daemon.version) goes on")
    happening.operation = run.operation
    happening.reason = why
    history.add(happening)
    news("upgrade refused: \(why); batond \(Daemon.version) goes on")
    reply?.finish(
      VerdictReport(
        operation: run.operation, act: .upgrade, outcome: .failed, what: "upgrade refused: \(why)",
        holds: "batond \(Daemon.version) goes on; \(runtime.statusLine)",
        next: "put a batond that works where this one lies, and upgrade again", took: .monotonicNow() - run.since))
    reply = nil
  }

  /// This image took over from another: says so to whoever asked that one.
  static func tell(_ state: SavedState, _ replies: [ControlReply], runtime: Runtime, history: History) {
    let now = Instant.monotonicNow()
    let upgrade = state.upgrade
    let gap = now - upgrade.leftAt
    let what =
      "batond \(upgrade.from) is batond \(Daemon.version) now; the same \(state.workers.count) workers run on, "
      + "\(gap.text) without supervision"
    var happening = Happening(.upgraded, what)
    happening.operation = upgrade.operation
    happening.from = upgrade.from
    happening.to = Daemon.version
    history.add(happening)
    for reply in replies {
      reply.began(upgrade.operation, holds: runtime.statusLine)
      reply.finish(
        VerdictReport(
          operation: upgrade.operation, act: .upgrade, outcome: .done, what: what, holds: runtime.statusLine,
          took: now - upgrade.startedAt))
    }
  }
}
