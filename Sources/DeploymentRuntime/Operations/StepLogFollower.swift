internal import Glibc
package import LinuxSystem
package import Vocabulary

/// Reads the records of an operation as they come, for whoever follows it in another process.
package struct StepLogFollower {
  private let layout: Layout
  private let id: OperationID
  private var taken = 0

  package init(_ layout: Layout, _ id: OperationID) {
    self.layout = layout
    self.id = id
  }

  /// What has been recorded since the last call. A log that is not there yet has nothing.
  package mutating func next() -> [LogLine] {
    let lines = StepLog.peek(layout, id)
    // A line whose write failed is overwritten by another of the same number: it was never announced as recorded.
    defer { taken = max(taken, lines.count) }
    return Array(lines.dropFirst(taken))
  }

  /// Waits until there may be something new, `deadline`, or until `stop` is readable.
  package func wait(until deadline: Instant, or stop: Descriptor? = nil) {
    let left = deadline - Instant.monotonicNow()
    guard left > .zero else { return }
    var poller = pollfd(fd: stop?.raw ?? -1, events: Int16(POLLIN), revents: 0)
    _ = poll(&poller, 1, Int32(clamping: min(left.milliseconds + 1, 100)))
  }

  /// Whether a process works on it. When it does not and the last record is no end, it was cut off.
  package var isAlive: Bool { StepLog.isAlive(layout, id) }
}
