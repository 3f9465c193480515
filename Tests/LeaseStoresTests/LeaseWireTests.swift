import Leases
import Testing
import Vocabulary

@testable import LeaseStores

private let robots = LeaseName(unchecked: "robots")
private let reports = LeaseName(unchecked: "reports")
private let another = Holder(
  owner: OwnerID("0123456789abcdef"), label: "shop@b:7", token: LeaseToken(.max), remaining: .milliseconds(12_345))

/// What batond and its helper say to each other arrives as it was meant, or as nothing.
@Suite struct LeaseWireTests {
  static let requests: [StoreRequest] = [
    .acquire(robots, above: LeaseToken(0)), .acquire(robots, above: LeaseToken(.max)), .beat([:]),
    .beat([robots: LeaseToken(7), reports: LeaseToken(.max)]), .release(robots), .unregister,
  ]

  @Test(arguments: Self.requests) func whatIsAskedArrives(_ request: StoreRequest) throws {
    let line = LeaseWire.question(ExchangeID(.max - 1), request)
    #expect(line.filter { $0 == "\n" }.count == 1 && line.hasSuffix("\n"))
    let read = try #require(LeaseWire.question(String(line.dropLast())))
    #expect(read == (ExchangeID(.max - 1), request))
  }

  static let results: [Result<StoreAnswer, StoreError>] = [
    .success(.granted(LeaseToken(.max))), .success(.heldBy(another)), .success(.beaten([:])),
    .success(.beaten([robots: .renewed, reports: .lost(nil), LeaseName(unchecked: "third"): .lost(another)])),
    .success(.released), .success(.unregistered), .failure(StoreError("postgres://h/d", "no answer")),
    .failure(StoreError("postgres://h/d", "no answer", next: "does it run?")),
  ]

  @Test(arguments: Self.results) func whatIsAnsweredArrives(_ answer: Result<StoreAnswer, StoreError>) throws {
    let line = LeaseWire.answer(answer)
    #expect(line.filter { $0 == "\n" }.count == 1 && line.hasSuffix("\n"))
    #expect(try #require(LeaseWire.answer(String(line.dropLast()))) == answer)
  }

  /// What a server says may hold anything; it stays one line, and in its field.
  @Test func foreignWordsStayInTheirField() throws {
    let said = StoreError("d", "one\ttwo\nthree\r\nfour", next: "a\tb")
    let answer = try #require(LeaseWire.answer(String(LeaseWire.answer(.failure(said)).dropLast())))
    #expect(answer == .failure(StoreError("d", "one two three four", next: "a b")))
    let odd = Holder(owner: OwnerID("a"), label: "x\ty\nz", token: LeaseToken(1), remaining: .zero)
    let held = try #require(LeaseWire.answer(String(LeaseWire.answer(.success(.heldBy(odd))).dropLast())))
    #expect(
      held
        == .success(.heldBy(Holder(owner: OwnerID("a"), label: "x y z", token: LeaseToken(1), remaining: .zero))))
  }

  @Test(arguments: [
    "", "\t", "1", "1\t", "x\tunregister", "-1\tunregister", "1\tacquire", "1\tacquire\trobots",
    "1\tacquire\trobots\tx", "1\tacquire\trobots\t-1", "1\tacquire\tNo Name\t1", "1\tacquire\trobots\t1\t2",
    "1\tbeat\trobots", "1\tbeat\trobots\t1\treports", "1\tbeat\trobots\t1\trobots\t2", "1\tbeat\t\t1",
    "1\trelease", "1\trelease\t", "1\trelease\trobots\t1", "1\tunregister\t", "1\tseize\trobots",
    "18446744073709551616\tunregister",
  ])
  func noQuestion(_ line: String) { #expect(LeaseWire.question(line) == nil) }

  @Test(arguments: [
    "", "granted", "granted\t", "granted\t-1", "granted\tx", "granted\t1\t2", "held", "held\ta\t1\t2",
    "held\t\t1\t2\tb", "held\ta\tx\t2\tb", "held\ta\t1\tx\tb", "held\ta\t1\t2\tb\tc", "held\t\t\t\t",
    "beaten\trobots", "beaten\trobots\trenewed", "beaten\trobots\tperhaps\t\t\t\t", "beaten\trobots\tlost\ta\tx\t1\tb",
    "beaten\trobots\trenewed\ta\t1\t2\tb", "beaten\tNo Name\trenewed\t\t\t\t",
    "beaten\trobots\trenewed\t\t\t\t\trobots\tlost\t\t\t\t", "released\t1", "unregistered\t", "error\ta\tb", "error",
    "GRANTED\t1", "HTTP/1.1 400 Bad Request",
  ])
  func noAnswer(_ line: String) { #expect(LeaseWire.answer(line) == nil) }
}
