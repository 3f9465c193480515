import Glibc
import Leases
import LinuxSystem
import Testing
import Vocabulary

@testable import LeaseStores

private let robots = LeaseName(unchecked: "robots")

/// What holds of Redis alone: addresses, refusals, and a server that goes and comes.
@Suite(.serialized) struct RedisLeaseStoreTests {
  // MARK: - Addresses

  @Test func `an address is read, and shown without user and password`() throws {
    let plain = try RedisAddress("redis://cache.example.org")
    #expect(plain.place == .host("cache.example.org", port: 6_379) && plain.database == 0 && plain.password == nil)
    let whole = try RedisAddress("redis://shop:p%40ss%3Aw@[::1]:7000/3")
    #expect(whole.place == .host("::1", port: 7_000) && whole.database == 3)
    #expect(whole.user == "shop" && whole.password == "p@ss:w")
    #expect("\(whole)" == "redis://[::1]:7000/3")
    let local = try RedisAddress("redis+unix://:secret@/run/redis.sock?db=2")
    #expect(local.place == .path("/run/redis.sock") && local.database == 2 && local.password == "secret")
    #expect("\(local)" == "redis+unix:///run/redis.sock?db=2")
  }

  @Test(arguments: [
    "rediss://:hunter22@host", "http://:hunter22@host", ":hunter22@host", "redis://:hunter22@", "redis://:hunter22@h:0",
    "redis://:hunter22@h:70000", "redis://:hunter22@h/x", "redis://:hunter22%zz@h", "redis+unix://:hunter22@h",
  ])
  func `one that is wrong is refused without its secrets, and with what to do`(_ text: String) {
    let error = #expect(throws: StoreError.self) { _ = try RedisAddress(text) }
    #expect(error?.next != nil)
    #expect("\(error?.description ?? "") \(error?.next ?? "")".contains("hunter22") == false)
  }

  @Test func `TLS is refused with the remedy`() {
    let error = #expect(throws: StoreError.self) { _ = try RedisAddress("rediss://host") }
    #expect(error?.next?.contains("stunnel") == true)
  }

  // MARK: - What answers

  @Test(arguments: [
    ("HTTP/1.1 400 Bad Request\r\n\r\n", "no Redis"), ("$99999999999\r\n", "no Redis"), ("*-7\r\n", "no Redis"),
    ("+" + String(repeating: "x", count: 5_000), "no Redis"), (":12a\r\n", "no Redis"), ("+OK\rX", "no Redis"),
  ])
  func `garbage is refused`(_ text: String, _ words: String) throws {
    var reader = RedisReader()
    try reader.append(text.utf8)
    let refusal = #expect(throws: RedisReader.Refusal.self) { _ = try reader.next() }
    #expect(refusal?.why.contains(words) == true)
  }

  @Test func `an answer may come byte by byte`() throws {
    let bytes = Array("*4\r\n$5\r\nhe\r\nl\r\n:-12\r\n$-1\r\n*1\r\n+ok\r\n-ERR no\r\n".utf8)
    var reader = RedisReader()
    var values: [RedisValue] = []
    for byte in bytes {
      try reader.append([byte])
      while let value = try reader.next() { values.append(value) }
    }
    #expect(values == [.array([.text("he\r\nl"), .integer(-12), .null, .array([.text("ok")])]), .error("ERR no")])
  }

