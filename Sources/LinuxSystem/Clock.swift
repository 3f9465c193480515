import CLinux
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

extension BootInstant {
  /// CLOCK_BOOTTIME now.
  package static func now() -> BootInstant {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return BootInstant(nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
  }
}

/// CLOCK_REALTIME since 1970, for people and names: it jumps.
package enum RealTime {
  package static func seconds() -> Int64 { nanoseconds() / 1_000_000_000 }
  package static func microseconds() -> Int64 { nanoseconds() / 1_000 }
  package static func nanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
