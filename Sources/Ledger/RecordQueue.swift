/// What waits to be written.
enum LedgerItem: Hashable, Sendable {
  case event(EventRecord)
  case operation(OperationRecord)
}

/// A ring of records: when it is full the oldest makes place, and is counted. It takes memory as it fills, and none when
/// it is empty.
struct RecordQueue: Sendable {
  private let capacity: Int
  private var slots: [LedgerItem?] = []
  private var head = 0
  private(set) var count = 0
  /// Records that made place unwritten.
  private(set) var dropped: UInt64 = 0

  init(capacity: Int) { self.capacity = max(1, capacity) }

  mutating func append(_ item: LedgerItem) {
    if count == capacity {
      _ = popFirst()
      dropped += 1
    }
    if count == slots.count { grow() }
    slots[(head + count) % slots.count] = item
    count += 1
  }

  private mutating func grow() {
    let records = items
    slots = records + Array(repeating: nil, count: min(capacity, max(16, records.count * 2)) - records.count)
    head = 0
  }

  mutating func popFirst() -> LedgerItem? {
    guard count > 0 else { return nil }
    let item = slots[head]
    slots[head] = nil
    head = (head + 1) % slots.count
    count -= 1
    if count == 0, slots.count > 16 {
      slots = []
      head = 0
    }
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
}
