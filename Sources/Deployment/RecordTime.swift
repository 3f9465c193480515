package import Vocabulary

/// When a record was made: by the wall clock for people, and by one that does not jump for how long things took.
package struct RecordTime: Hashable, Sendable {
  /// Microseconds since 1970.
  package var wall: Int64
  /// nil: not known.
  package var boot: Boot?

  package struct Boot: Hashable, Sendable {
    /// Which one; see proc_sys_kernel(5), random/boot_id.
    package var id: String
    /// CLOCK_BOOTTIME, which means something within this boot only.
    package var instant: BootInstant

    package init(id: String, instant: BootInstant) {
      self.id = id
      self.instant = instant
    }
  }

  package init(wall: Int64, boot: Boot? = nil) {
    self.wall = wall
    self.boot = boot
  }

  /// The time since then; nil where the host was started in between, or where nobody knows. Never by the wall clock.
  package func since(_ earlier: RecordTime) -> Duration? {
    guard let boot, let before = earlier.boot, boot.id == before.id, boot.instant >= before.instant else { return nil }
    return boot.instant - before.instant
  }
}
