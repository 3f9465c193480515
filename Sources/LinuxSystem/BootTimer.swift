import CLinux
import Glibc
package import Vocabulary

/// A deadline on CLOCK_BOOTTIME: one that passed while the host was suspended is due at once when it wakes, where
/// ``EventLoop/schedule(at:_:)`` would wait for what is left. Source: timerfd_create(2).
package final class BootTimer {
  private let descriptor: Descriptor
  private var registration: EventLoop.Registration?
  private var armed: BootInstant?

  /// Calls `handler` on the loop's thread, after whatever else this wake-up of the loop has to tell.
  package init(on loop: EventLoop, handler: @escaping () -> Void) throws(SystemError) {
    descriptor = Descriptor(
      owning: try retrying("make a timer") {
        timerfd_create(CLOCK_BOOTTIME, Int32(TFD_CLOEXEC) | Int32(TFD_NONBLOCK))
      })
    registration = try loop.register(descriptor, events: .read) { [unowned self, unowned loop] _ in
      var expirations: UInt64 = 0
      _ = read(descriptor.raw, &expirations, MemoryLayout<UInt64>.size)
      armed = nil
      loop.deferred(handler)
    }
  }

  /// The one instant at which the handler is called; nil for never. One that has passed is due now.
  package func set(_ instant: BootInstant?) {
    guard instant != armed else { return }
    armed = instant
    var setting = itimerspec()
    if let instant {
      // Zero would disarm it.
      let nanoseconds = max(instant.nanoseconds, 1)
      setting.it_value = timespec(
        tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    }
    // Fails for no valid time, and these are.
    _ = timerfd_settime(descriptor.raw, Int32(TFD_TIMER_ABSTIME), &setting, nil)
  }

  package func cancel() {
    set(nil)
    registration?.cancel()
    registration = nil
  }
}
