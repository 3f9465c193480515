import Testing
import Vocabulary

@testable import Deployment

/// Where an operation goes on that was cut off, for what its records and reality say.
@Suite struct RecoveryTests {
  private static let old = Reality(current: World.old, running: .release(World.old))
  private static let new = Reality(current: World.new, running: .release(World.new))

  /// The records of a deploy up to `last`, which is done, or only intended.
  private func entries(to last: Step, isDone: Bool, isSteered: Bool = false) -> [Entry] {
    var intent = Intent(operation: OperationID("op"), kind: .deploy)
    intent.isSteered = isSteered
    var facts = OperationFacts()
    var entries: [Entry] = [.began(intent)]
    for step in intent.steps where step <= last {
      entries.append(.intends(step))
      if step == .lock { (facts.previous, facts.sequence) = (World.old, 1) }
      if step == .fetch { facts.release = World.new }
      if step < last || isDone { entries.append(.did(step, facts)) }
    }
    return entries
  }

  private func goesOn(
    _ last: Step, isDone: Bool, isSteered: Bool = false, _ reality: Reality, _ moment: Moment = .now
  ) -> Deploy.State? {
    Recovery.resume(
      entries(to: last, isDone: isDone, isSteered: isSteered), reality: reality, moment: moment, at: .zero)?
      .machine.state
  }

  @Test(arguments: Step.allCases.filter { $0 < .activate })
  func beforeActivationEverythingIsUndone(_ step: Step) {
    #expect(goesOn(step, isDone: false, Self.old) == .turning)
    #expect(goesOn(step, isDone: true, Self.old) == .turning)
  }

  @Test func betweenActivationAndProofItGoesBack() {
    for reality in [Self.old, Self.new, Reality(current: World.new, running: .unknown)] {
      #expect(goesOn(.activate, isDone: false, reality) == .turning)
      #expect(goesOn(.activate, isDone: true, reality) == .turning)
      #expect(goesOn(.healthCheck, isDone: false, reality) == .turning)
    }
  }

  @Test func unlessTheSupervisorHasProvedIt() {
    #expect(goesOn(.activate, isDone: false, isSteered: true, Self.new) == .intending(.activate))
    #expect(goesOn(.activate, isDone: true, isSteered: true, Self.new) == .intending(.healthCheck))
    // It was committed to, and `current` was not moved any more.
    let committed = Reality(current: World.old, running: .release(World.new))
    #expect(goesOn(.activate, isDone: false, isSteered: true, committed) == .intending(.activate))
    #expect(goesOn(.activate, isDone: false, isSteered: true, Self.old) == .turning)
    #expect(
      goesOn(.activate, isDone: false, isSteered: true, Reality(current: World.new, running: .nothing)) == .turning)
  }

  @Test func afterTheHealthCheckItIsFinished() {
    #expect(goesOn(.healthCheck, isDone: true, Self.new) == .intending(.bake))
    #expect(goesOn(.bake, isDone: false, Self.new) == .intending(.bake))
    #expect(goesOn(.bake, isDone: true, Self.new) == .intending(.markGood))
    #expect(goesOn(.markGood, isDone: true, Self.new) == .intending(.prune))
    // But not against reality.
    #expect(goesOn(.healthCheck, isDone: true, Self.old) == .turning)
  }

  @Test func atBootNothingIsWaitedFor() {
    let down = Reality(current: World.new, running: .nothing)
    #expect(goesOn(.healthCheck, isDone: true, down, .boot) == .ending(.baking))
    #expect(goesOn(.markGood, isDone: true, down, .boot) == .ending(.good))
    #expect(goesOn(.activate, isDone: false, down, .boot) == .turning)
  }

  @Test func whatSomebodyElseMovedIsNotMovedAgain() {
    let foreign = Reality(current: ReleaseID("other"), running: .release(ReleaseID("other")))
    #expect(goesOn(.activate, isDone: false, foreign) == .ending(.stuck))
    #expect(goesOn(.healthCheck, isDone: true, foreign) == .ending(.stuck))
    #expect(goesOn(.build, isDone: false, foreign) == .turning, "nothing was moved yet")
    #expect(goesOn(.markGood, isDone: true, foreign) == .ending(.good), "it was good, and somebody went on from there")
  }

  @Test func whatHasEndedIsLeftAlone() {
    for outcome in Outcome.allCases {
      let ended = entries(to: .prune, isDone: true) + [.ended(outcome)]
      #expect((Recovery.resume(ended, reality: Self.new, moment: .now, at: .zero) == nil) == (outcome != .stuck))
      #expect(Recovery.isHalfDone(ended) == (outcome == .stuck))
    }
    #expect(Recovery.resume([], reality: Self.new, moment: .now, at: .zero) == nil)
  }

  @Test func aWayBackIsGoneToItsEnd() {
    let facts = OperationFacts()
    let failure = StepFailure(.failed, "no")
    let back = entries(to: .healthCheck, isDone: false) + [.turned(.healthCheck, failure, facts), .undid(.healthCheck)]
    let machine = Recovery.resume(back, reality: Self.new, moment: .now, at: .zero)?.machine
    #expect(machine?.state == .undoing(.activate))
    #expect(machine?.turn?.failure == failure)
  }
}
