import Testing
import Vocabulary

@testable import DeploymentRuntime

@Suite struct UnitJournalTests {
  @Test func entriesHaveATimeThatDoesNotJump() {
    func after(_ seconds: Int, _ microseconds: Int) -> Instant {
      let time: Duration = .seconds(seconds) + .microseconds(microseconds)
      return .zero + time
    }
    let time = after(12, 345_678)
    #expect(UnitJournal.time(of: "[   12.345678] host app[7]: [99.000000] it broke") == time)
    #expect(UnitJournal.time(of: "[123456.000001] host app[7]: x") == after(123_456, 1))
    for other in ["              a second line", "[oops] text", "", "[", "[12]", "[1.2] short", "-- No entries --"] {
      #expect(UnitJournal.time(of: other) == nil, "\(other)")
    }
  }

  @Test func linesOfBeforeAreLeftOut() {
    let lines = [
      "[    9.000000] old[1]: before", "               goes on", "[   10.000000] app[7]: first", "           goes on",
      "[   11.500000] app[7]: [warn] last",
    ]
    let late = ["app[7]: first", "goes on", "app[7]: [warn] last"]
    #expect(UnitJournal.texts(of: lines, since: .zero + .seconds(10)) == late)
    #expect(UnitJournal.texts(of: lines, since: .zero + .seconds(12)).isEmpty)
    #expect(UnitJournal.texts(of: ["               of an entry cut off"], since: .zero).isEmpty)
  }
}
