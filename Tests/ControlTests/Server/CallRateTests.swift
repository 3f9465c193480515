import Testing
import Vocabulary

@testable import ControlServer

@Suite struct CallRateTests {
  @Test func burstThenRateThenForgotten() throws {
    var limits = ControlLimits()
    (limits.burst, limits.callsPerSecond) = (5, 10)
    var rate = CallRate(limits)
    let start = Instant(nanoseconds: 1_000_000_000)
    // Macros take no mutating calls.
    func ask(_ uid: UInt32, _ now: Instant) -> Instant? { rate.take(uid: uid, at: now) }
    for _ in 0..<5 { #expect(ask(7, start) == nil) }
    let refused = ask(7, start)
    let later = try #require(refused)
    #expect(later > start && later - start < .milliseconds(110))
    // Another user, and root, are not held back by it.
    #expect(ask(8, start) == nil)
    for _ in 0..<1_000 { #expect(ask(0, start) == nil) }
    #expect(ask(7, later) == nil)
    #expect(ask(7, later) != nil)
    rate.forgetIdle(at: start + .seconds(60))
    for _ in 0..<5 { #expect(ask(7, start + .seconds(60)) == nil) }
  }
}
