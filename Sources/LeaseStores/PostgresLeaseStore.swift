package import Databases
package import Leases
package import LinuxSystem
package import Vocabulary

/// Leases between hosts, in a PostgreSQL of version 11 or later.
///
/// Every act is one statement with the server's time. The rows stay, so that tokens rise whatever is forgotten.
package final class PostgresLeaseStore: LeaseStore {
  private let address: DatabaseAddress
  private let url: String
  private let claimant: Claimant
  private let listens: Bool
  /// For each answer.
  private let patience: Duration
  /// For all that it takes before the first.
  private let connecting: Duration
  private var connection: PostgresConnection?
  /// Where it tells of leases that became free.
  private var subscription: (connection: PostgresConnection, socket: Descriptor)?

  /// Connects when it is asked first, and again after every failure.
  ///
  /// - Throws: when `address` is no PostgreSQL's.
  package init(
    _ address: DatabaseAddress, claimant: Claimant, listens: Bool = false, patience: Duration = .seconds(5)
  ) throws(StoreError) {
    guard case .postgres(let url) = address.kind else { throw StoreError("\(address)", "is no PostgreSQL") }
    self.address = address
    self.url = url
    self.claimant = claimant
    self.listens = listens
    self.patience = patience
    connecting = max(patience, LeaseTiming(timeToLive: claimant.timeToLive).connecting)
  }

  package var news: Descriptor? { subscription?.socket }

  package func ask(_ exchange: ExchangeID, _ request: StoreRequest) throws(StoreError) -> StoreAnswer {
    let owner = claimant.owner.text
    switch request {
    case .acquire(let name, let above): return try acquire(name, exchange, above: above)
    case .beat(let tokens): return try beat(tokens)
    case .release(let name):
      try run(PostgresStatements.release, [name.rawValue, owner, "\(exchange)"])
      return .released
    case .unregister:
      try run(PostgresStatements.unregister, [owner])
      return .unregistered
    }
  }

  private func acquire(_ name: LeaseName, _ exchange: ExchangeID, above: LeaseToken) throws(StoreError) -> StoreAnswer {
    // Whoever has it may give it back between the two questions.
    for _ in 0..<Self.tries {
      let granted = try run(
        PostgresStatements.acquire,
        [name.rawValue, claimant.owner.text, claimant.label, time, "\(above)", "\(exchange)"])
      if let token = granted.first?.first?.flatMap({ UInt64($0) }) { return .granted(LeaseToken(token)) }
      if let row = try run(PostgresStatements.holder, [name.rawValue]).first, let holder = try holder(row[...]) {
        return .heldBy(holder)
      }
    }
    throw StoreError("\(address)", "\(name) changes hands too quickly", next: "try again")
  }

  private static let tries = 5

  private func beat(_ tokens: [LeaseName: LeaseToken]) throws(StoreError) -> StoreAnswer {
    let sorted = tokens.sorted { $0.key < $1.key }
    // Names have no character that an array's text would need quotes for.
    let names = "{" + sorted.map(\.key.rawValue).joined(separator: ",") + "}"
    let numbers = "{" + sorted.map { "\($0.value)" }.joined(separator: ",") + "}"
    let rows = try run(PostgresStatements.beat, [claimant.owner.text, claimant.label, time, names, numbers])
    var renewals: [LeaseName: Renewal] = [:]
    for row in rows {
      guard row.count == 6, let name = row[0].flatMap(LeaseName.init(rawValue:)) else { throw strange() }
      renewals[name] = row[1] == "t" ? .renewed : .lost(try holder(row.dropFirst(2)))
    }
    guard renewals.count == sorted.count else { throw strange() }
    return .beaten(renewals)
  }

  package func records() throws(StoreError) -> [LeaseRecord] {
    var records: [LeaseRecord] = []
    for row in try run(PostgresStatements.records) {
      guard row.count == 7, let name = row[0].flatMap(LeaseName.init(rawValue:)),
        let token = row[1].flatMap({ UInt64($0) })
      else { throw strange() }
      records.append(
        LeaseRecord(name: name, token: LeaseToken(token), holder: try holder(row.dropFirst(3)), last: row[2] ?? ""))
    }
    return records.sorted { $0.name < $1.name }
  }

  package func free(_ name: LeaseName) throws(StoreError) -> LeaseRecord? {
    guard let row = try run(PostgresStatements.free, [name.rawValue]).first else { return nil }
    guard let holder = try holder(row.prefix(4)) else { throw strange() }
    return LeaseRecord(name: name, token: holder.token, holder: holder, last: holder.label)
  }

  package func forget(_ name: LeaseName) throws(StoreError) -> Bool {
    try !run(PostgresStatements.forget, [name.rawValue]).isEmpty
  }

  package func takeNews() -> [LeaseName]? {
    guard let subscription else { return [] }
    do throws(DatabaseError) {
      return try subscription.connection.takeNotifications().compactMap(LeaseName.init(rawValue:))
    } catch {
      // Made anew with the next question, which is asked at once: what was missed is asked for by it.
      self.subscription = nil
      return nil
    }
  }

  // MARK: - Answers

  private var time: String { "\(max(1, claimant.timeToLive.milliseconds))" }

  /// Owner, token, label, milliseconds; an owner of null is nobody.
  private func holder(_ fields: ArraySlice<String?>) throws(StoreError) -> Holder? {
    let texts = Array(fields)
    guard texts.count == 4 else { throw strange() }
    guard let owner = texts[0] else { return nil }
    guard let token = texts[1].flatMap({ UInt64($0) }), let remaining = texts[3].flatMap({ Int64($0) }) else {
      throw strange()
    }
    return Holder(
      owner: OwnerID(owner), label: texts[2] ?? "", token: LeaseToken(token), remaining: .milliseconds(remaining))
  }

  private func strange() -> StoreError {
    StoreError("\(address)", "the answer is not what was asked for", next: "is the schema baton only baton's?")
  }

  // MARK: - The connection

  @discardableResult
  private func run(_ sql: String, _ values: [String] = []) throws(StoreError) -> [[String?]] {
    let connecting = DatabasePatience(connecting, abort: nil)
    do throws(DatabaseError) {
      let connected: PostgresConnection
      if let connection { connected = connection } else { connected = try connect(connecting) }
      connection = connected
      if listens, subscription == nil { try subscribe(connecting) }
      return try connected.query(sql, values, DatabasePatience(patience, abort: nil)).rows
    } catch {
      connection = nil
      throw PostgresRefusal.words(error, "\(address)")
    }
  }

  private func connect(_ patience: DatabasePatience) throws(DatabaseError) -> PostgresConnection {
    let made = try PostgresConnection(address, url: url, name: "baton", patience)
    // A grant that a crash of the server takes back would be given twice.
    try made.query("SET synchronous_commit = on", [], patience)
    try made.query("SET default_transaction_isolation = 'read committed'", [], patience)
    let there = try made.query("SELECT to_regclass('baton.lease'), to_regclass('baton.instance')", [], patience)
    if there.rows.first?.contains(nil) != false { try made.query(PostgresStatements.schema, [], patience) }
    return made
  }

  private func subscribe(_ patience: DatabasePatience) throws(DatabaseError) {
    let made = try PostgresConnection(address, url: url, name: "baton", patience)
    try made.query("LISTEN baton_lease", [], patience)
    do throws(SystemError) { subscription = (made, try made.socket()) } catch {
      throw DatabaseError(.connection, "\(error)")
    }
  }
}

/// What PostgreSQL refuses, and what to do about it.
enum PostgresRefusal {
  static func words(_ error: DatabaseError, _ store: String) -> StoreError {
    let next: String? =
      switch error.code {
      case "28P01", "28000": "mend user or password in the URL, or pg_hba.conf"
      case "3D000": "create the database, or name another"
      case "42501": "give this user the schema: CREATE SCHEMA baton AUTHORIZATION its name"
      case "25006": "nothing can be written: name the primary, or see default_transaction_read_only"
      case "53100": "make room on its disk"
      case "53300": "it has no connection left: raise max_connections"
      case "57P03": "wait until it has started"
      case "42703", "42809", "42P10", "42804", "42883":
        "another program has a schema baton there: use a database of its own"
      default: error.hint ?? (error.kind == .connection ? "does a PostgreSQL answer there? pg_isready says" : nil)
      }
    return StoreError(store, error.text, next: next)
  }
}
