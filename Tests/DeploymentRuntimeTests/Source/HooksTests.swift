import Deployment
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
