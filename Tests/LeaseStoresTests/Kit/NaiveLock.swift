import Leases
import Vocabulary

@testable import LeaseStores

/// The lock as it is often written, and as the design this replaces had it: `SET NX EX`, renewed by `EXPIRE`, given back by
/// `DEL`, owner `pid-milliseconds`. Kept to show that the tests of races can fail.
struct NaiveLock {
  let place: RedisPlace
  let owner: String
  let key: String

  init(_ place: RedisPlace, pid: Int, startedAt milliseconds: Int, key: String = "lock") {
    self.place = place
    self.key = key
    owner = "\(pid)-\(milliseconds)"
  }

  func acquire(for time: Duration) throws -> Bool {
    try place.redis("SET", key, owner, "NX", "PX", "\(time.milliseconds)") == .text("OK")
  }

  func renew(for time: Duration) throws -> Bool {
    try place.redis("PEXPIRE", key, "\(time.milliseconds)") == .integer(1)
  }

  func release() throws { try place.redis("DEL", key) }
}

/// What work is written to: takes what comes, or refuses whoever is later than one it has seen.
struct Sink {
  let isFenced: Bool
  private(set) var written: [String] = []
  private var highest = LeaseToken(0)

  init(isFenced: Bool) { self.isFenced = isFenced }

  mutating func write(_ text: String, _ token: LeaseToken) {
    if isFenced {
      guard token >= highest else { return }
      highest = token
    }
    written.append(text)
  }
}
