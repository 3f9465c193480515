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
    #expect(other.deploy("op-3").outcome.outcome == .good)
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
    service.fixture.scratch.write("app/deploys/ledger.db", "no database at all, but long enough to be looked at")
    let ledger = DeployLedger(service.layout, effects: Effects(.act, faults: nil))
    #expect(ledger.news.contains { $0.contains("was damaged") && $0.contains("made from the records") })
    #expect(ledger.lastSequence() == 1)
    #expect(service.ledgerComplaints.isEmpty)
    #expect(service.fixture.scratch.names(in: "app/deploys").contains { $0.hasPrefix("ledger.db.bad-") })
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
