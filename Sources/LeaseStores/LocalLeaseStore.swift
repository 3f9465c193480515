internal import Glibc
package import Leases
internal import Ledger
package import LinuxSystem
package import Vocabulary

/// Leases of one host in a file (SQLite): between its services and its jobs.
///
/// Time is CLOCK_BOOTTIME, so nobody's clock has to be right; what was granted before the host was started last is free.
package final class LocalLeaseStore: LeaseStore {
  package let news: Descriptor?
  private let path: String
  private let claimant: Claimant
  private let file: LocalLeaseFile
  private let boot: String
  private let clock: () -> BootInstant
  /// Who had what when it was looked at last.
  private var known = LocalLeaseFile.Holders()

  /// Opens, or makes, the file; its directory is there. ``news`` is told only if it `listens`.
  package init(
    path: String, claimant: Claimant, listens: Bool = false, boot: String? = nil,
    clock: @escaping () -> BootInstant = BootInstant.now
  ) throws(StoreError) {
    self.path = path
    self.claimant = claimant
    self.clock = clock
    self.boot = boot ?? Ledger.bootID()
    file = try LocalLeaseFile(path)
    news = listens ? FileChanges.watch(path) : nil
    if listens { known = try file.holders() }
  }

  package func ask(_ exchange: ExchangeID, _ request: StoreRequest) throws(StoreError) -> StoreAnswer {
    var answer = StoreAnswer.released
    // Tokens that were given out are never given out again.
    let isGrant = if case .acquire = request { true } else { false }
    try file.act(durably: isGrant) { () throws(SQLiteError) in
      switch request {
      case .acquire(let name, let above): answer = try self.acquire(name, exchange, above: above)
      case .beat(let tokens): answer = try self.beat(tokens)
      case .release(let name): try self.release(name, before: exchange)
      case .unregister:
        try self.file.change("DELETE FROM instance WHERE owner = ?1", .text(self.claimant.owner.text))
        answer = .unregistered
      }
    }
    return answer
  }

  package func records() throws(StoreError) -> [LeaseRecord] {
    var records: [LeaseRecord] = []
    try file.act { () throws(SQLiteError) in
      let statement = try self.file.prepare("SELECT name FROM lease ORDER BY name")
      while try statement.step() {
        guard let name = statement.text(0).flatMap(LeaseName.init(rawValue:)), let record = try self.record(name) else {
          continue
        }
        records.append(record)
      }
    }
    return records
  }

  package func free(_ name: LeaseName) throws(StoreError) -> LeaseRecord? {
    var before: LeaseRecord?
    try file.act(durably: true) { () throws(SQLiteError) in
      guard let record = try self.record(name), record.holder != nil else { return }
      try self.file.change("UPDATE lease SET token = token + 1, owner = NULL WHERE name = ?1", .text(name.rawValue))
      before = record
    }
    return before
  }

  package func forget(_ name: LeaseName) throws(StoreError) -> Bool {
    var isForgotten = false
    try file.act(durably: true) { () throws(SQLiteError) in
      guard let record = try self.record(name), record.holder == nil else { return }
      try self.file.change("UPDATE floor SET token = max(token, ?1)", .token(record.token))
      try self.file.change("DELETE FROM lease WHERE name = ?1", .text(name.rawValue))
      isForgotten = true
    }
    return isForgotten
  }

  package func takeNews() -> [LeaseName]? {
    guard let news else { return nil }
    FileChanges.take(news)
    // Where it cannot be read now, who waits asks in its time all the same.
    guard let now = try? file.holders(since: known) else { return [] }
    defer { known = now }
    return now.differences(from: known)
  }

  // MARK: - Requests

  private func acquire(
    _ name: LeaseName, _ exchange: ExchangeID, above: LeaseToken
  ) throws(SQLiteError) -> StoreAnswer {
    let record = try record(name)
    if let holder = record?.holder {
      guard holder.owner == claimant.owner else { return .heldBy(holder) }
      try extend(name)
      try file.change(
        "UPDATE lease SET exchange = max(exchange, ?2) WHERE name = ?1", .text(name.rawValue),
        .number(Int64(clamping: exchange.number)))
      return .granted(holder.token)
    }
    let floor = try UInt64(clamping: file.integer("SELECT token FROM floor"))
    let known = max(record?.token.number ?? 0, floor)
    let token = LeaseToken(max(known, above.number, UInt64(clamping: RealTime.microseconds() / 1_000)) + 1)
    try file.change(
      """
      INSERT OR REPLACE INTO lease (name, token, owner, label, exchange, boot, until)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
      """, .text(name.rawValue), .token(token), .text(claimant.owner.text), .text(claimant.label),
      .number(Int64(clamping: exchange.number)), .text(boot), .number(deadline))
    return .granted(token)
  }

  private func beat(_ tokens: [LeaseName: LeaseToken]) throws(SQLiteError) -> StoreAnswer {
    try file.change("DELETE FROM instance WHERE boot <> ?1 OR until < ?2", .text(boot), .number(clock().nanoseconds))
    try file.change(
      "INSERT OR REPLACE INTO instance (owner, label, boot, until) VALUES (?1, ?2, ?3, ?4)", .text(claimant.owner.text),
      .text(claimant.label), .text(boot), .number(deadline))
    var renewals: [LeaseName: Renewal] = [:]
    for (name, token) in tokens {
      let holder = try record(name)?.holder
      let isOurs = holder?.owner == claimant.owner && holder?.token == token
      if isOurs { try extend(name) }
      renewals[name] = isOurs ? .renewed : .lost(holder)
    }
    return .beaten(renewals)
  }

  private func release(_ name: LeaseName, before exchange: ExchangeID) throws(SQLiteError) {
    try file.change(
      "UPDATE lease SET owner = NULL WHERE name = ?1 AND owner = ?2 AND exchange < ?3", .text(name.rawValue),
      .text(claimant.owner.text), .number(Int64(clamping: exchange.number)))
  }

  // MARK: - Rows

  private var deadline: Int64 { (clock() + claimant.timeToLive).nanoseconds }

  private func extend(_ name: LeaseName) throws(SQLiteError) {
    try file.change("UPDATE lease SET until = ?2 WHERE name = ?1", .text(name.rawValue), .number(deadline))
  }

  private func record(_ name: LeaseName) throws(SQLiteError) -> LeaseRecord? {
    let statement = try file.prepare("SELECT token, owner, label, boot, until FROM lease WHERE name = ?1")
    try statement.bind(1, name.rawValue)
    guard try statement.step() else { return nil }
    let token = LeaseToken(UInt64(clamping: statement.integer(0) ?? 0))
    let label = statement.text(2) ?? ""
    var holder: Holder?
    if let owner = statement.text(1), statement.text(3) == boot, let until = statement.integer(4) {
      let remaining = BootInstant(nanoseconds: until) - clock()
      if remaining > .zero {
        holder = Holder(owner: OwnerID(owner), label: label, token: token, remaining: remaining)
      }
    }
    return LeaseRecord(name: name, token: token, holder: holder, last: label)
  }
}
