import Databases
import Leases
import Testing
import Vocabulary

@testable import LeaseStores

private let robots = LeaseName(unchecked: "robots")

/// What holds of PostgreSQL alone: rights, strangers' tables, and words for what it refuses.
@Suite(.serialized) struct PostgresLeaseStoreTests {
  private func failure(_ url: String) throws -> StoreError? {
    let claimant = Claimant(label: "one", timeToLive: .seconds(5))
    let store = try PostgresLeaseStore(try DatabaseAddress(url), claimant: claimant)
    return #expect(throws: StoreError.self) { _ = try store.ask(ExchangeID(1), .acquire(robots, above: LeaseToken(0))) }
  }

  @Test func `who may not make the schema is told what to grant`() throws {
    let place = try PostgresPlace()
    try place.query("DO $$ BEGIN CREATE ROLE clerk LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
    let url = place.url.replacing("postgres@", with: "clerk@")
    #expect(try failure(url)?.next?.contains("CREATE SCHEMA baton AUTHORIZATION") == true)
    try place.query("CREATE SCHEMA baton AUTHORIZATION clerk")
    let claimant = Claimant(label: "one", timeToLive: .seconds(5))
    let store = try PostgresLeaseStore(try DatabaseAddress(url), claimant: claimant)
    _ = try store.ask(ExchangeID(1), .acquire(robots, above: LeaseToken(0)))
  }

  @Test func `another program's tables are left as they are`() throws {
    let place = try PostgresPlace()
    try place.query("CREATE SCHEMA baton")
    try place.query("CREATE TABLE baton.lease (tenant text)")
    try place.query("CREATE TABLE baton.instance (tenant text)")
    #expect(try failure(place.url)?.next?.contains("another program has a schema baton") == true)
    #expect(try place.query("SELECT count(*) FROM baton.lease") == [["0"]])
  }

  @Test func `one that is read only says so`() throws {
    let place = try PostgresPlace()
    _ = try place.asker("one").acquire(robots)
    try place.query(
      "ALTER DATABASE \(place.url.split(separator: "/")[2].prefix { $0 != "?" }) SET default_transaction_read_only = on"
    )
    #expect(try failure(place.url)?.next?.contains("name the primary") == true)
  }

  @Test func `a database that is not there, and a server that is not there, say so without secrets`() throws {
    let place = try PostgresPlace()
    let missing = try failure(
      place.url.replacing("/place_", with: "/none_").replacing("postgres@", with: "postgres:hunter22@"))
    #expect(
      missing?.why.contains("does not exist") == true && "\(String(describing: missing))".contains("hunter22") == false)
    let nowhere = try failure("postgresql://u:hunter22@/d?host=/nonexistent")
    #expect(nowhere?.next != nil && "\(String(describing: nowhere))".contains("hunter22") == false)
  }

  @Test func `many that come first at once make the schema once`() async throws {
    let place = try PostgresPlace()
    let open = place.opener
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<6 {
        group.addTask {
          let claimant = Claimant(label: "racer \(number)", timeToLive: .seconds(5))
          _ = try open(claimant).ask(ExchangeID(1), .beat([:]))
        }
      }
      try await group.waitForAll()
    }
    #expect(try place.query("SELECT count(*) FROM baton.instance") == [["6"]])
  }
}
