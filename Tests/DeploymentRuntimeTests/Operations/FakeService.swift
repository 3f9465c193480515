import Deployment
import Glibc
import LinuxSystem
import Vocabulary

@testable import DeploymentRuntime

/// A service whose unit is a file that says which release runs, and steps that do to it what the real ones do, through
/// the same effects.
final class FakeService {
  static let old = ReleaseID("20260101T000000Z-aaaaaaa-0001")
  static let new = ReleaseID("20260102T000000Z-bbbbbbb-0002")
  static let files = ["bin/main", "etc/app.toml", "README"]

  let fixture: OperationFixture
  let layout: Layout

  init(hasOld: Bool = true) throws {
    fixture = try OperationFixture(scratch: Scratch(inMemory: true))
    layout = fixture.operation.layout
    for directory in ["app/releases", "app/deploys", "app/backups"] { fixture.scratch.make(directory) }
    guard hasOld else { return }
    for name in Self.files { fixture.scratch.write("app/releases/\(Self.old)/\(name)", "\(Self.old) \(name)") }
    symlink("releases/\(Self.old)", layout.current)
    fixture.scratch.write("app/unit", Self.old.text)
  }

  var running: String { fixture.scratch.read("app/unit") ?? "" }

  func isWhole(_ release: ReleaseID) -> Bool {
    Self.files.allSatisfy { fixture.scratch.read("app/releases/\(release)/\($0)") == "\(release) \($0)" }
  }

  /// As a new process puts it together.
  func assembly(_ id: OperationID, effects: Effects, failing: Step? = nil, abort: Descriptor? = nil) -> Assembly {
    let like = fixture.operation
    let operation = Operation(
      id: id, service: like.service, settings: like.settings, deploy: like.deploy, effects: effects,
      audience: RecordingAudience(), abort: abort)
    var steps: [Step: any OperationStep] = [:]
    for step in Step.allCases { steps[step] = FakeStep(step: step, service: self, fails: failing == step) }
    return Assembly(operation, steps: steps) { [unowned self] in
      running.isEmpty ? .nothing : .release(ReleaseID(running))
    }
  }

  /// A deploy from here; `fault` at one of its effects.
  func deploy(
    _ id: String = "op-1", _ kind: Intent.Kind = .deploy, fault: FaultPlan? = nil, failing: Step? = nil,
    patience: Duration = .zero
  ) -> (outcome: OperationOutcome, effects: Effects) {
    let effects = Effects(.act, faults: fault)
    var intent = Intent(operation: OperationID(id), kind: kind)
    intent.who = "ann"
    let assembly = assembly(OperationID(id), effects: effects, failing: failing)
    return (Executor(assembly, patience: patience).run(intent), effects)
  }

  func recover(
    _ moment: Moment = .now, fault: FaultPlan? = nil
  ) throws -> (outcomes: [OperationOutcome], effects: Effects) {
    let effects = Effects(.act, faults: fault)
    let recover = Recover(layout, effects: effects) { [unowned self] (id, _) throws(StepFailure) in
      assembly(id, effects: effects)
    }
    return (try recover.run(moment, who: "bob"), effects)
  }

  /// What must hold when no process is at work and nothing is half-done.
  func complaints(_ expected: ReleaseID?) -> [String] {
    var all: [String] = []
    let current = currentRelease(layout)
    if let expected, current != expected { all.append("`current` names \(current?.text ?? "nothing")") }
    if let current {
      if !isWhole(current) { all.append("\(current) is not whole") }
      if running != current.text { all.append("\(current) is current, and \(running) runs") }
    } else {
      all.append("`current` names nothing")
    }
    if !isWhole(Self.old) { all.append("the old release is not whole") }
    if current != Self.new, fixture.scratch.exists("app/releases/\(Self.new)") { all.append("a release is left over") }
    let left = fixture.scratch.names(in: "app/releases").filter { $0.hasPrefix(".tmp-") }
    if !left.isEmpty { all.append("left over: \(left)") }
    if !Recover.halfDone(layout).isEmpty { all.append("something is half-done") }
    if isLockHeld { all.append("the lock is held") }
    return all + ledgerComplaints
  }

