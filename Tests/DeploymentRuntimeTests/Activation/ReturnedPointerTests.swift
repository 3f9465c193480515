import Deployment
import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

/// At whatever instant the way back is cut off: the next one knows whether the unit has yet to be started again.
@Suite struct ReturnedPointerTests {
  static let old = ReleaseID("20260101T000000Z-aaaaaaa-0001")
  static let new = ReleaseID("20260102T000000Z-bbbbbbb-0002")
  let fixture: OperationFixture
  let audience = RecordingAudience()

  init() throws {
    fixture = try OperationFixture(scratch: Scratch(inMemory: true))
    for release in [Self.old, Self.new] { fixture.scratch.make("app/releases/\(release)") }
    symlink("releases/\(Self.new)", fixture.operation.layout.current)
  }

  private var left: [String] { fixture.scratch.names(in: "app").filter { $0.hasPrefix(".tmp-") } }

  /// As a new process has it, with what goes wrong at one of its effects.
  private func pointer(_ fault: FaultPlan? = nil) -> ReturnedPointer {
    let like = fixture.operation
    let operation = Operation(
      id: like.id, service: like.service, settings: like.settings, deploy: like.deploy,
      effects: Effects(.act, faults: fault), audience: audience, abort: nil)
    return ReturnedPointer(operation: operation, release: Self.new, unit: "shop.service")
  }

  @Test(arguments: [old, nil])
  func itIsKnownFromTheInstantItMoves(_ previous: ReleaseID?) throws {
    let layout = fixture.operation.layout
    var effect = 0
    var seen: Set<Bool> = []
    while true {
      effect += 1
      let cutOff = pointer(FaultPlan(effect, .after, .freeze))
      try? cutOff.move(to: previous)
      if cutOff.operation.effects.count < effect { break }
      let next = pointer()
      let isBack = currentRelease(layout) == previous
      #expect(isBack || currentRelease(layout) == Self.new)
      #expect(next.isMoved == isBack, "cut off after \(cutOff.operation.effects.log)")
      seen.insert(isBack)
      if !isBack { try next.move(to: previous) }
      #expect(currentRelease(layout) == previous && next.isMoved)
      next.clear()
      #expect(!pointer().isMoved && left.isEmpty)
      unlink(layout.current)
      symlink("releases/\(Self.new)", layout.current)
    }
    #expect(seen.contains(true) && effect > 2)
    #expect(audience.warnings == [])
  }

  @Test(arguments: [old, nil])
  func whereNamesCannotChangePlacesItIsRecordedBefore(_ previous: ReleaseID?) throws {
    let pointer = pointer(FaultPlan(number: previous == nil ? 1 : 2, .before, errno: EINVAL))
    var recorded: [ReleaseID?] = []
    pointer.operation.recorder = { [layout = fixture.operation.layout] (facts) throws(StepFailure) in
      #expect(facts.isExposed)
      recorded.append(currentRelease(layout))
    }
    try pointer.move(to: previous)
    #expect(recorded == [Self.new])
    #expect(currentRelease(fixture.operation.layout) == previous)
    #expect(audience.warnings == [])
    pointer.clear()
    #expect(left == [])
  }

  /// The service goes before the record, and who may have to act is told.
  @Test func whatCannotBeRecordedEitherIsSaid() throws {
    let pointer = pointer(FaultPlan(number: 2, .before, errno: EINVAL))
    pointer.operation.recorder = { (_) throws(StepFailure) in throw StepFailure(.failed, "no room") }
    try pointer.move(to: Self.old)
    #expect(currentRelease(fixture.operation.layout) == Self.old)
    #expect(audience.warnings.count == 1)
    for words in ["no room", "\(Self.new)", "systemctl restart shop.service"] {
      #expect(audience.everything.contains(words))
    }
  }

  /// Its unit is started after this, with what `current` names then.
  @Test func atBootThereIsNothingToBeGoneOnWith() throws {
    let pointer = pointer()
    pointer.operation.isBooting = true
    try pointer.move(to: Self.old)
    #expect(currentRelease(fixture.operation.layout) == Self.old)
    #expect(!pointer.isMoved && left.isEmpty)
  }
}
