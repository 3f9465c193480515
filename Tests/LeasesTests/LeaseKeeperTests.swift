import Testing
import Vocabulary

@testable import Leases

/// What one host does with one lease, step by step. TTL 30 s: renewed every 10, TERM after 22.5, KILL after 27.
@Suite struct LeaseKeeperTests {
  private static let robots = LeaseName(unchecked: "robots")
  private static let other = Holder(owner: OwnerID("b"), label: "b", token: LeaseToken(9), remaining: .seconds(12))

  private struct Play {
    var keeper = LeaseKeeper(seed: 1)
    var now = BootInstant(nanoseconds: 1_000_000_000_000)
    private(set) var asked: [(ExchangeID, StoreRequest)] = []

    mutating func send(_ event: LeaseEvent) -> [LeaseAction] {
      let actions = keeper.handle(event, at: now)
      for case .ask(let exchange, let request) in actions { asked.append((exchange, request)) }
      return actions
    }

    mutating func wait(_ duration: Duration) -> [LeaseAction] {
      now = now + duration
      return send(.tick)
    }

    /// Answers the last question of that kind.
    mutating func answer(_ answer: StoreAnswer, where isIt: (StoreRequest) -> Bool) -> [LeaseAction] {
      guard let exchange = asked.last(where: { isIt($0.1) })?.0 else { return [] }
      return send(.answered(exchange, answer))
    }

    mutating func hold(_ token: UInt64 = 1) -> [LeaseAction] {
      _ = send(.wanted(robots))
      return answer(.granted(LeaseToken(token))) { if case .acquire = $0 { true } else { false } }
    }

    mutating func beat(_ renewal: Renewal) -> [LeaseAction] {
      answer(.beaten([robots: renewal])) { if case .beat = $0 { true } else { false } }
    }
  }

  @Test func nothingIsPermittedWithoutAGrant() {
    var play = Play()
    let wanted = play.send(.wanted(Self.robots))
    #expect(wanted.contains { if case .ask(_, .acquire(Self.robots, _)) = $0 { true } else { false } })
    #expect(!wanted.contains { if case .permit = $0 { true } else { false } })
    let granted = play.answer(.granted(LeaseToken(4))) { if case .acquire = $0 { true } else { false } }
    let grant = Grant(lease: Self.robots, token: LeaseToken(4), provenUntil: play.now + .seconds(30))
    #expect(granted.contains(.permit(grant)))
  }

  /// H1, H4: a holder that cannot prove its lease ends by its own clock, before another can have it.
  @Test func withoutAProofTheEngineEndsInTime() {
    var play = Play()
    _ = play.hold()
    #expect(!play.wait(.milliseconds(22_499)).contains(.withdraw(Self.robots, .unproven)))
    #expect(play.wait(.milliseconds(1)).contains(.withdraw(Self.robots, .unproven)))
    #expect(!play.wait(.milliseconds(4_499)).contains(.kill(Self.robots)))
    #expect(play.wait(.milliseconds(1)).contains(.kill(Self.robots)))
  }

  /// The proof counts from when the question was sent: the store may have answered at once.
  @Test func aLateAnswerProvesLittle() {
    var play = Play()
    _ = play.hold()
    _ = play.wait(.seconds(10))
    _ = play.wait(.milliseconds(2_400))
    #expect(play.beat(.renewed).contains { if case .extend = $0 { true } else { false } })
    #expect(play.keeper.tenures.first?.provenUntil == play.now + .milliseconds(27_600))
  }

  @Test func afterASuspendTheEngineIsCutAtOnce() {
    var play = Play()
    _ = play.hold()
    let woken = play.wait(.seconds(3_600))
    #expect(woken.contains(.withdraw(Self.robots, .unproven)) && woken.contains(.kill(Self.robots)))
  }

  /// What waited in the socket while the process stood still is read before time is looked at.
  @Test func aProofThatWaitedCounts() {
    var play = Play()
    _ = play.hold()
    _ = play.wait(.seconds(10))
    play.now = play.now + .seconds(20)
    let answered = play.beat(.renewed)
    #expect(!answered.contains { if case .kill = $0 { true } else { false } })
    #expect(play.keeper.tenures.count == 1)
  }

