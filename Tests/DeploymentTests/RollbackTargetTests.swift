import Testing
import Vocabulary

@testable import Deployment

@Suite struct RollbackTargetTests {
  private func candidate(
    _ id: String, _ verdict: ReleaseVerdict, _ sequence: Int64, isRestorable: Bool = true, tree: String? = nil,
    schema: String? = nil
  ) -> RollbackTarget.Candidate {
    RollbackTarget.Candidate(
      ReleaseRecord(id: ReleaseID(id), verdict: verdict, sequence: sequence), isRestorable: isRestorable, tree: tree,
      schema: schema)
  }

  private func choose(
    _ candidates: [RollbackTarget.Candidate], _ current: String, _ wish: String? = nil
  ) -> String {
    switch RollbackTarget.choose(candidates, current: ReleaseID(current), wish: wish.map { ReleaseID($0) }) {
    case .success(let id): id.text
    case .failure(let failure): failure.what
    }
  }

  @Test func theLastGoodOneByOrderAndNotByName() {
    // The newest name is not the last that was good.
    let all = [
      candidate("z", .good, 1), candidate("a", .good, 3), candidate("m", .good, 2), candidate("now", .good, 4),
    ]
    #expect(choose(all, "now") == "a")
    #expect(choose(all.reversed(), "now") == "a")
  }

  @Test func badAndUnprovedOnesAreSkipped() {
    let all = [
      candidate("good", .good, 1), candidate("bad", .bad, 3), candidate("new", .new, 2), candidate("now", .new, 4),
    ]
    #expect(choose(all, "now") == "good")
    #expect(choose(all, "now", "bad").contains("marked bad"))
    #expect(choose(all, "now", "new").contains("never proved"))
  }

  @Test func nobodyGoesBackToWhatRuns() {
    let all = [candidate("old", .good, 1, tree: "x"), candidate("now", .good, 2, tree: "x")]
    #expect(choose(all, "now").contains("same tree"))
    #expect(choose(all, "now", "now").contains("the one that runs"))
    #expect(choose([candidate("now", .good, 1)], "now").contains("no other release was ever marked good"))
  }

  @Test func oneThatCannotBeHadIsSkippedAndSaid() {
    let all = [candidate("a", .good, 1), candidate("b", .good, 2, isRestorable: false), candidate("now", .good, 3)]
    #expect(choose(all, "now") == "a")
    #expect(choose(all, "now", "b").contains("neither a sound directory nor a sound archive"))
  }

  @Test func aSchemaIsNotSkippedOver() {
    let all = [
      candidate("a", .good, 1), candidate("b", .good, 2, schema: "0007 dropped x"), candidate("now", .good, 3),
    ]
    #expect(choose(all, "now").contains("0007 dropped x"))
    #expect(choose(all, "now", "a") == "a")
  }
}

@Suite struct PruneChoiceTests {
  private func items(_ ages: [Int]) -> [PruneChoice.Item] {
    // Names against the order, so that nothing can go by them.
    ages.enumerated().map { index, age in
      PruneChoice.Item(
        name: "r\(9 - index)", sequence: Int64(index + 1), age: .seconds(age), size: ByteCount(UInt64(10)))
    }
  }

  @Test func theOldestBeyondTheCountGoOldestFirst() {
    let removed = PruneChoice(keep: 2).removed(from: items([50, 40, 30, 20, 10]), protected: [])
    #expect(removed.map(\.sequence) == [1, 2, 3])
  }

  @Test func whatIsProtectedStaysAndDoesNotCount() {
    let removed = PruneChoice(keep: 1).removed(from: items([50, 40, 30, 20, 10]), protected: ["r9", "r5"])
    #expect(removed.map(\.sequence) == [2, 3])
    #expect(PruneChoice(keep: 0).removed(from: items([5]), protected: ["r9"]).isEmpty)
  }

  @Test func ageAndSizeTakeMore() {
    let old = PruneChoice(keep: 9, keepFor: .seconds(25)).removed(from: items([50, 40, 30, 20, 10]), protected: [])
    #expect(old.map(\.sequence) == [1, 2, 3])
    let large = PruneChoice(keep: 9, keepSize: ByteCount(30)).removed(from: items([5, 4, 3, 2, 1]), protected: ["r9"])
    // The protected one takes ten of the thirty.
    #expect(large.map(\.sequence) == [2, 3])
  }
}
