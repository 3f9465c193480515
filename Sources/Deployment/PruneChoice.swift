package import Vocabulary

/// Which releases, backups or logs may go.
///
/// What is protected is never among them, and does not count towards `keep`: what runs, the last good one, the one being
/// made, those a live generation runs, and those that migrations are held back for.
package struct PruneChoice: Hashable, Sendable {
  package struct Item: Hashable, Sendable {
    package var name: String
    /// Its place among all, by the operations that made them; the higher the younger.
    package var sequence: Int64
    package var age: Duration
    package var size: ByteCount

    package init(name: String, sequence: Int64, age: Duration, size: ByteCount) {
      self.name = name
      self.sequence = sequence
      self.age = age
      self.size = size
    }
  }

  package var keep: Int
  package var keepFor: Duration?
  /// Of all together, protected ones included.
  package var keepSize: ByteCount?

  package init(keep: Int, keepFor: Duration? = nil, keepSize: ByteCount? = nil) {
    self.keep = max(0, keep)
    self.keepFor = keepFor
    self.keepSize = keepSize
  }

  /// The oldest first, so that a prune that is cut off took the right ones.
  package func removed(from items: [Item], protected: Set<String>) -> [Item] {
    let sorted = items.sorted { ($0.sequence, $0.name) > ($1.sequence, $1.name) }
    var bytes = sorted.reduce(UInt64(0)) { protected.contains($1.name) ? Self.sum($0, $1.size.bytes) : $0 }
    var kept = 0
    var isFull = false
    var removed: [Item] = []
    for item in sorted where !protected.contains(item.name) {
      let sum = Self.sum(bytes, item.size.bytes)
      // Nothing older is kept instead of one that did not fit.
      if let keepSize, sum > keepSize.bytes { isFull = true }
      if kept >= keep || isFull || keepFor.map({ item.age > $0 }) ?? false {
        removed.append(item)
      } else {
        kept += 1
        bytes = sum
      }
    }
    return removed.reversed()
  }

  private static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let (sum, overflow) = left.addingReportingOverflow(right)
    return overflow ? .max : sum
  }
}
