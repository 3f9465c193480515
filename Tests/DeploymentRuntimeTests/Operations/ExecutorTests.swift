import Deployment
import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

@Suite struct ExecutorTests {
  @Test func aDeployIsRecordedStepByStep() throws {
    let service = try FakeService()
    let (outcome, _) = service.deploy()
    #expect(outcome.outcome == .good && outcome.exitStatus == 0, "\(outcome)")
    #expect(service.complaints(FakeService.new).isEmpty, "\(service.complaints(FakeService.new))")
    let lines = StepLog.peek(service.layout, OperationID("op-1"))
    #expect(lines.map(\.number) == Array(1...lines.count))
    for step in Step.allCases {
      let intends = lines.firstIndex { $0.entry == .intends(step) }
      let did = lines.firstIndex { if case .did(step, _) = $0.entry { true } else { false } }
      #expect(intends != nil && did != nil && (intends ?? 0) < (did ?? 0), "\(step)")
    }
    #expect(lines.last?.entry == .ended(.good))
    let history = DeployHistory.read(service.layout)
    #expect(history.trouble == nil)
    #expect(history.operations.first?.outcome == .good)
    #expect(history.releases.first?.id == FakeService.new)
    #expect(history.releases.first?.verdict == .good)
  }

  @Test(arguments: Step.allCases.filter { $0 != .lock && $0 != .prune })
  func aFailureOfAnyStepLeadsBack(_ step: Step) throws {
    let service = try FakeService()
    let (outcome, _) = service.deploy(failing: step)
    #expect(outcome.outcome == (step == .preflight ? .refused : .failed))
    #expect(outcome.exitStatus == 1)
    #expect(outcome.step == step)
    #expect(service.complaints(FakeService.old).isEmpty, "\(service.complaints(FakeService.old))")
    let isProved = [.activate, .healthCheck, .bake].contains(step)
    let verdict = DeployHistory.read(service.layout).releases.first { $0.id == FakeService.new }?.verdict
    #expect(verdict == (isProved ? .bad : nil))
  }

  @Test func whatFailsAfterTheMarkIsLeftOut() throws {
    let service = try FakeService()
    let (outcome, _) = service.deploy(failing: .prune)
    #expect(outcome.outcome == .good)
    #expect(outcome.residue.keys.map(\.self) == [.prune])
    let summary = DeployHistory.show(service.layout, OperationID("op-1"))?.summary
    #expect(summary?.steps.last?.step == .prune && summary?.steps.last?.state == .failed)
    #expect(service.complaints(FakeService.new).isEmpty, "\(service.complaints(FakeService.new))")
  }

  @Test func thePlanIsTheSameCodeAndTouchesNothing() throws {
    let service = try FakeService()
    let before = service.fixture.scratch.names(in: "app") + service.fixture.scratch.names(in: "app/deploys")
    let effects = Effects(.plan, faults: nil)
    let id = OperationID("op-1")
    let outcome = Executor(service.assembly(id, effects: effects)).run(Intent(operation: id, kind: .deploy))
    #expect(outcome.outcome == .good)
    #expect(service.fixture.scratch.names(in: "app") + service.fixture.scratch.names(in: "app/deploys") == before)
    #expect(effects.log.contains { $0.kind == .bus })
    #expect(service.running == FakeService.old.text)
  }

  @Test func twoAtOnce() throws {
    let service = try FakeService()
    let effects = Effects(.act, faults: nil)
    let lock = try OperationLock.acquire(service.layout, "rollback", OperationID("op-0"), who: "eve", effects: effects)
    let (outcome, _) = service.deploy()
    #expect(outcome.outcome == .busy && outcome.exitStatus == 75)
    #expect(outcome.failure?.what.contains("rollback op-0 of eve") ?? false)
    #expect(service.running == FakeService.old.text)
    lock.release()
    #expect(service.deploy("op-2").outcome.outcome == .good)
    #expect(DeployHistory.read(service.layout).operations.map(\.facts.sequence) == [1, 0])
  }

  @Test func oneThatIsHalfDoneIsInTheWayUntilItIsRecovered() throws {
    let service = try FakeService()
    let count = service.deploy("op-0").effects.count
    let other = try FakeService()
    _ = other.deploy("op-1", fault: FaultPlan(count / 2, .after, .freeze))
    let (outcome, _) = other.deploy("op-2")
    #expect(outcome.outcome == .busy, "\(outcome)")
    #expect(try other.recover().outcomes.count == 1)
    let last = other.deploy("op-3").outcome
    #expect(last.outcome == .good, "\(last)")
  }

  @Test func anAbortWhileItWaitsIsHeard() throws {
    let service = try FakeService()
    let pipe = try Descriptor.pipe()
    _ = write(pipe.writer.raw, "x", 1)
    let id = OperationID("op-1")
    let assembly = service.assembly(id, effects: Effects(.act, faults: nil), abort: pipe.reader)
    let outcome = Executor(assembly).run(Intent(operation: id, kind: .deploy))
    #expect(outcome.outcome == .aborted && outcome.exitStatus == 1)
    #expect(service.complaints(FakeService.old).isEmpty)
  }

