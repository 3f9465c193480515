import Deployment
import Glibc
import JSON
import LinuxSystem
import Settings
import Testing
import Vocabulary

@testable import DeploymentRuntime

/// What an operation minds besides its steps.
@Suite struct CareTests {
  @Test func aQuickDeployLeavesOutBackupAndBakeAndNothingElse() {
    var intent = Intent(operation: OperationID("op-1"), kind: .deploy)
    #expect(intent.steps == Step.allCases)
    intent.isQuick = true
    #expect(Set(Step.allCases).subtracting(intent.steps) == [.backup, .bake])
  }

  @Test func whatHasTheNameOfSomethingUnfinishedGoesWithTheNextOperation() throws {
    let service = try FakeService()
    let names = ["app", "app/releases", "app/backups"].map { "\($0)/.tmp-op-0-left" }
    for name in names { service.fixture.scratch.write("\(name)/file", "x") }
    #expect(service.deploy().outcome.outcome == .good)
    #expect(names.filter { service.fixture.scratch.exists($0) } == [])
  }

  /// Each goes back to what it found, and the later one found the earlier one's work.
  @Test func ofSeveralThatWereCutOffTheLastIsRecoveredFirst() throws {
    let service = try FakeService()
    let scratch = service.fixture.scratch
    let effects = service.deploy("op-0").effects
    let cut = try #require(effects.log.lastIndex { $0.subject.hasSuffix(": intends verify") }) + 1
    let other = try FakeService()
    let place = other.fixture.scratch
    _ = other.deploy("op-1", fault: FaultPlan(cut, .after, .freeze))
    // Out of sight, as only somebody's hands can do it.
    rename(place.path("app/deploys/op-1"), place.path("op-1"))
    _ = other.deploy("op-2", fault: FaultPlan(cut, .after, .freeze))
    rename(place.path("op-1"), place.path("app/deploys/op-1"))
    #expect(Set(Recover.halfDone(other.layout)) == [OperationID("op-1"), OperationID("op-2")])
    #expect(try other.recover().outcomes.map(\.operation.text) == ["op-2", "op-1"])
    #expect(scratch.exists("app/deploys/op-0"))
  }

  /// Also where a step brings lines that nobody masked before.
  @Test func noRecordHasASecret() throws {
    let service = try FakeService()
    let like = service.fixture.operation
    let id = OperationID("op-1")
    let operation = Operation(
      id: id, service: like.service, settings: like.settings, deploy: like.deploy,
      effects: Effects(.act, faults: nil), audience: MaskingAudience(), abort: nil)
    var assembly = service.assembly(id, effects: operation.effects)
    assembly = Assembly(operation, steps: assembly.steps)
    assembly.steps[.build] = Spilling()
    let outcome = Executor(assembly).run(Intent(operation: id, kind: .deploy))
    #expect(outcome.outcome == .failed && outcome.failure?.lines == ["line ***"])
    let text = service.fixture.scratch.read("app/deploys/op-1/steps.jsonl") ?? ""
    #expect(text.contains("what ***") && text.contains("next ***") && text.contains("line ***"))
    #expect(!text.contains("hunter2"))
  }

  private struct Spilling: OperationStep {
    func run(_: Operation) throws(StepFailure) {
      throw StepFailure(.failed, "what hunter2", next: "next hunter2", lines: ["line hunter2"])
    }
    func undo(_: Operation) {}
  }

  private final class MaskingAudience: OperationAudience {
    func note(_: String) {}
    func warn(_: String) {}
    func output(_: String) {}
    func progress(done: Int64, total: Int64?, unit: String) {}
    func masked(_ text: String) -> String {
      text.split(separator: " ").map { $0 == "hunter2" ? "***" : $0 }.joined(separator: " ")
    }
  }

  /// Directories of records have an end; the ledger knows the older ones.
  @Test func oldRecordsArePrunedAndTheNewestKept() throws {
    let fixture = try OperationFixture(scratch: Scratch(inMemory: true))
    for number in 1...(PruneStep.operationsKept + 3) {
      let id = OperationID("op-\(number)")
      var facts = OperationFacts()
      facts.sequence = Int64(number)
      let entries: [Entry] = [
        .began(Intent(operation: id, kind: .deploy)), .intends(.lock), .did(.lock, facts), .ended(.failed),
      ]
      var bytes: [UInt8] = []
      for (index, entry) in entries.enumerated() {
        LogLine(number: index + 1, time: RecordTime(wall: 1_000), entry: entry).json.write(to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
      }
      fixture.scratch.write("app/deploys/\(id)/steps.jsonl", bytes)
    }
    let plan = try PruneStep { _ in [] }.plan(fixture.operation)
    #expect(plan.operations.map(\.text) == ["op-1", "op-2", "op-3"])
  }
}
