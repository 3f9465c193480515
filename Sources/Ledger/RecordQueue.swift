/// What waits to be written.
enum LedgerItem: Hashable, Sendable {
  case event(EventRecord)
  case operation(OperationRecord)
}

/// A ring of records: when it is full the oldest makes place, and is counted.
struct RecordQueue: Sendable {
  private var slots: [LedgerItem?]
  private var head = 0
  private(set) var count = 0
  /// Records that made place unwritten.
  private(set) var dropped: UInt64 = 0

  init(capacity: Int) { slots = Array(repeating: nil, count: max(1, capacity)) }

  mutating func append(_ item: LedgerItem) {
    if count == slots.count {
      _ = popFirst()
      dropped += 1
    }
    slots[(head + count) % slots.count] = item
    count += 1
  }

  mutating func popFirst() -> LedgerItem? {
    guard count > 0 else { return nil }
    let item = slots[head]
    slots[head] = nil
    head = (head + 1) % slots.count
    count -= 1
    return item
  }

  /// At most `limit`, oldest first.
  mutating func take(_ limit: Int) -> [LedgerItem] {
    var items: [LedgerItem] = []
    while items.count < limit, let item = popFirst() { items.append(item) }
    return items
  }

  /// Oldest first, without taking them.
  var items: [LedgerItem] { (0..<count).compactMap { slots[(head + $0) % slots.count] } }

  mutating func drop() {
    dropped += UInt64(count)
    while popFirst() != nil {}
  }
}