  @Test func aLostOrBrokenLedgerIsMadeAnew() throws {
    let service = try FakeService()
    _ = service.deploy()
    unlink(service.layout.ledger)
    unlink(service.layout.ledger + "-wal")
    unlink(service.layout.ledger + "-shm")
    #expect(DeployHistory.read(service.layout).releases.first?.verdict == .good, "the logs are enough")
    #expect(service.complaints(FakeService.new).isEmpty, "\(service.complaints(FakeService.new))")
    let garbage = "no database at all, but long enough to be looked at"
    service.fixture.scratch.write("app/deploys/ledger.db", garbage)
    // Its log has all of it still, and mends it.
    #expect(DeployLedger(service.layout, effects: Effects(.act, faults: nil)).lastSequence() == 1)
    #expect(service.ledgerComplaints.isEmpty)
    for suffix in ["-wal", "-shm"] { unlink(service.layout.ledger + suffix) }
    service.fixture.scratch.write("app/deploys/ledger.db", garbage)
    let ledger = DeployLedger(service.layout, effects: Effects(.act, faults: nil))
    #expect(ledger.news.contains { $0.contains("was damaged") && $0.contains("made from the records") })
    #expect(ledger.lastSequence() == 1)
    #expect(service.ledgerComplaints.isEmpty)
    #expect(service.fixture.scratch.names(in: "app/deploys").contains { $0.hasPrefix("ledger.db.bad-") })
  }

  /// Whoever says that it is done must have written that down, whatever else is so.
  @Test(arguments: [FaultPlan.Side.before, .after])
  func anEndThatCannotBeRecordedNeedsAPerson(_ side: FaultPlan.Side) throws {
    let other = try FakeService()
    let effects = other.deploy().effects
    let last = effects.log.lastIndex { $0.kind == .record && $0.subject.hasSuffix(": ended") }
    let number = try #require(last) + 1
    let service = try FakeService()
    let (outcome, _) = service.deploy(fault: FaultPlan(number: number, side, errno: EIO))
    #expect(outcome.outcome == .good && outcome.exitStatus == 2)
    #expect(outcome.holds.contains("serves and is marked good"))
    #expect(outcome.what?.contains("could not be recorded") == true && outcome.next?.hasSuffix("baton recover") == true)
    let verdict = OperationVerdict(outcome)
    #expect(verdict.exitStatus == 2 && verdict.what == outcome.what)
    #expect(try service.recover().outcomes.allSatisfy { $0.exitStatus == 0 })
    #expect(service.complaints(FakeService.new).isEmpty, "\(service.complaints(FakeService.new))")
  }

  @Test func norIsARecoveryDoneWhoseEndCannotBeRecorded() throws {
    let effects = try FakeService().deploy().effects
    let cut = try #require(effects.log.lastIndex { $0.subject.hasSuffix(": did mark-good") })
    let one = try FakeService(), other = try FakeService()
    for each in [one, other] { _ = each.deploy(fault: FaultPlan(cut + 1, .after, .freeze)) }
    let log = try one.recover().effects.log
    let number = try #require(log.lastIndex { $0.subject.hasSuffix(": ended") }) + 1
    let outcome = try #require(try other.recover(fault: FaultPlan(number: number, .before, errno: EIO)).outcomes.first)
    #expect(outcome.exitStatus == 2 && outcome.outcome == .good, "\(outcome)")
    #expect(try other.recover().outcomes.map(\.exitStatus) == [0])
  }

  @Test func howLongItTookIsToldByAClockThatDoesNotJump() throws {
    let service = try FakeService()
    _ = service.deploy()
    let lines = StepLog.peek(service.layout, OperationID("op-1"))
    let summary = try #require(OperationSummary(lines.map { ($0.time, $0.entry) }))
    #expect(summary.took.map { $0 < .seconds(60) } == true && summary.steps.allSatisfy { $0.took != nil })
    // Set back by a day in the middle: nothing of that is seen but the times of day.
    var jumped = lines
    for index in jumped.indices.dropFirst(lines.count / 2) { jumped[index].time.wall -= 86_400_000_000 }
    let other = OperationSummary(jumped.map { ($0.time, $0.entry) })
    #expect(other?.took == summary.took && other?.steps.map(\.took) == summary.steps.map(\.took))
    #expect(other?.ended.map { $0 < summary.started } == true)
    // After a start of the host its clock begins again: nobody knows.
    for index in jumped.indices.dropFirst(lines.count / 2) { jumped[index].time.boot?.id = "another" }
    let rebooted = OperationSummary(jumped.map { ($0.time, $0.entry) })
    #expect(rebooted?.took == nil && rebooted?.steps.first?.took != nil && rebooted?.steps.last?.took != nil)
    #expect(try lines.map { try LogLine(json: $0.json) } == lines)
  }

  @Test func aLineThatWasCutOffIsNotThere() throws {
    let service = try FakeService()
    _ = service.deploy()
    let id = OperationID("op-1")
    let path = StepLog.path(service.layout, id)
    let bytes = try readFile(path)
    let whole = StepLog.peek(service.layout, id)
    for cut in stride(from: 0, to: bytes.count, by: 7) {
      let (lines, size) = StepLog.read(Array(bytes.prefix(cut)))
      #expect(lines == Array(whole.prefix(lines.count)) && size <= cut)
    }
    // Zeroes are what a power cut leaves of bytes that were not written.
    #expect(StepLog.read(bytes + [UInt8](repeating: 0, count: 100)).lines == whole)
    #expect(StepLog.read(bytes + Array("{\"n\":1}\n".utf8)).lines == whole)
  }
}
