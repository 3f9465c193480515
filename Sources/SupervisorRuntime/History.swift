import Vocabulary

/// Everything that happened, in one order, to everyone who keeps it: the journal, the ledger, and whoever follows.
package final class History {
  package struct Entry: Hashable, Sendable {
    package let number: UInt64
    /// Microseconds of the wall clock, for people.
    package let wallMicroseconds: Int64
    package let happening: Happening
  }

  /// The newest, oldest first.
  package private(set) var recent: [Entry] = []
  /// Called for each, in order.
  package var sinks: [(Entry) -> Void] = []
  /// Writes the last record and closes; then calls back. nil where there is no ledger.
  package var ledgerCloser: ((@escaping () -> Void) -> Void)?
  package private(set) var nextNumber: UInt64 = 1
  private let wallClock: () -> Int64

  /// For callers when there is no ledger to ask, and for what the ledger has not written yet when the program is upgraded.
  /// Each takes about half a kilobyte for as long as we live.
  private static let kept = 300

  package init(wallClock: @escaping () -> Int64) { self.wallClock = wallClock }

  package func add(_ happening: Happening) {
    let entry = Entry(number: nextNumber, wallMicroseconds: wallClock(), happening: happening)
    nextNumber += 1
    recent.append(entry)
    if recent.count > Self.kept + 100 { recent.removeFirst(recent.count - Self.kept) }
    for sink in sinks { sink(entry) }
  }

  /// Goes on counting where another image of this program stopped; `entries` have been told, to all but the ledger.
  func resume(_ saved: SavedHistory) {
    nextNumber = max(saved.nextNumber, 1)
    recent = saved.unrecorded
  }

  func closeLedger(_ done: @escaping () -> Void) {
    guard let ledgerCloser else { return done() }
    ledgerCloser(done)
  }
}
