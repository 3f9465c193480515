import Testing
import Vocabulary

@testable import SupervisorRuntime

@Suite struct OutputBudgetTests {
  func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

  /// How many of `count` lines pass.
  func passed(_ count: Int, _ budget: OutputBudget, at now: Instant) -> Int {
    (0..<count).filter { _ in budget.take(at: now) }.count
  }

  @Test func aBurstPassesThenTheRestEvenlyAndNeverMoreThanABurst() {
    let budget = OutputBudget(lines: 100, per: .seconds(1))
    #expect(passed(1_000, budget, at: at(5_000)) == 100)
    #expect(passed(1_000, budget, at: at(5_009)) == 0)
    #expect(passed(1_000, budget, at: at(5_010)) == 1)
    #expect(passed(1_000, budget, at: at(5_510)) == 50)
    #expect(passed(1_000, budget, at: at(999_000)) == 100)
    // A clock that seems to go back gives nothing.
    #expect(passed(1_000, budget, at: at(1)) == 0)
  }

  @Test func theFirstThatIsDroppedHasToTellAndItIsToldOnce() {
    let budget = OutputBudget(lines: 1, per: .seconds(30))
    #expect(budget.takeSummary() == nil)
    #expect(!budget.drop(0))
    #expect(budget.drop(3))
    #expect(!budget.drop(4))
    #expect(budget.takeSummary() == "7 lines dropped: more than 1 in 30s")
    #expect(budget.takeSummary() == nil)
    #expect(budget.drop(1))
  }

  @Test func absurdValuesDoNotTrap() {
    #expect(passed(3, OutputBudget(lines: 0, per: .zero), at: at(0)) == 1)
    #expect(passed(3, OutputBudget(lines: .max, per: .seconds(Int64.max)), at: .init(nanoseconds: .max)) == 3)
  }
}