  @Test func `one that asks for a password says so, and a wrong one is not shown`() throws {
    let place = try RedisPlace(["--requirepass", "right-one"])
    let claimant = Claimant(label: "one", timeToLive: .seconds(5))
    func failure(_ url: String) throws -> StoreError? {
      let store = RedisLeaseStore(try RedisAddress(url), claimant: claimant)
      return #expect(throws: StoreError.self) {
        _ = try store.ask(ExchangeID(1), .acquire(robots, above: LeaseToken(0)))
      }
    }
    let socket = "\(place.directory)/socket"
    #expect(try failure("redis+unix://\(socket)")?.why == "it wants a password")
    let wrong = try failure("redis+unix://:wrong-one@\(socket)")
    #expect(wrong?.why == "user or password is wrong" && "\(String(describing: wrong))".contains("wrong-one") == false)
    let right = RedisLeaseStore(try RedisAddress("redis+unix://:right-one@\(socket)"), claimant: claimant)
    _ = try right.ask(ExchangeID(1), .acquire(robots, above: LeaseToken(0)))
  }

  @Test func `a replica says that it is one`() throws {
    let place = try RedisPlace()
    try place.redis("REPLICAOF", "127.0.0.1", "1")
    let one = try place.asker("one")
    let error = #expect(throws: StoreError.self) { _ = try one.acquire(robots) }
    #expect(error?.why == "it is a replica, which is read only" && error?.next == "name the primary")
  }

  @Test func `a full one says so, and what was granted before it was full is renewed`() throws {
    let place = try RedisPlace()
    let (one, two) = (try place.asker("one"), try place.asker("two"))
    let token = try #require(try one.acquire(robots))
    try place.redis("CONFIG", "SET", "maxmemory", "1")
    let error = #expect(throws: StoreError.self) { _ = try two.acquire(LeaseName(unchecked: "mails")) }
    #expect(error?.why == "its memory is full")
    #expect(throws: StoreError.self) { _ = try one.renew(robots, token) }
    try place.redis("CONFIG", "SET", "maxmemory", "0")
    #expect(try one.renew(robots, token) == .renewed)
  }

  @Test(arguments: [["SET", "{baton}:lease:robots", "theirs"], ["HSET", "{baton}:lease:robots", "theirs", "1"]])
  func `another program's keys are left as they are`(_ command: [String]) throws {
    let place = try RedisPlace()
    let deadline = Instant.monotonicNow() + .seconds(5)
    _ = try RedisConnection(place.address, until: deadline).ask(command, until: deadline)
    let before = try place.redis("DUMP", "{baton}:lease:robots")
    let one = try place.asker("one")
    let error = #expect(throws: StoreError.self) { _ = try one.acquire(robots) }
    #expect(error?.why == "another program has keys that begin with {baton}:")
    #expect(try place.redis("DUMP", "{baton}:lease:robots") == before)
  }

  // MARK: - A server that goes

  @Test func `after a restart without memory the next token is above the last`() throws {
    let place = try RedisPlace()
    let one = try place.asker("one")
    let token = try #require(try one.acquire(robots))
    place.stop()
    #expect(throws: StoreError.self) { _ = try one.acquire(robots) }
    try place.start()
    #expect(try one.renew(robots, token) == .lost(nil))
    #expect(try #require(try one.acquire(robots, above: token.number)) > token)
  }

  @Test func `one that stands still is given up in time, and its late answer is nobody's`() throws {
    let place = try RedisPlace()
    let claimant = Claimant(label: "one", timeToLive: .seconds(30))
    let store = RedisLeaseStore(place.address, claimant: claimant, patience: .milliseconds(100))
    _ = try store.ask(ExchangeID(1), .acquire(robots, above: LeaseToken(0)))
    place.pause(true)
    let begin = Instant.monotonicNow()
    let error = #expect(throws: StoreError.self) { _ = try store.ask(ExchangeID(2), .release(robots)) }
    #expect(error?.why == "no answer in time" && Instant.monotonicNow() - begin < .seconds(3))
    place.pause(false)
    // Carried out late, as the network may do it, or not at all; the answers are those to what is asked now.
    guard case .granted = try store.ask(ExchangeID(3), .acquire(robots, above: LeaseToken(0))) else {
      Issue.record("not granted")
      return
    }
    #expect(try store.ask(ExchangeID(4), .unregister) == .unregistered)
  }

  @Test func `what listened is told when the server has gone, and hears again after it came back`() throws {
    let place = try RedisPlace()
    let one = try place.asker("one", listens: true)
    _ = try one.acquire(robots)
    place.stop()
    #expect(one.store.takeNews() == nil && one.store.news == nil)
    try place.start()
    #expect(throws: StoreError.self) { _ = try one.acquire(robots) }
    _ = try one.acquire(robots)
    #expect(one.store.news != nil)
  }
}
