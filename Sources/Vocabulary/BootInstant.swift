/// A point on CLOCK_BOOTTIME, which goes on while the host is suspended: what another host may do meanwhile goes on, too.
/// Never mixed with ``Instant``, whose clock stands still then. Source: clock_gettime(2).
package struct BootInstant: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let nanoseconds: Int64
  package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  package static let zero = BootInstant(nanoseconds: 0)

  package static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

  /// Saturates instead of trapping.
  package static func + (instant: BootInstant, duration: Duration) -> BootInstant {
    let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(duration.nanoseconds)
    return BootInstant(nanoseconds: overflow ? (duration.nanoseconds < 0 ? .min : .max) : sum)
  }

  package static func - (instant: BootInstant, duration: Duration) -> BootInstant {
    instant + (.zero - duration)
  }

  package static func - (left: BootInstant, right: BootInstant) -> Duration {
    let (difference, overflow) = left.nanoseconds.subtractingReportingOverflow(right.nanoseconds)
    return .nanoseconds(overflow ? (left > right ? .max : .min) : difference)
  }

  package var description: String { "\(nanoseconds)ns" }
}