  @Test func whatAnotherHasIsLeftAtOnce() {
    var play = Play()
    _ = play.hold()
    _ = play.wait(.seconds(10))
    #expect(play.beat(.lost(Self.other)).contains(.withdraw(Self.robots, .lost(Self.other))))
    #expect(play.wait(.milliseconds(4_500)).contains(.kill(Self.robots)))
  }

  /// H3, H9: nothing is given back while its engine runs, and then by whose it is.
  @Test func givenBackWhenTheEngineIsGone() {
    var play = Play()
    _ = play.hold()
    let isRelease = { (action: LeaseAction) in if case .ask(_, .release) = action { true } else { false } }
    #expect(!play.send(.unwanted(Self.robots)).contains(where: isRelease))
    // It takes its time, and the lease is renewed until then.
    _ = play.wait(.seconds(10))
    #expect(play.beat(.renewed).contains { if case .extend = $0 { true } else { false } })
    #expect(play.send(.vacated(Self.robots)).contains(where: isRelease))
  }

  /// H5, H8: who waits is woken, and otherwise asks again when the holder's time is over.
  @Test func whoWaitsAsksWhenItIsTime() {
    var play = Play()
    _ = play.send(.wanted(Self.robots))
    let refused = play.answer(.heldBy(Self.other)) { if case .acquire = $0 { true } else { false } }
    #expect(refused.contains(.announce(.waits(Self.robots, for: Self.other))))
    let isAcquire = { (action: LeaseAction) in if case .ask(_, .acquire) = action { true } else { false } }
    #expect(!play.wait(.seconds(2)).contains(where: isAcquire))
    #expect(play.send(.notified(Self.robots)).contains(where: isAcquire))
    let soon = Holder(owner: OwnerID("b"), label: "b", token: LeaseToken(9), remaining: .milliseconds(200))
    _ = play.answer(.heldBy(soon)) { if case .acquire = $0 { true } else { false } }
    #expect(play.wait(.milliseconds(400)).contains(where: isAcquire))
  }

  /// H14: a store that lost its memory may grant, but never with a token that was given out before.
  @Test func aTokenThatGoesBackIsNoGrant() {
    var play = Play()
    _ = play.hold(7)
    _ = play.send(.unwanted(Self.robots))
    _ = play.send(.vacated(Self.robots))
    _ = play.answer(.released) { if case .release = $0 { true } else { false } }
    _ = play.send(.wanted(Self.robots))
    guard case .acquire(_, let above)? = play.asked.last(where: { if case .acquire = $0.1 { true } else { false } })?.1
    else {
      Issue.record("not asked")
      return
    }
    #expect(above == LeaseToken(7))
    let answered = play.answer(.granted(LeaseToken(6))) { if case .acquire = $0 { true } else { false } }
    #expect(!answered.contains { if case .permit = $0 { true } else { false } })
  }

  @Test func aStoreInTroubleIsToldOnce() {
    var play = Play()
    _ = play.hold()
    var told = 0
    for _ in 0..<20 {
      for case .announce(.storeFailed) in play.wait(.seconds(1)) { told += 1 }
    }
    #expect(told == 1)
    #expect(play.beat(.renewed).contains(.announce(.storeAnswersAgain)))
  }

  @Test func whoeverGoesAcquiresNothingMoreAndIsUnregistered() {
    var play = Play()
    _ = play.hold()
    _ = play.send(.retire)
    _ = play.send(.close)
    #expect(play.send(.vacated(Self.robots)).contains { if case .ask(_, .release) = $0 { true } else { false } })
    let released = play.answer(.released) { if case .release = $0 { true } else { false } }
    #expect(released.contains { if case .ask(_, .unregister) = $0 { true } else { false } })
    #expect(play.answer(.unregistered) { $0 == .unregister }.contains(.closed))
    #expect(play.send(.wanted(Self.robots)).isEmpty)
  }
}
