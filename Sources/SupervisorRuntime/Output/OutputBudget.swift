import Vocabulary

/// How many lines the workers of an engine may print together, so that a flood fills neither the journal nor the loop:
/// a token bucket that starts full. What is refused is counted, for one summary per interval.
///
/// Not Sendable: shared by outputs of one loop.
package final class OutputBudget {
  /// So many lines in one go, and as many again evenly spread over ``interval``.
  package let lines: Int
  package let interval: Duration
  /// Refused and not yet told.
  package private(set) var dropped = 0

  /// In nanoseconds of refilling time: whole numbers, nothing is lost by rounding.
  private var credit: Int64
  private var refilledAt: Instant?
  private let full: Int64
  private let price: Int64

  package init(lines: Int = 10_000, per interval: Duration = .seconds(30)) {
    self.lines = max(lines, 1)
    self.interval = max(interval, .milliseconds(1))
    price = max(self.interval.nanoseconds / Int64(self.lines), 1)
    full = price.multipliedReportingOverflow(by: Int64(self.lines)).overflow ? .max : price * Int64(self.lines)
    credit = full
  }

  func isExhausted(at now: Instant) -> Bool {
    refill(at: now)
    return credit < price
  }

  /// Whether a line may be delivered now. When not, the caller says what becomes of it with ``drop(_:)``.
  func take(at now: Instant) -> Bool {
    guard !isExhausted(at: now) else { return false }
    credit -= price
    return true
  }

  /// Counts lines that are not delivered.
  /// - Returns: true for the first since the last summary: whoever dropped them has to tell, an interval later.
  func drop(_ count: Int) -> Bool {
    let isFirst = dropped == 0
    dropped += count
    return isFirst && count > 0
  }

  /// Forgets what was dropped and says it.
  func takeSummary() -> String? {
    guard dropped > 0 else { return nil }
    defer { dropped = 0 }
    return "\(dropped) lines dropped: more than \(lines) in \(interval.text)"
  }

  private func refill(at now: Instant) {
    if let refilledAt, now > refilledAt {
      let (sum, overflow) = credit.addingReportingOverflow((now - refilledAt).nanoseconds)
      credit = overflow ? full : min(sum, full)
    }
    refilledAt = max(refilledAt ?? now, now)
  }
}
