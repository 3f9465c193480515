package import Vocabulary

/// When a release counts as healthy: so many good rounds in a row, all before a deadline.
package struct HealthPolicy: Hashable, Sendable {
  package var passes: Int
  /// Between two rounds; after a bad one it doubles up to `maxInterval`, with jitter, so that a program that is slow to
  /// start is not kept from it by questions, and many deploys do not ask in step.
  package var interval: Duration
  package var maxInterval: Duration
  package var deadline: Duration

  package init(passes: Int, interval: Duration, maxInterval: Duration, deadline: Duration) {
    self.passes = max(1, passes)
    self.interval = max(.zero, interval)
    self.maxInterval = max(self.interval, maxInterval)
    self.deadline = deadline
  }
}

/// One health check under way. It is told of each round and says what comes next; it knows no clock but what it is told.
package struct HealthWatch: Hashable, Sendable {
  package enum Next: Hashable, Sendable {
    case ask(at: Instant)
    case passed
    /// The deadline comes before another round could.
    case failed
  }

  package let policy: HealthPolicy
  /// No round begins later, and one that ends later does not count.
  package let deadline: Instant
  package private(set) var rounds = 0
  /// Good ones in a row.
  package private(set) var passed = 0
  /// Bad ones in a row.
  package private(set) var failures = 0
  private var random: SplitMix64

  package init(_ policy: HealthPolicy, startedAt now: Instant, seed: UInt64) {
    self.policy = policy
    deadline = now + policy.deadline
    random = SplitMix64(seed: seed)
  }

  package mutating func answered(_ isGood: Bool, at now: Instant) -> Next {
    rounds += 1
    passed = isGood ? passed + 1 : 0
    failures = isGood ? 0 : failures + 1
    if now > deadline { return .failed }
    if passed >= policy.passes { return .passed }
    let next = now + (isGood ? policy.interval : backOff())
    return next < deadline ? .ask(at: next) : .failed
  }

  /// 50 % to 100 % of an interval that doubles with each bad round.
  private mutating func backOff() -> Duration {
    var wait = max(policy.interval, .milliseconds(10))
    for _ in 1..<max(1, failures) where wait < policy.maxInterval { wait = wait * 2 }
    wait = min(wait, max(policy.maxInterval, .milliseconds(10)))
    return wait * (500 + Int(random.next() % 501)) / 1_000
  }
}
