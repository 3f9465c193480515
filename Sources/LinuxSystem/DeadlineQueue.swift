import Vocabulary

/// Names one scheduled handler; never reused.
package struct TimerToken: Hashable, Sendable {
  fileprivate let number: UInt64
}

/// A binary heap of deadlines. Cancelling only forgets the handler; its entry is dropped when it comes to the top, or
/// when such entries outnumber the living.
struct DeadlineQueue {
  private struct Entry {
    let instant: Instant
    let number: UInt64
    /// Equal instants fire in the order they were scheduled.
    func isBefore(_ other: Entry) -> Bool { (instant, number) < (other.instant, other.number) }
  }

  private var heap: [Entry] = []
  private var handlers: [UInt64: () -> Void] = [:]
  private var nextNumber: UInt64 = 0

  var count: Int { handlers.count }

  /// The deadline of the next handler that is still wanted.
  var earliest: Instant? {
    mutating get {
      while let top = heap.first, handlers[top.number] == nil { removeTop() }
      return heap.first?.instant
    }
  }

  mutating func add(_ instant: Instant, _ handler: @escaping () -> Void) -> TimerToken {
    let number = nextNumber
    nextNumber += 1
    handlers[number] = handler
    heap.append(Entry(instant: instant, number: number))
    siftUp(heap.count - 1)
    return TimerToken(number: number)
  }

  mutating func cancel(_ token: TimerToken) {
    guard handlers.removeValue(forKey: token.number) != nil else { return }
    if heap.count > 64, heap.count > 2 * handlers.count {
      heap = heap.filter { handlers[$0.number] != nil }
      heap.sort { $0.isBefore($1) }
    }
  }

  /// Takes the next handler that is due at `now` and was scheduled before `limit`.
  mutating func takeDue(at now: Instant, before limit: UInt64) -> (() -> Void)? {
    guard let earliest, earliest <= now, let top = heap.first, top.number < limit else { return nil }
    removeTop()
    return handlers.removeValue(forKey: top.number)
  }

  /// Everything scheduled from now on has a number that is not before this.
  var limit: UInt64 { nextNumber }

  private mutating func removeTop() {
    guard let last = heap.popLast(), !heap.isEmpty else { return }
    heap[0] = last
    siftDown(0)
  }

  private mutating func siftUp(_ start: Int) {
    var child = start
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child].isBefore(heap[parent]) else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func siftDown(_ start: Int) {
    var parent = start
    while true {
      var smallest = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < heap.count && heap[child].isBefore(heap[smallest]) {
        smallest = child
      }
      if smallest == parent { return }
      heap.swapAt(parent, smallest)
      parent = smallest
    }
  }
}
