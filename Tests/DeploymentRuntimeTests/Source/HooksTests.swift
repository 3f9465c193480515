import Deployment
import LinuxSystem
import Settings
import Testing

@testable import DeploymentRuntime

@Suite struct HooksTests {
  let fixture: OperationFixture
  init() throws { fixture = try OperationFixture() }

  private func hooks(_ name: String, _ text: String) -> Hooks { Hooks([name: [["sh", "-c", text]]]) }

  @Test func aHookBeforeAStepFailsIt() throws {
    let hooks = hooks("before-build", "echo $BATON_STEP $BATON_HOOK $BATON_OUTCOME; exit 4")
    try hooks.before(.fetch, fixture.operation)
    #expect(throws: StepFailure.self) { try hooks.before(.build, fixture.operation) }
    #expect(fixture.audience.lines == ["build before-build ok"])
  }

  @Test func aHookAfterAStepIsOnlyWarnedAbout() throws {
    try hooks("after-health-check", "exit 1").after(.healthCheck, fixture.operation)
    #expect(fixture.audience.warnings.count == 1)
  }

  @Test func oneThatHangsIsEnded() throws {
    let hooks = Hooks(["before-build": [["sh", "-c", "sleep 600"]]], limit: .milliseconds(200))
    #expect { try hooks.before(.build, fixture.operation) } throws: {
      let failure = $0 as? StepFailure
      return failure?.kind == .failed && failure?.what.contains("200ms") == true
    }
    #expect(Hooks.limit == .seconds(300), "as settings(5) has it")
  }

  @Test func aChecklistsCommandThatHangsIsEnded() throws {
    let fixture = try OperationFixture("[[deploy.checklist]]\ntext = \"it is quiet\"\nrun = [\"sleep\", \"600\"]\n")
    guard
      case .refusal(let failure) = ChecklistCheck.look(
        fixture.operation, .before, isConfirmed: true, limit: .milliseconds(200))
    else { return #expect(Bool(false), "it is refused") }
    #expect(failure.kind == .refused && failure.what.contains("it is quiet") && failure.what.contains("200ms"))
    #expect(ChecklistCheck.limit == .seconds(60), "as settings(5) has it")
  }

  @Test func whatItPrintsIsBoundedWhereItIsKept() throws {
    // A line in OperationNewsLog is some 100 bytes; a megabyte of them is more than the limit.
    let limit = 64 << 10
    fixture.scratch.make("app/deploys/\(fixture.operation.id)")
    let log = OperationNewsLog(fixture.operation.layout, fixture.operation.id, limit: limit) { $0 }
    fixture.audience.heard = { log.output($0) }
    let hooks = hooks("before-build", "seq 1 20000; head -c 1000000 /dev/zero | tr '\\0' x; exit 1")
    #expect {
      try hooks.before(.build, fixture.operation)
    } throws: { error in
      let lines = (error as? StepFailure)?.lines ?? []
      return lines.count == 20 && lines.allSatisfy { $0.utf8.count < 10_000 } && lines.dropLast().last == "20000"
    }
    let path = OperationNewsLog.path(fixture.operation.layout, fixture.operation.id)
    let size = try readFile(path, limit: 1 << 20).count
    #expect(size > limit && size < limit + 16_384)
  }

  @Test func asManyAsAreListedRunInTheirOrderUntilOneFails() throws {
    let commands = (1...200).map { ["sh", "-c", "echo \($0); test \($0) -ne 150"] }
    let hooks = Hooks(["before-build": commands])
    #expect(throws: StepFailure.self) { try hooks.before(.build, fixture.operation) }
    #expect(fixture.audience.lines == (1...150).map { "\($0)" })
  }

  @Test func aChecklistEndsAtTheFirstThatIsNotSo() throws {
    let items = (1...40).map {
      "[[deploy.checklist]]\ntext = \"item \($0)\"\nrun = [\"sh\", \"-c\", \"echo \($0); test \($0) -ne 30\"]\n"
    }
    let fixture = try OperationFixture(items.joined())
    guard case .refusal(let failure) = ChecklistCheck.look(fixture.operation, .before, isConfirmed: true) else {
      return #expect(Bool(false), "it is refused")
    }
    #expect(failure.what.contains("item 30") && failure.lines == ["30"])
    #expect(fixture.audience.lines == (1...30).map { "\($0)" })
  }

  @Test func failuresAreTold() throws {
    fixture.operation.secrets = Secrets(["KEY": "sentinel-0815"])
    fixture.abort()
    hooks("failed", "echo \"$BATON_STEP: $BATON_FAILURE\"; exit 1")
      .failed(.build, StepFailure(.failed, "no compiler sentinel-0815"), fixture.operation)
    #expect(fixture.audience.lines == ["build: no compiler ***"])
    #expect(fixture.audience.warnings.count == 1)
  }

  @Test func anAbortDuringAHookIsOne() throws {
    fixture.abort()
    #expect { try hooks("after-build", "sleep 600").after(.build, fixture.operation) } throws: {
      ($0 as? StepFailure)?.kind == .aborted
    }
  }
}
