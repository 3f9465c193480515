import Glibc
import LeaseStores
import Leases
import Ledger
import Testing
import Vocabulary

private let robots = LeaseName(unchecked: "robots")

/// What holds of the file alone.
@Suite struct LocalLeaseStoreTests {
  @Test func `what was granted before the host was started last is free`() throws {
    let place = try LocalPlace()
    let token = try #require(try place.asker("one").acquire(robots))
    place.boot = "boot-2"
    let two = try place.asker("two")
    #expect(try two.store.records().first?.holder == nil)
    #expect(try #require(try two.acquire(robots)) > token)
  }

  @Test func `a time that lies far ahead is of another boot, whatever the clock says`() throws {
    let place = try LocalPlace()
    place.pass(.seconds(86_400))
    _ = try place.asker("one").acquire(robots)
    place.now = .zero
    place.boot = "boot-2"
    #expect(try place.asker("two").acquire(robots) != nil)
  }

  @Test func `a database of something else is refused and left as it is`() throws {
    let place = try LocalPlace()
    let other = try Database(path: place.path)
    try other.run("CREATE TABLE people (name TEXT)")
    let error = #expect(throws: StoreError.self) { _ = try place.asker("one") }
    #expect(error?.why == "this is a database of something else" && error?.next != nil)
    #expect(try other.integer("SELECT count(*) FROM sqlite_schema") == 1)
  }

  @Test func `a file that is no database says so, with what to do`() throws {
    let place = try LocalPlace()
    let file = open(place.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    let garbage = [UInt8](repeating: 0x41, count: 4_096)
    #expect(write(file, garbage, garbage.count) == garbage.count)
    close(file)
    let error = #expect(throws: StoreError.self) { _ = try place.asker("one") }
    #expect(error?.why.contains("not a database") == true && error?.next?.contains("move the file away") == true)
  }

  @Test func `a directory that is not there says so, with what to do`() throws {
    let claimant = Claimant(label: "one", timeToLive: .seconds(1))
    let error = #expect(throws: StoreError.self) {
      _ = try LocalLeaseStore(path: "/nonexistent/leases.db", claimant: claimant)
    }
    #expect(error?.next?.contains("--store") == true)
  }

  @Test func `owners are random`() {
    let owners = (0..<100).map { _ in OwnerID.random().text }
    #expect(Set(owners).count == 100 && owners.allSatisfy { $0.utf8.count == 32 })
  }
}
