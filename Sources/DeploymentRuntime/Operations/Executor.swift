package import Deployment
internal import Glibc
internal import LinuxSystem
package import Vocabulary

/// Brings one operation to its end: does what the machine says, in its order, and tells it what came of it. Decides
/// nothing.
///
/// The process may end at any instant; then ``Recover`` goes on from the records.
package final class Executor {
  private let assembly: Assembly
  private let operation: Operation
  private var log: StepLog?
  private var lock: OperationLock?
  private let patience: Duration
  private let ledger: DeployLedger?
  private var isAbortTold = false
  private var isLedgerSilent = false

  /// `patience`: how long to wait for the lock.
  package init(_ assembly: Assembly, patience: Duration = .zero) {
    self.assembly = assembly
    operation = assembly.operation
    self.patience = patience
    ledger = operation.effects.mode == .act ? DeployLedger(operation.layout, effects: operation.effects) : nil
  }

  /// From the first record to the outcome. In a plan nothing is recorded and nothing undone.
  package func run(_ intent: Intent) -> OperationOutcome {
    var machine = Deploy(intent)
    if let missing = intent.steps.first(where: { assembly.steps[$0] == nil && $0 != .lock && $0 != .markGood }) {
      return refusal(StepFailure(.refused, "there is no \(missing.rawValue) in this operation"))
    }
    do throws(StepFailure) {
      if operation.effects.mode == .plan {
        operation.facts.previous = currentRelease(operation.layout)
      } else {
        log = try StepLog.create(operation.layout, operation.id, effects: operation.effects)
        guard log?.lines.isEmpty ?? true else {
          throw StepFailure(.refused, "operation \(operation.id) has begun already", next: "baton recover")
        }
      }
    } catch {
      return refusal(error)
    }
    return drive(&machine, machine.handle(.begin, at: .monotonicNow()))
  }

  /// Brings a half-done operation to its end, under a lock that the caller holds; nil when nothing is left to be done.
  package func resume(_ moment: Moment, under lock: OperationLock) -> OperationOutcome? {
    do throws(StepFailure) {
      let log = try StepLog.open(operation.layout, operation.id, effects: operation.effects)
      self.log = log
      operation.isBooting = moment == .boot
      let reality = Reality(current: currentRelease(operation.layout), running: assembly.running())
      guard
        let past = Recovery.resume(log.entries, reality: reality, moment: moment, at: .monotonicNow())
      else { return nil }
      var machine = past.machine
      operation.facts = machine.facts
      // The records go on where they ended; that this one is missing changes nothing.
      _ = record(.resumed(atBoot: moment == .boot))
      return drive(&machine, past.actions)
    } catch {
      return refusal(error)
    }
  }

  private func refusal(_ failure: StepFailure) -> OperationOutcome {
    OperationOutcome(
      operation: operation.id, outcome: failure.kind == .busy ? .busy : .refused, facts: operation.facts,
      failure: failure, residue: [:])
  }

  // MARK: The loop

  private func drive(_ machine: inout Deploy, _ first: [DeployAction]) -> OperationOutcome {
    operation.recorder = { [unowned self] (facts) throws(StepFailure) in
      if let failure = append(.knows(facts)) { throw failure }
    }
    defer { operation.recorder = nil }
    var actions = first[...]
    while let action = actions.popFirst() {
      guard let event = perform(action, of: machine.intent) else { continue }
      if isAbortAsked { actions += machine.handle(.abortAsked, at: .monotonicNow()) }
      actions += machine.handle(event, at: .monotonicNow())
    }
    var outcome: Outcome = .stuck
    if case .ended(let ended) = machine.state { outcome = ended }
    return OperationOutcome(
      operation: operation.id, outcome: outcome, facts: machine.facts, step: machine.turn?.step,
      failure: machine.turn?.failure, residue: machine.residue, unrecorded: machine.unrecorded)
  }

  /// Once: what is asked for twice is asked for.
  private var isAbortAsked: Bool {
    guard !isAbortTold, let abort = operation.abort else { return false }
    var poller = pollfd(fd: abort.raw, events: Int16(POLLIN), revents: 0)
    isAbortTold = poll(&poller, 1, 0) > 0
    return isAbortTold
  }

  private func perform(_ action: DeployAction, of intent: Intent) -> DeployEvent? {
    switch action {
    case .record(let entry): return record(entry)
    case .run(let step): return run(step, of: intent)
    case .interrupt: return nil  // It polls the same descriptor.
    case .undo(let step): return undo(step)
    case .restore: return restore()
    case .announce(let announcement):
      if case .turning(let step, let failure) = announcement { assembly.hooks?.failed(step, failure, operation) }
      operation.audience.announce(announcement)
      return nil
    case .finish:
      lock?.release()
      lock = nil
      return nil
    }
  }

  // MARK: Steps

  private func run(_ step: Step, of intent: Intent) -> DeployEvent {
    do throws(StepFailure) {
      try assembly.hooks?.before(step, operation)
      if step == .lock {
        try takeLock()
      } else {
        try assembly.steps[step]?.run(operation)
      }
      try assembly.hooks?.after(step, operation)
      return .done(step, operation.facts)
    } catch {
      // A plan goes on as far as it can see, to show all that is in the way.
      if operation.effects.mode == .plan, seesOn(after: step, of: intent), error.kind != .aborted {
        operation.findings.refusals.append(error)
        return .done(step, operation.facts)
      }
      return .failed(step, masked(error), operation.facts)
    }
  }

  /// Without what fetch brings nothing can be said of what follows, nor without a tree that can be adopted.
  private func seesOn(after step: Step, of intent: Intent) -> Bool { step != .fetch && intent.kind != .adopt }

  private func undo(_ step: Step) -> DeployEvent {
    // In a plan nothing was done.
    guard operation.effects.mode == .act else { return .undone(step) }
    do throws(StepFailure) {
      try assembly.steps[step]?.undo(operation)
      return .undone(step)
    } catch {
      return .undoFailed(step, masked(error))
    }
  }

  private func restore() -> DeployEvent {
    guard let restoration = assembly.restoration else {
      return .restoreFailed(StepFailure(.stuck, "there is no archive to go back to"))
    }
    do throws(StepFailure) {
      try restoration.run(operation)
      return .restored
    } catch {
      return .restoreFailed(masked(error))
    }
  }

  /// From here on nobody else acts, and what was true before may not be any more.
  private func takeLock() throws(StepFailure) {
    let layout = operation.layout
    let intent = log?.entries.first.flatMap { if case .began(let intent) = $0 { intent } else { nil } }
    lock = try OperationLock.acquire(
      layout, intent?.kind.rawValue ?? "deploy", operation.id, who: intent?.who ?? "", patience: patience,
      abort: operation.abort, effects: operation.effects)
    var last: Int64 = 0
    for other in OperationIndex.all(layout) where other != operation.id {
      let lines = StepLog.peek(layout, other)
      if Recovery.holdsOthers(lines.map(\.entry)) {
        throw StepFailure(.busy, "operation \(other) is half-done", next: "baton recover")
      }
      if Recovery.isBaking(lines.map(\.entry)) {
        throw StepFailure(.busy, "the release of operation \(other) still bakes", next: "wait, or baton recover")
      }
      last = max(last, Recovery.sequence(lines.map(\.entry)))
    }
    operation.facts.sequence = max(last, ledger?.lastSequence() ?? 0) + 1
    operation.facts.previous = currentRelease(layout)
    sweep()
  }

  /// Nobody is at work and nothing is half-done: what has the name of something unfinished was given up.
  private func sweep() {
    let layout = operation.layout
    let files = DurableFiles(operation.effects, operation: operation.id)
    for directory in [layout.directory, layout.releases, layout.backups] {
      do throws(SystemError) { try files.sweep(directory) } catch {
        operation.audience.warn("what an earlier operation left over cannot be removed: \(error)")
      }
    }
  }

  // MARK: Records

  private func record(_ entry: Entry) -> DeployEvent {
    if let failure = append(entry) { return .recordFailed(failure) }
    return .recorded
  }

  /// First the log, which is the truth, then the ledger, which can be made anew from it.
  private func append(_ entry: Entry) -> StepFailure? {
    guard let log else { return nil }
    do throws(StepFailure) {
      try log.append(entry)
    } catch {
      return error
    }
    if let trouble = ledger?.write(log.lines), !isLedgerSilent {
      isLedgerSilent = true
      operation.audience.warn("\(trouble.what); the operation goes on, and the ledger is made anew from its records")
    }
    return nil
  }

  private func masked(_ failure: StepFailure) -> StepFailure {
    let mask = operation.audience.masked
    return StepFailure(
      failure.kind, mask(failure.what), next: failure.next.map(mask), lines: failure.lines.suffix(50).map(mask))
  }
}

/// What `current` names, if it names a release of this service.
package func currentRelease(_ layout: Layout) -> ReleaseID? { releaseNamed(by: layout.current, layout) }

/// As ``currentRelease(_:)``, of a link that lies beside `current`.
func releaseNamed(by link: String, _ layout: Layout) -> ReleaseID? {
  var buffer = [CChar](repeating: 0, count: 4_096)
  let count = readlink(link, &buffer, buffer.count)
  guard count > 0, count < buffer.count else { return nil }
  let target = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  let prefix = target.hasPrefix("/") ? "\(layout.releases)/" : "releases/"
  guard target.hasPrefix(prefix) else { return nil }
  let name = target.dropFirst(prefix.count)
  return name.isEmpty || name.contains("/") ? nil : ReleaseID(String(name))
}
