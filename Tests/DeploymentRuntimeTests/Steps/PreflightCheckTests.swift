import Deployment
import Glibc
import JSON
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

@Suite struct PreflightCheckTests {
  private func refusal(_ finding: PreflightStep.Finding) -> StepFailure? {
    if case .refusal(let failure) = finding { failure } else { nil }
  }

  private func weakness(_ finding: PreflightStep.Finding) -> String? {
    if case .weak(let text) = finding { text } else { nil }
  }

  @Test func onlyAProvenReleaseIsAWayBack() throws {
    let service = try FakeService()
    let operation = service.fixture.operation
    let current = service.layout.current
    func look(waived: Bool = false) -> PreflightStep.Finding { WayBackCheck.look(operation, waived: waived) }

    // Nobody deployed this one.
    #expect(refusal(look())?.what.contains("was never proved") == true)
    #expect(refusal(look())?.next?.contains("--no-rollback") == true)
    #expect(weakness(look(waived: true))?.contains("--no-rollback") == true)

    #expect(service.deploy("op-1").outcome.outcome == .good)
    #expect(look() == .fine("release \(FakeService.new), which is marked good"))
    rename(service.layout.release(FakeService.new), service.fixture.scratch.path("away"))
    #expect(refusal(look())?.what.contains("is gone") == true)
    rename(service.fixture.scratch.path("away"), service.layout.release(FakeService.new))

    let other = try FakeService()
    #expect(other.deploy("op-1", failing: .healthCheck).outcome.outcome == .failed)
    other.fixture.scratch.make("app/releases/\(FakeService.new)")
    unlink(other.layout.current)
    symlink("releases/\(FakeService.new)", other.layout.current)
    let finding = WayBackCheck.look(other.fixture.operation, waived: false)
    #expect(refusal(finding)?.what.contains("is marked bad") == true, "\(finding)")

    unlink(current)
    #expect(refusal(look()) == nil && weakness(look()) == nil, "a first deploy goes back to nothing")
  }

  @Test func aClockThatWasSetBackIsSaid() throws {
    let fixture = try OperationFixture()
    #expect(refusal(ClockCheck.look(fixture.operation)) == nil && weakness(ClockCheck.look(fixture.operation)) == nil)
    var bytes: [UInt8] = []
    let entry = Entry.began(Intent(operation: OperationID("op-0"), kind: .deploy))
    let later = RecordTime(wall: RealTime.microseconds() + 3_600_000_000)
    LogLine(number: 1, time: later, entry: entry).json.write(to: &bytes)
    fixture.scratch.write("app/deploys/op-0/steps.jsonl", bytes + [UInt8(ascii: "\n")])
    #expect(weakness(ClockCheck.look(fixture.operation))?.contains("set back") == true)
  }
}
