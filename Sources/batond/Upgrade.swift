import ControlProtocol
import ControlServer
import LinuxSystem
import Settings
import Supervision
import SupervisorRuntime
import Vocabulary

/// Puts the program that lies where this one was started from in this one's place, with everything kept.
///
/// First the new program says, in a process of its own, that it can go on from the state as it is now and from the
/// settings. Then whatever is under way comes to its end, and the new image begins. Until that instant every failure
/// leaves this image at work.
final class Upgrade {
  /// How the program was started, and what the manager told it.
  struct Program {
    var path: String?
    var arguments: [String]
    /// Variables that were taken out of the environment, and that the new image is to find there again.
    var variables: [String: String]
  }

  /// What comes next when nothing else is under way.
  private enum Step { case checking, recording, replacing }

  private struct Run {
    let operation: OperationID
    let startedAt: Instant
    let reply: ControlReply?
    var step = Step.checking
    var waitsFor: String?
  }

  /// What those are told who wait for something else than the verdict.
  var news: (String) -> Void = { _ in }
  /// Somebody asked us to end, and it is not decided yet how.
  var isStopAsked = false

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
  private var run: Run?
  private var probe: CommandProbe?

  private static let checkLimit = Duration.seconds(10)
  private static let recordLimit = Duration.seconds(2)
  /// The longest that something under way is waited for; a reload may hold for as long.
  private static let patience = Duration.seconds(3_600)
  private static let interval = Duration.milliseconds(10)

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
      self?.loop.deferred { [weak self] in self?.fail("the service is being stopped") }
    }
  }

  func begin(_ reply: ControlReply) {
    if let run { return reply.refuse(.busy(holder: "\(run.operation)", since: nil)) }
    let operation = open(reply)
    runtime.tellAsked(operation, "upgrade", by: Asker(reply.caller))
    reply.began(operation, holds: runtime.statusLine)
    runtime.pause(for: operation)
    goOn()
  }

  /// Before a reload, where the settings say so and another program lies in this one's place: the reload waits for it.
  func beginIfReplaced() {
    guard run == nil, let path = program.path, ProgramImage.isReplaced(at: path),
      let serving = runtime.core.serving, runtime.generations[serving]?.settings.handover.upgradeOnReload == true,
      !isStopAsked, !runtime.core.isStopping
    else { return }
    runtime.pause(for: open(nil))
    loop.deferred { [weak self] in self?.goOn() }
  }

  private func open(_ reply: ControlReply?) -> OperationID {
    let operation = OperationID("upgrade-\(prefix)-\(next)")
    next += 1
    run = Run(operation: operation, startedAt: .monotonicNow(), reply: reply)
    return operation
  }

  private func progress(_ text: String) {
    if let reply = run?.reply { reply.progress(text) } else { news(text) }
  }

  // MARK: Steps

  private func goOn() {
    guard let run else { return }
    guard !isStopAsked, !runtime.core.isStopping else { return fail("the service is being stopped") }
    if let unrest = runtime.unrest { return wait(for: unrest) }
    switch run.step {
    case .checking: check()
    case .recording: record()
    case .replacing: replace()
    }
  }

  private func wait(for unrest: String) {
    guard let run else { return }
    guard Instant.monotonicNow() < run.startedAt + Self.patience else {
      self.run = nil
      run.reply?.refuse(.busy(holder: unrest, since: nil))
      return runtime.goOn()
    }
    if run.waitsFor != unrest {
      self.run?.waitsFor = unrest
      progress("waits: \(unrest)")
    }
    loop.schedule(after: Self.interval) { [weak self] in self?.goOn() }
  }

  /// The new program says whether it could go on.
  private func check() {
    guard let path = program.path else { return fail("where this program lies is not known: /proc is not readable") }
    progress("asking \(path) whether it can go on from here")
    do throws(SystemError) {
      let state = try SealedMemory.make("baton-state", saved().bytes)
      var environment = ProgramImage.environment()
      environment[StateInheritance.variable] = "3"
      let command = CommandProbe.Command(
        arguments: [path] + program.arguments.dropFirst() + ["--self-check"], environment: environment)
      let probe = CommandProbe(loop: loop, children: children, command, timeout: Self.checkLimit) { [weak self] in
        self?.probe = nil
        switch $0 {
        case .passed:
          self?.checked()
        case .failed(let why): self?.fail("\(path) cannot take over: \(why)")
        }
      }
      probe.passed = [state]
      probe.start()
      self.probe = probe
      // The state was written at rest. What begins until the answer is here comes to its end before the rest.
      if run?.reply != nil { runtime.goOn() }
    } catch { fail("the state cannot be written: \(error)") }
  }

  /// It has its turn before every reload that has not begun.
  private func checked() {
    guard let run else { return }
    self.run?.step = .recording
    runtime.pause(for: run.operation)
    goOn()
  }

  /// What has happened is in the ledger, so that little has to be carried.
  private func record() {
    guard let records else {
      run?.step = .replacing
      return goOn()
    }
    records.flush(through: history.nextNumber - 1, limit: Self.recordLimit) { [weak self] in
      self?.run?.step = .replacing
      self?.goOn()
    }
  }

  private func replace() {
    guard let path = program.path else { return }
    do throws(SystemError) {
      let state = saved()
      let memory = try SealedMemory.make("baton-state", state.bytes)
      var environment = ProgramImage.environment().merging(program.variables) { $1 }
      environment[StateInheritance.variable] = "\(memory.raw)"
      let failure = ProgramImage.replace(
        with: path, arguments: program.arguments, environment: environment, keeping: state.descriptors + [memory.raw])
      fail("\(failure)")
    } catch { fail("the state cannot be written: \(error)") }
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
      control: SavedControl(listener: listener, lock: lock.raw, connections: connections),
      upgrade: SavedUpgrade(
        operation: run?.operation ?? OperationID("-"), startedAt: run?.startedAt ?? now, leftAt: now,
        from: Daemon.version), recordedThrough: records?.flushedThrough ?? 0)
  }

  // MARK: The end

  private func fail(_ why: String) {
    guard let run else { return }
    self.run = nil
    probe?.cancel()
    probe = nil
    var happening = Happening(.upgradeRefused, "upgrade refused: \(why); batond \(Daemon.version) goes on")
    happening.operation = run.operation
    happening.reason = why
    history.add(happening)
    news("upgrade refused: \(why); batond \(Daemon.version) goes on")
    run.reply?.finish(
      VerdictReport(
        operation: run.operation, act: .upgrade, outcome: .failed, what: "upgrade refused: \(why)",
        holds: "batond \(Daemon.version) goes on; \(runtime.statusLine)",
        next: "put a batond that works where this one lies, and upgrade again", took: .monotonicNow() - run.startedAt))
    runtime.goOn()
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
