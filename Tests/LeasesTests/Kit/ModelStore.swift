import Vocabulary

@testable import Leases

/// A store as all of them have to be: one atomic act a request, expiry by its own clock, tokens that only rise.
struct ModelStore {
  struct Entry {
    var owner: Int
    var token: LeaseToken
    var exchange: ExchangeID
    var until: Int64
  }

  let timeToLive: Int64
  private(set) var entries: [LeaseName: Entry] = [:]
  private(set) var registered: Set<Int> = []
  private var tokens: [LeaseName: UInt64] = [:]
  /// Every grant ever made, in order.
  private(set) var granted: [LeaseName: [LeaseToken]] = [:]

  init(timeToLive: Duration) { self.timeToLive = timeToLive.nanoseconds }

  private func alive(_ name: LeaseName, _ now: Int64) -> Entry? { entries[name].flatMap { $0.until > now ? $0 : nil } }

  private func holder(_ entry: Entry, _ now: Int64) -> Holder {
    Holder(
      owner: OwnerID("\(entry.owner)"), label: "host \(entry.owner)", token: entry.token,
      remaining: .nanoseconds(entry.until - now))
  }

  /// - Returns: the answer, and the leases that others have to be told of.
  mutating func take(_ exchange: ExchangeID, _ request: StoreRequest, from owner: Int, at now: Int64) -> (
    StoreAnswer, [LeaseName]
  ) {
    switch request {
    case .acquire(let name, let above):
      if let entry = alive(name, now) {
        guard entry.owner == owner else { return (.heldBy(holder(entry, now)), []) }
        entries[name]?.until = now + timeToLive
        entries[name]?.exchange = ExchangeID(max(entry.exchange.number, exchange.number))
        return (.granted(entry.token), [])
      }
      return (.granted(grant(name, to: owner, exchange, above: above, now)), [])
    case .beat(let tokens):
      registered.insert(owner)
      var renewals: [LeaseName: Renewal] = [:]
      for (name, token) in tokens {
        let entry = alive(name, now)
        let isOurs = entry?.owner == owner && entry?.token == token
        if isOurs { entries[name]?.until = now + timeToLive }
        renewals[name] = isOurs ? .renewed : .lost(entry.map { holder($0, now) })
      }
      return (.beaten(renewals), [])
    case .release(let name):
      guard let entry = alive(name, now), entry.owner == owner, entry.exchange.number < exchange.number else {
        return (.released, [])
      }
      entries[name] = nil
      return (.released, [name])
    case .unregister:
      registered.remove(owner)
      return (.unregistered, [])
    }
  }

  /// By a person, for another host.
  mutating func force(_ name: LeaseName, to owner: Int, at now: Int64) {
    _ = grant(name, to: owner, ExchangeID(0), above: LeaseToken(0), now)
  }

  /// Everything is forgotten, the tokens as well.
  mutating func flush() {
    entries = [:]
    registered = []
    tokens = [:]
  }

  private mutating func grant(_ name: LeaseName, to owner: Int, _ exchange: ExchangeID, above: LeaseToken, _ now: Int64)
    -> LeaseToken
  {
    // The server's clock lifts them over what was forgotten.
    let token = LeaseToken(max(tokens[name, default: 0], above.number, UInt64(now / 1_000_000)) + 1)
    tokens[name] = token.number
    entries[name] = Entry(owner: owner, token: token, exchange: exchange, until: now + timeToLive)
    granted[name, default: []].append(token)
    return token
  }
}