  /// A child that another test begins at this moment has every descriptor of this process until it executes, and with it
  /// the lock: on a busy machine for some time.
  private var isLockHeld: Bool {
    let patience = Instant.monotonicNow() + .seconds(10)
    while OperationLock.isHeld(layout) {
      guard Instant.monotonicNow() < patience else { return true }
      poll(nil, 0, 1)
    }
    return false
  }

  /// The ledger says what the logs say.
  var ledgerComplaints: [String] {
    let ledger = DeployLedger(layout, effects: Effects(.act, faults: nil))
    var all = ledger.news
    for id in OperationIndex.all(layout) {
      let lines = StepLog.peek(layout, id)
      if (try? DeployLedger.read(layout, id)) != lines { all.append("the ledger differs from the log of \(id)") }
    }
    return all
  }
}

private struct FakeStep: OperationStep {
  let step: Step
  unowned let service: FakeService
  let fails: Bool

  func run(_ operation: Operation) throws(StepFailure) {
    let files = DurableFiles(operation.effects, operation: operation.id)
    do throws(SystemError) {
      switch step {
      case .fetch where operation.facts.release == nil:
        operation.facts.release = FakeService.new
        try recordFacts(operation)
        try make(operation, files)
      case .activate:
        guard let release = operation.facts.release else { throw SystemError("find", "the release", errno: ENOENT) }
        try activate(release, operation, files)
      case .preflight, .lock, .backup, .fetch, .build, .verify, .migrate, .healthCheck, .bake, .markGood, .prune:
        try operation.effects.perform(.execute, step.rawValue) { () throws(SystemError) in }
      }
      if fails { throw SystemError("do", step.rawValue, errno: ECANCELED) }
    } catch {
      throw StepFailure(.failed, error)
    }
  }

  private func recordFacts(_ operation: Operation) throws(SystemError) {
    do throws(StepFailure) { try operation.recordFacts() } catch { throw SystemError("record", "facts", errno: EIO) }
  }

  private func make(_ operation: Operation, _ files: DurableFiles) throws(SystemError) {
    let place = service.layout.release(FakeService.new)
    let temporary = TemporaryName.beside(place, operation.id)
    try files.removeTree(temporary)
    try files.makeDirectory(temporary)
    try files.makeDirectories("\(temporary)/bin")
    try files.makeDirectories("\(temporary)/etc")
    for name in FakeService.files {
      try files.write(Array("\(FakeService.new) \(name)".utf8), to: "\(temporary)/\(name)")
    }
    // Run again after a kill.
    try files.discardTree(place)
    try files.move(temporary, to: place)
  }

  private func activate(_ release: ReleaseID, _ operation: Operation, _ files: DurableFiles) throws(SystemError) {
    try files.replaceSymlink(service.layout.current, with: "releases/\(release)")
    guard !operation.isBooting else { return }
    try operation.effects.perform(.bus, "RestartUnit") { () throws(SystemError) in
      service.fixture.scratch.write("app/unit", release.text)
    }
  }

  func undo(_ operation: Operation) throws(StepFailure) {
    let files = DurableFiles(operation.effects, operation: operation.id)
    do throws(SystemError) {
      switch step {
      case .fetch:
        if let release = operation.facts.release, release == FakeService.new {
          try files.discardTree(service.layout.release(release))
        }
        try files.sweep(service.layout.releases, of: operation.id)
      case .activate:
        guard let previous = operation.facts.previous else { return }
        try files.sweep(service.layout.directory, of: operation.id)
        if currentRelease(service.layout) == previous, service.running == previous.text { return }
        try activate(previous, operation, files)
      case .preflight, .lock, .backup, .build, .verify, .migrate, .healthCheck, .bake, .markGood, .prune:
        break
      }
    } catch {
      throw StepFailure(.failed, error)
    }
  }
}
