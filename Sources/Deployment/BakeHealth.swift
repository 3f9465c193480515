package import Vocabulary

/// When the health check is asked in a bake. What does not answer, look after look, is asked less and less often, and counts
/// as bad in between: no data is not good.
package struct BakeHealth: Hashable, Sendable {
  private var breaker: CircuitBreaker
  private var last: BakeLook.Health?

  /// `interval`: between two looks.
  package init(interval: Duration, seed: UInt64) {
    breaker = CircuitBreaker(limit: Self.limit, pause: interval * 2, maxPause: interval * 8, seed: seed)
  }

  /// Bad answers in a row after which it is not asked at every look any more.
  private static let limit = 3

  /// nil: to be asked now, and ``saw(_:at:)`` is told of the answer. Else what counts for this look.
  package mutating func instead(at now: Instant) -> BakeLook.Health? {
    breaker.mayAsk(at: now) ? nil : last ?? .bad("the health check is not asked")
  }

  package mutating func saw(_ answer: BakeLook.Health, at now: Instant) -> BakeLook.Health {
    var isGood = true
    if case .bad(let why) = answer {
      isGood = false
      last = .bad("\(why) (asked less often since)")
    }
    breaker.answered(isGood, at: now)
    return answer
  }
}
