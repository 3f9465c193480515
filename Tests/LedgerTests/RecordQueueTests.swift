import Testing

@testable import Ledger

/// The ring against a plain array.
@Suite struct RecordQueueTests {
  @Test(arguments: [1, 2, 16, 17, 100]) func behavesAsAnArrayThatForgets(_ capacity: Int) {
    var queue = RecordQueue(capacity: capacity)
    var model: [Int] = []
    var dropped: UInt64 = 0
    for step in 0..<5_000 {
      // Fills more than it empties at first, then the other way round.
      if step % 7 < (step < 2_500 ? 5 : 2) {
        queue.append(.event(LedgerFixture.event(step)))
        model.append(step)
        if model.count > capacity {
          model.removeFirst()
          dropped += 1
        }
      } else {
        let limit = step % 4
        let taken = queue.take(limit)
        #expect(taken == model.prefix(limit).map { .event(LedgerFixture.event($0)) })
        model.removeFirst(min(limit, model.count))
      }
      #expect(queue.count == model.count && queue.dropped == dropped)
    }
    #expect(queue.items == model.map { .event(LedgerFixture.event($0)) })
  }
}
