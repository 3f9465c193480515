import Testing
import Vocabulary

@testable import Deployment

@Suite struct CircuitBreakerTests {
  @Test func itOpensAndAsksOnceBeforeItClosesAgain() {
    var breaker = CircuitBreaker(limit: 3, pause: .seconds(10), maxPause: .seconds(40), seed: 7)
    var now = Instant.zero
    for _ in 1...2 { breaker.answered(false, at: now) }
    let stillCloses = breaker.mayAsk(at: now)
    #expect(stillCloses)
    breaker.answered(false, at: now)
    let asksWhileOpen = breaker.mayAsk(at: now + .seconds(7))
    #expect(!asksWhileOpen)
    now = now + .seconds(13)
    let first = breaker.mayAsk(at: now)
    let second = breaker.mayAsk(at: now)
    #expect(first && !second, "one question, not many")
    breaker.answered(true, at: now)
    #expect(breaker.state == .closed)
  }

  @Test func itStaysOpenLongerEachTimeUpToABound() {
    var breaker = CircuitBreaker(limit: 1, pause: .seconds(10), maxPause: .seconds(40), seed: 7)
    var now = Instant.zero
    var pauses: [Duration] = []
    breaker.answered(false, at: now)
    for _ in 1...5 {
      guard case .open(let until) = breaker.state else { return #expect(Bool(false), "\(breaker.state)") }
      pauses.append(until - now)
      now = until
      _ = breaker.mayAsk(at: now)
      breaker.answered(false, at: now)
    }
    for (pause, middle) in zip(pauses, [10, 20, 40, 40, 40]) {
      #expect(abs(pause.nanoseconds - Int64(middle) * 1_000_000_000) <= Int64(middle) * 250_000_000, "\(pauses)")
    }
  }
}
