import Leases
import Vocabulary

@testable import LeaseStores

/// Who is there and who owns what, as the design this replaces had it: instances in keys that live twice as long as the
/// lock, owners in a hash that nothing expires, looked at and then written. Kept to show that the tests of races can fail.
struct NaiveRegistry {
  let place: RedisPlace
  let instance: String
  /// The lock's; 30 s there, and 60 s for an instance.
  let lockTime: Duration

  private static let owners = "owners"

  func register() throws {
    try place.redis("SET", "instances:\(instance)", "1", "PX", "\((lockTime * 2).milliseconds)")
  }
  func unregister() throws { try place.redis("DEL", "instances:\(instance)") }

  func own(_ listener: String) throws { try place.redis("HSET", Self.owners, listener, instance) }
  func owner(of listener: String) throws -> String? { try place.redis("HGET", Self.owners, listener).string }
  func isAlive(_ instance: String) throws -> Bool {
    try place.redis("EXISTS", "instances:\(instance)") == .integer(1)
  }

  /// The first half of a take-over; ``own(_:)`` is the second.
  func mayTakeOver(_ listener: String) throws -> Bool {
    guard let owner = try owner(of: listener) else { return true }
    return try owner != instance && !isAlive(owner)
  }

  /// Once, when the lock is gained.
  func takeOver(_ listener: String) throws -> Bool {
    guard try mayTakeOver(listener) else { return false }
    try own(listener)
    return true
  }

  /// `_release_all_listeners`: whoever owns them now.
  func giveUp(_ listeners: [String]) throws {
    for listener in listeners { try place.redis("HDEL", Self.owners, listener) }
  }
}

/// Renews every 15 s of 30, and does not say what happens when that fails.
struct NaiveRenewal {
  static let every = Duration.seconds(15)
  static let lasts = Duration.seconds(30)

  /// Whether it still has the lock at each of its renewals, the first of which is at 15 s; a call that is `lost` renews
  /// nothing, and one that works takes `late`.
  static func isHeld(lost: Set<Int>, late: Duration, renewals: Int) -> Bool {
    var until = lasts
    for number in 1...renewals {
      let at = every * number + late
      if at >= until { return false }
      if !lost.contains(number) { until = at + lasts }
    }
    return true
  }
}

/// Looks again every 5 s, and hears of nothing meanwhile.
struct NaiveWaiter {
  static let poll = Duration.seconds(5)

  /// After the release, in the worst case and on the average.
  static func wait(lookedLast: Duration) -> Duration { poll - lookedLast }
}

/// Looks whether a listener runs, does something slow, and then says that it does.
final class NaiveStarter {
  private(set) var starts = 0
  private var running: Set<String> = []

  /// What comes after the wait: two callers may both wait.
  func begin(_ listener: String) -> (() -> Void)? {
    if running.contains(listener) { return nil }
    return { [self] in
      starts += 1
      running.insert(listener)
    }
  }
}

/// Stage 4 of the shutdown as it was: what others wait for goes first, and what runs goes last.
enum NaiveShutdown {
  static func run(_ lock: NaiveLock, _ registry: NaiveRegistry, between: (String) throws -> Void) throws {
    try lock.release()
    try between("the lock is free")
    try registry.unregister()
    try between("unregistered")
    try registry.giveUp(["robots"])
  }
}
