package import Vocabulary

/// Keeps from asking again and again what does not answer: for checks that go on for hours.
package struct CircuitBreaker: Hashable, Sendable {
  package enum State: Hashable, Sendable {
    /// Exits: `open` after so many failures in a row.
    case closed
    /// Nothing is asked. Exits: `halfOpen`.
    case open(until: Instant)
    /// One question is under way; others are not asked. Exits: `closed`, `open` for longer.
    case halfOpen
  }

  /// Failures in a row that open it.
  package let limit: Int
  /// How long it stays open at first, and at most.
  package let pause: Duration
  package let maxPause: Duration
  package private(set) var state: State = .closed
  private var failures = 0
  private var openings = 0
  private var random: SplitMix64

  package init(limit: Int, pause: Duration, maxPause: Duration, seed: UInt64) {
    self.limit = max(1, limit)
    self.pause = pause
    self.maxPause = max(pause, maxPause)
    random = SplitMix64(seed: seed)
  }

  /// Whether to ask now. A yes in the half-open state is given once.
  package mutating func mayAsk(at now: Instant) -> Bool {
    switch state {
    case .closed: return true
    case .halfOpen: return false
    case .open(let until):
      guard now >= until else { return false }
      state = .halfOpen
      return true
    }
  }

  package mutating func answered(_ isGood: Bool, at now: Instant) {
    switch (state, isGood) {
    case (.closed, true), (.halfOpen, true):
      (state, failures, openings) = (.closed, 0, 0)
    case (.closed, false):
      failures += 1
      if failures >= limit { open(now) }
    case (.halfOpen, false):
      open(now)
    case (.open, true), (.open, false):
      // An answer to a question from before it opened.
      break
    }
  }

  private mutating func open(_ now: Instant) {
    var wait = pause
    for _ in 0..<min(openings, 20) where wait < maxPause { wait = wait + wait }
    openings += 1
    state = .open(until: now + Self.jittered(min(wait, maxPause), &random))
  }

  /// A quarter more or less, so that many hosts do not ask in step.
  private static func jittered(_ pause: Duration, _ random: inout SplitMix64) -> Duration {
    let whole = pause.nanoseconds
    guard whole > 3 else { return pause }
    return .nanoseconds(whole - whole / 4 + Int64(random.next() % UInt64(whole / 2 + 1)))
  }
}
