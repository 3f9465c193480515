import Glibc
package import Vocabulary

extension Instant {
  /// CLOCK_MONOTONIC now. Inside a handler prefer ``EventLoop/now``, which is read once per wake-up.
  package static func monotonicNow() -> Instant {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
  }
}

/// CLOCK_REALTIME, for people: it jumps.
package enum RealTime {
  /// Microseconds since 1970.
  package static func microseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
  }
}
