import Vocabulary

/// Counts the calls of each user: a bucket that holds a burst and refills with time. Root is not counted.
struct CallRate {
  private struct Bucket {
    /// In thousandths of a call.
    var level: Int64
    var filledAt: Instant
  }

  private let limits: ControlLimits
  private var buckets: [UInt32: Bucket] = [:]

  init(_ limits: ControlLimits) { self.limits = limits }

  /// Takes one call out of the user's bucket; if it is empty, when to ask again.
  mutating func take(uid: UInt32, at now: Instant) -> Instant? {
    guard uid != 0 else { return nil }
    let full = Int64(limits.burst) * 1_000
    var bucket = buckets[uid] ?? Bucket(level: full, filledAt: now)
    let gained = min((now - bucket.filledAt).milliseconds, 3_600_000) * Int64(limits.callsPerSecond)
    if gained > 0 {
      bucket.level = min(full, bucket.level + gained)
      bucket.filledAt = now
    }
    defer { buckets[uid] = bucket }
    guard bucket.level >= 1_000 else {
      let missing = 1_000 - bucket.level
      return now + .milliseconds(missing / Int64(max(limits.callsPerSecond, 1)) + 1)
    }
    bucket.level -= 1_000
    return nil
  }

  /// Forgets users whose bucket is full again, so that the table is no larger than the number of recent callers.
  mutating func forgetIdle(at now: Instant) {
    let toFull = Duration.milliseconds(Int64(limits.burst) * 1_000 / Int64(max(limits.callsPerSecond, 1)))
    buckets = buckets.filter { now - $0.value.filledAt < toFull }
  }
}
