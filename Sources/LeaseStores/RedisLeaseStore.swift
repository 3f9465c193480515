package import Leases
package import LinuxSystem
package import Vocabulary

/// Leases between hosts, in a Redis of version 5 or later.
///
/// Every act is one script on the server, with the server's time. What Redis itself can lose (a replica that is promoted, a
/// restart without an append-only file) it loses here too: tokens rise even so, by its clock and by what askers have seen.
package final class RedisLeaseStore: LeaseStore {
  private let address: RedisAddress
  private let claimant: Claimant
  private let listens: Bool
  /// For each answer.
  private let patience: Duration
  /// For all that it takes before the first.
  private let connecting: Duration
  private var connection: RedisConnection?
  /// Where it tells of leases that became free.
  private var subscription: RedisConnection?

  /// Connects when it is asked first, and again after every failure.
  package init(_ address: RedisAddress, claimant: Claimant, listens: Bool = false, patience: Duration = .seconds(5)) {
    self.address = address
    self.claimant = claimant
    self.listens = listens
    self.patience = patience
    connecting = max(patience, LeaseTiming(timeToLive: claimant.timeToLive).connecting)
  }

  package var news: Descriptor? { subscription?.socket }

  package func ask(_ exchange: ExchangeID, _ request: StoreRequest) throws(StoreError) -> StoreAnswer {
    let owner = claimant.owner.text
    switch request {
    case .acquire(let name, let above):
      let answer = try run(
        RedisScripts.acquire, keys: [lease(name), tokens, labels],
        [name.rawValue, owner, claimant.label, time, "\(above)", "\(exchange)"])
      return try granted(answer)
    case .beat(let tokens):
      let sorted = tokens.sorted { $0.key < $1.key }
      let answer = try run(
        RedisScripts.beat, keys: [instance] + sorted.map { lease($0.key) },
        [owner, claimant.label, time] + sorted.map { "\($0.value)" })
      guard let list = answer.list, list.count == sorted.count else { throw strange() }
      var renewals: [LeaseName: Renewal] = [:]
      for (value, entry) in zip(list, sorted) { renewals[entry.key] = try renewal(value) }
      return .beaten(renewals)
    case .release(let name):
      _ = try run(RedisScripts.release, keys: [lease(name), channel], [name.rawValue, owner, "\(exchange)"])
      return .released
    case .unregister:
      _ = try command(["DEL", instance])
      return .unregistered
    }
  }

  package func records() throws(StoreError) -> [LeaseRecord] {
    let answer = try run(RedisScripts.records, keys: [tokens, labels], [lease(nil)])
    guard let list = answer.list else { throw strange() }
    var records: [LeaseRecord] = []
    for value in list {
      guard let fields = value.list, fields.count >= 3, let name = fields[0].string.flatMap(LeaseName.init(rawValue:)),
        let token = fields[1].string.flatMap({ UInt64($0) })
      else { throw strange() }
      records.append(
        LeaseRecord(
          name: name, token: LeaseToken(token), holder: try holder(fields.dropFirst(3)), last: fields[2].string ?? ""))
    }
    return records.sorted { $0.name < $1.name }
  }

  package func free(_ name: LeaseName) throws(StoreError) -> LeaseRecord? {
    let answer = try run(RedisScripts.free, keys: [lease(name), tokens, channel], [name.rawValue])
    guard let fields = answer.list else { return nil }
    guard let holder = try holder(fields[...]) else { throw strange() }
    return LeaseRecord(name: name, token: holder.token, holder: holder, last: holder.label)
  }

  package func forget(_ name: LeaseName) throws(StoreError) -> Bool {
    try run(RedisScripts.forget, keys: [lease(name), tokens, labels], [name.rawValue]) == .integer(1)
  }

  package func takeNews() -> [LeaseName]? {
    guard let subscription else { return [] }
    var names: [LeaseName] = []
    do throws(StoreError) {
      try subscription.receive()
      while let value = try subscription.take() {
        guard let parts = value.list, parts.count == 3, parts[0] == .text("message"),
          let name = parts[2].string.flatMap(LeaseName.init(rawValue:))
        else { continue }
        names.append(name)
      }
      return names
    } catch {
      // Made anew with the next question, which is asked at once: what was missed is asked for by it.
      self.subscription = nil
      return nil
    }
  }

  // MARK: - Keys

  private func lease(_ name: LeaseName?) -> String { address.prefix + "lease:" + (name?.rawValue ?? "") }
  private var tokens: String { address.prefix + "tokens" }
  private var labels: String { address.prefix + "labels" }
  private var instance: String { address.prefix + "instance:" + claimant.owner.text }
  private var channel: String { address.prefix + "news" }
  private var time: String { "\(max(1, claimant.timeToLive.milliseconds))" }

  // MARK: - Answers

  private func granted(_ answer: RedisValue) throws(StoreError) -> StoreAnswer {
    guard let parts = answer.list, let kind = parts.first?.string else { throw strange() }
    if kind == "granted", parts.count == 2, let token = parts[1].string.flatMap({ UInt64($0) }) {
      return .granted(LeaseToken(token))
    }
    guard kind == "held", let holder = try holder(parts.dropFirst()) else { throw strange() }
    return .heldBy(holder)
  }

  private func renewal(_ value: RedisValue) throws(StoreError) -> Renewal {
    guard let parts = value.list, let kind = parts.first?.string else { throw strange() }
    if kind == "renewed" { return .renewed }
    guard kind == "lost" else { throw strange() }
    return .lost(try holder(parts.dropFirst()))
  }

  /// Owner, token, label, milliseconds; nothing, or nothing but null, is nobody.
  private func holder(_ fields: ArraySlice<RedisValue>) throws(StoreError) -> Holder? {
    let texts = fields.map(\.string)
    if texts.allSatisfy({ $0 == nil }) { return nil }
    guard texts.count == 4, let owner = texts[0], let token = texts[1].flatMap({ UInt64($0) }), let label = texts[2],
      let remaining = texts[3].flatMap({ Int64($0) })
    else { throw strange() }
    return Holder(owner: OwnerID(owner), label: label, token: LeaseToken(token), remaining: .milliseconds(remaining))
  }

  private func strange() -> StoreError {
    StoreError("\(address)", "the answer is not what was asked for", next: "are the keys {baton}:* only baton's?")
  }

  // MARK: - The connection

  private func run(_ script: String, keys: [String], _ arguments: [String]) throws(StoreError) -> RedisValue {
    try command(["EVAL", script, "\(keys.count)"] + keys + arguments)
  }

  private func command(_ words: [String]) throws(StoreError) -> RedisValue {
    let deadline = Instant.monotonicNow() + connecting
    do throws(StoreError) {
      let connected: RedisConnection
      if let connection { connected = connection } else { connected = try RedisConnection(address, until: deadline) }
      connection = connected
      if listens, subscription == nil { try subscribe(until: deadline) }
      return try connected.ask(words, until: .monotonicNow() + patience)
    } catch {
      connection = nil
      throw error
    }
  }

  private func subscribe(until deadline: Instant) throws(StoreError) {
    let made = try RedisConnection(address, until: deadline)
    _ = try made.ask(["SUBSCRIBE", channel], until: deadline)
    subscription = made
  }
}
