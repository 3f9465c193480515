import Testing
import Vocabulary

@testable import Deployment

@Suite struct HealthWatchTests {
  private let policy = HealthPolicy(
    passes: 3, interval: .seconds(1), maxInterval: .seconds(8), deadline: .seconds(60))

  @Test func passesOnlyInARow() {
    var watch = HealthWatch(policy, startedAt: .zero, seed: 1)
    #expect(watch.answered(true, at: .zero) == .ask(at: .zero + .seconds(1)))
    #expect(watch.answered(true, at: .zero + .seconds(1)) == .ask(at: .zero + .seconds(2)))
    guard case .ask = watch.answered(false, at: .zero + .seconds(2)) else {
      Issue.record("a bad round is not the end")
      return
    }
    #expect(watch.answered(true, at: .zero + .seconds(3)) == .ask(at: .zero + .seconds(4)))
    #expect(watch.answered(true, at: .zero + .seconds(4)) == .ask(at: .zero + .seconds(5)))
    #expect(watch.answered(true, at: .zero + .seconds(5)) == .passed)
    #expect(watch.rounds == 6)
  }

  @Test func onePassIsEnoughWhereOneIsAsked() {
    var watch = HealthWatch(
      HealthPolicy(passes: 0, interval: .zero, maxInterval: .zero, deadline: .seconds(1)), startedAt: .zero, seed: 1)
    #expect(watch.answered(true, at: .zero) == .passed)
  }

  @Test func badRoundsBackOffWithJitterInsideTheirBounds() {
    var waits: Set<Duration> = []
    for seed in 1...50 as ClosedRange<UInt64> {
      var watch = HealthWatch(policy, startedAt: .zero, seed: seed)
      for bound in [1, 2, 4, 8, 8] {
        guard case .ask(let at) = watch.answered(false, at: .zero) else {
          Issue.record("it ended")
          return
        }
        #expect(at >= .zero + .milliseconds(bound * 500) && at <= .zero + .seconds(bound))
        waits.insert(at - .zero)
      }
    }
    #expect(waits.count > 100, "no two ask in step")
  }

  @Test func nothingIsAskedAfterTheDeadline() {
    var watch = HealthWatch(policy, startedAt: .zero, seed: 1)
    #expect(watch.answered(false, at: .zero + .seconds(60)) == .failed)
    watch = HealthWatch(policy, startedAt: .zero, seed: 1)
    #expect(watch.answered(true, at: .zero + .seconds(60)) == .failed, "the third round would come too late")
    watch = HealthWatch(policy, startedAt: .zero, seed: 1)
    for _ in 0..<2 { _ = watch.answered(true, at: .zero + .seconds(1)) }
    #expect(watch.answered(true, at: .zero + .seconds(61)) == .failed, "an answer after the deadline does not count")
  }

  @Test func itAlwaysEnds() {
    for seed in 1...200 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      var watch = HealthWatch(policy, startedAt: .zero, seed: seed)
      var now = Instant.zero
      var rounds = 0
      loop: while true {
        now = now + .milliseconds(random.next() % 3_000)
        switch watch.answered(random.next() % 2 == 0, at: now) {
        case .ask(let at):
          #expect(at >= now && at < watch.deadline)
          now = at
        case .passed, .failed: break loop
        }
        rounds += 1
        guard rounds < 1_000 else {
          Issue.record("seed \(seed) never ends")
          return
        }
      }
    }
  }
}
