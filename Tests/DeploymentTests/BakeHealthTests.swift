import Testing
import Vocabulary

@testable import Deployment

@Suite struct BakeHealthTests {
  /// Looks once a second; how often it was asked, and what each look counted.
  private func looks(_ seconds: Range<Int64>, _ health: inout BakeHealth, _ answer: BakeLook.Health) -> (
    asked: Int, found: [BakeLook.Health]
  ) {
    var asked = 0
    var found: [BakeLook.Health] = []
    for second in seconds {
      let now = Instant.zero + .seconds(second)
      if let instead = health.instead(at: now) {
        found.append(instead)
      } else {
        asked += 1
        found.append(health.saw(answer, at: now))
      }
    }
    return (asked, found)
  }

  @Test func whatDoesNotAnswerIsAskedLessOftenAndIsNeverGood() {
    var health = BakeHealth(interval: .seconds(1), seed: 7)
    let (asked, found) = looks(0..<60, &health, .bad("no answer"))
    #expect(asked > 5 && asked < 20, "asked \(asked) times in 60 looks")
    #expect(found.allSatisfy { if case .bad(let why) = $0 { why.hasPrefix("no answer") } else { false } })
    // At the latest after the longest pause it is asked again, and then at every look.
    let (_, later) = looks(60..<71, &health, .good)
    #expect(later.last == .good)
    let (often, all) = looks(71..<81, &health, .good)
    #expect(often == 10 && all.allSatisfy { $0 == .good })
  }

  @Test func whatAnswersIsAskedAtEveryLook() {
    var health = BakeHealth(interval: .seconds(1), seed: 7)
    for second in Int64(0)..<60 {
      let answer: BakeLook.Health = second % 3 == 0 ? .good : .bad("now and then")
      let (asked, found) = looks(second..<second + 1, &health, answer)
      #expect(asked == 1 && found == [answer])
    }
  }
}
