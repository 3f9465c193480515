import Glibc
import LeaseStores
import Leases
import LinuxSystem
import Testing
import Vocabulary

private let robots = LeaseName(unchecked: "robots")
private let jobs = LeaseName(unchecked: "jobs")
private let mails = LeaseName(unchecked: "mails")

/// What every store promises, asked of each of them.
@Suite(.serialized) struct ConformanceTests {
  // MARK: - Who gets it

  @Test(arguments: PlaceKind.allCases)
  func `what is free is granted, and the next one is told who has it`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let (one, two) = (try place.asker("one"), try place.asker("two"))
    let token = try #require(try one.acquire(robots))
    guard case .heldBy(let holder) = try two.ask(.acquire(robots, above: LeaseToken(0))) else {
      Issue.record("granted to two")
      return
    }
    #expect(holder.owner == one.claimant.owner && holder.label == "one" && holder.token == token)
    #expect(holder.remaining > .zero && holder.remaining <= place.timeToLive)
    #expect(try two.acquire(mails) != nil, "another lease is nobody's yet")
  }

  @Test(arguments: PlaceKind.allCases)
  func `asking twice is as good as once`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let one = try place.asker("one")
    let token = try one.acquire(robots)
    #expect(token != nil)
    #expect(try one.acquire(robots) == token)
  }

  @Test(arguments: PlaceKind.allCases)
  func `of many who ask at once one gets it`(_ kind: PlaceKind) async throws {
    let place = try kind.make()
    let (open, timeToLive) = (place.opener, Duration.seconds(30))
    for round in 0..<5 {
      let name = LeaseName(unchecked: "lease-\(round)")
      let grants = try await withThrowingTaskGroup(of: Bool.self) { group in
        for number in 0..<6 {
          group.addTask {
            let claimant = Claimant(label: "racer \(number)", timeToLive: timeToLive)
            return try Asker(claimant, try open(claimant)).acquire(name) != nil
          }
        }
        return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
      }
      #expect(grants == 1)
    }
    withExtendedLifetime(place) {}
  }

  // MARK: - Tokens

  @Test(arguments: PlaceKind.allCases)
  func `tokens rise whatever happens between two grants`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let (one, two) = (try place.asker("one"), try place.asker("two"))
    var tokens: [LeaseToken] = []
    func grant(to asker: Asker) throws { tokens.append(try #require(try asker.acquire(robots))) }
    try grant(to: one)
    try one.release(robots)
    try grant(to: one)
    try place.pass(place.timeToLive)
    try grant(to: two)
    _ = try one.store.free(robots)
    try grant(to: one)
    try one.release(robots)
    #expect(try two.store.forget(robots))
    try grant(to: two)
    #expect(tokens == tokens.sorted() && Set(tokens).count == tokens.count)
  }

  @Test(arguments: PlaceKind.allCases)
  func `a token is above what the asker has seen elsewhere`(_ kind: PlaceKind) throws {
    let one = try kind.make().asker("one")
    // In the year 2200, for a store whose clock and memory are gone.
    let seen: UInt64 = 7_258_118_400_000
    let token = try #require(try one.acquire(robots, above: seen))
    #expect(token.number > seen)
    try one.release(robots)
    #expect(try #require(try one.acquire(robots)) > token, "no clock raises it now")
  }

  @Test(arguments: PlaceKind.allCases)
  func `a token of a store without memory is above those it gave before`(_ kind: PlaceKind) throws {
    let (before, after) = (try kind.make(), try kind.make())
    let old = try #require(try before.asker("one").acquire(robots))
    try before.pass(.milliseconds(20))
    try after.pass(.milliseconds(20))
    #expect(try #require(try after.asker("one").acquire(robots)) >= old)
  }

  // MARK: - Keeping it

  @Test(arguments: PlaceKind.allCases)
  func `a heartbeat keeps a lease beyond its time`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let (one, two) = (try place.asker("one"), try place.asker("two"))
    let token = try #require(try one.acquire(robots))
    for _ in 0..<3 {
      try place.pass(place.timeToLive / 2)
      #expect(try one.renew(robots, token) == .renewed)
    }
    #expect(try two.acquire(robots) == nil)
  }

  @Test(arguments: PlaceKind.allCases)
  func `what has expired is nobody's, and another gets it`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let (one, two) = (try place.asker("one"), try place.asker("two"))
    let old = try #require(try one.acquire(robots))
    try place.pass(place.timeToLive)
    #expect(try one.renew(robots, old) == .lost(nil), "a late heartbeat must not bring it back")
    let new = try #require(try two.acquire(robots))
    guard case .lost(let holder?) = try one.renew(robots, old) else {
      Issue.record("one was not told who has it")
      return
    }
    #expect(holder.owner == two.claimant.owner && holder.token == new)
  }

  @Test(arguments: PlaceKind.allCases)
  func `a stalled holder's heartbeat adds nothing to another's lease`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let (one, two) = (try place.asker("one"), try place.asker("two"))
    let old = try #require(try one.acquire(robots))
    try place.pass(place.timeToLive)
    _ = try #require(try two.acquire(robots))
    try place.pass(place.timeToLive / 2)
    _ = try one.renew(robots, old)
    try place.pass(place.timeToLive / 2)
    #expect(try one.acquire(robots) != nil, "two's lease has had its time, and nobody renewed it")
  }

  @Test(arguments: PlaceKind.allCases)
  func `a heartbeat counts for its own token alone`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let one = try place.asker("one")
    let old = try #require(try one.acquire(robots))
    try one.release(robots)
    let new = try #require(try one.acquire(robots))
    guard case .lost(let holder?) = try one.renew(robots, old) else {
      Issue.record("renewed by an earlier token")
      return
    }
    #expect(holder.token == new)
    #expect(try one.renew(mails, new) == .lost(nil), "it never had that one")
  }

  // MARK: - Giving it back

  @Test(arguments: PlaceKind.allCases)
  func `what is given back is free at once`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let (one, two) = (try place.asker("one"), try place.asker("two"))
    _ = try one.acquire(robots)
    #expect(try one.ask(.release(robots)) == .released)
    #expect(try two.acquire(robots) != nil)
    #expect(try one.ask(.release(robots)) == .released, "asked twice")
  }

  @Test(arguments: PlaceKind.allCases)
  func `nobody gives back what is another's`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let (one, two, three) = (try place.asker("one"), try place.asker("two"), try place.asker("three"))
    _ = try one.acquire(robots)
    try place.pass(place.timeToLive)
    let token = try #require(try two.acquire(robots))
    try one.release(robots)
    #expect(try three.acquire(robots) == nil)
    #expect(try two.renew(robots, token) == .renewed)
  }

  @Test(arguments: PlaceKind.allCases)
  func `a release that was held up frees nothing that was acquired after it`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let (one, two) = (try place.asker("one"), try place.asker("two"))
    _ = try one.acquire(robots)
    let late = one.next()
    try one.release(robots)
    _ = try one.acquire(robots)
    #expect(try one.store.ask(late, .release(robots)) == .released)
    #expect(try two.acquire(robots) == nil)
    // Also when the later acquisition only found what it had.
    let between = one.next()
    _ = try one.acquire(robots)
    _ = try one.store.ask(between, .release(robots))
    #expect(try two.acquire(robots) == nil)
  }

  @Test(arguments: PlaceKind.allCases)
  func `an instance leaves`(_ kind: PlaceKind) throws {
    let one = try kind.make().asker("one")
    #expect(try one.ask(.beat([:])) == .beaten([:]))
    #expect(try one.ask(.unregister) == .unregistered)
    #expect(try one.ask(.unregister) == .unregistered)
  }

  @Test(arguments: PlaceKind.allCases)
  func `who waits hears that a lease was given back`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let (one, two) = (try place.asker("one"), try place.asker("two", listens: true))
    _ = try one.acquire(robots)
    #expect(try two.acquire(robots) == nil)
    let news = try #require(two.store.news)
    while isReadable(news, within: 0) { _ = two.store.takeNews() }
    #expect(try two.acquire(robots) == nil)
    #expect(!isReadable(news, within: 50), "refused questions are no news")
    try one.release(robots)
    #expect(isReadable(news, within: 5_000))
    let names = two.store.takeNews()
    #expect(names == nil || names == [robots])
  }

  /// A holder that hears of something asks at once: what it asks must be no news, to itself or to another holder.
  @Test(arguments: PlaceKind.allCases)
  func `renewals are no news`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let (one, two) = (try place.asker("one", listens: true), try place.asker("two", listens: true))
    let held = (try #require(try one.acquire(robots)), try #require(try two.acquire(jobs)))
    _ = (hears(one), hears(two))
    for _ in 0..<3 {
      #expect(try one.ask(.beat([robots: held.0])) == .beaten([robots: .renewed]))
      #expect(try two.ask(.beat([jobs: held.1])) == .beaten([jobs: .renewed]))
      let heard = (hears(one), hears(two))
      #expect(heard.0 == [] && heard.1 == [])
    }
    try two.release(jobs)
    _ = try two.ask(.beat([:]))
    #expect(hears(one, within: 5_000) == [jobs])
  }

  /// What it hears from now on, of everything that has come then.
  private func hears(_ asker: Asker, within milliseconds: Int32 = 50) -> [LeaseName] {
    var names: [LeaseName] = []
    var patience = milliseconds
    while let news = asker.store.news, isReadable(news, within: patience) {
      names += asker.store.takeNews() ?? [robots, jobs]
      patience = 50
    }
    return names
  }

  private func isReadable(_ descriptor: Descriptor, within milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, milliseconds) == 1
  }

  // MARK: - What people do

  @Test(arguments: PlaceKind.allCases)
  func `people see every lease, who has it and who had it`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let one = try place.asker("one")
    #expect(try one.store.records() == [])
    let token = try #require(try one.acquire(robots))
    _ = try one.acquire(mails)
    try one.release(mails)
    let records = try place.asker("a person").store.records()
    #expect(records.map(\.name) == [mails, robots])
    #expect(records[0].holder == nil && records[0].last == "one")
    #expect(records[1].holder?.owner == one.claimant.owner && records[1].token == token)
  }

  @Test(arguments: PlaceKind.allCases)
  func `what a person frees is lost by its holder, by its token too`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let (one, two) = (try place.asker("one"), try place.asker("two"))
    let token = try #require(try one.acquire(robots))
    let before = try #require(try two.store.free(robots))
    #expect(before.holder?.owner == one.claimant.owner && before.token == token)
    #expect(try two.store.free(robots) == nil, "nobody has it now")
    #expect(try two.store.free(mails) == nil)
    #expect(try #require(try two.store.records().first).token > token)
    #expect(try one.renew(robots, token) == .lost(nil))
    #expect(try #require(try two.acquire(robots)) > LeaseToken(token.number + 1))
  }

  @Test(arguments: PlaceKind.allCases)
  func `nobody forgets what is held`(_ kind: PlaceKind) throws {
    let place = try kind.make()
    let (one, two) = (try place.asker("one"), try place.asker("two"))
    let token = try #require(try one.acquire(robots))
    #expect(try !two.store.forget(robots))
    #expect(try !two.store.forget(mails))
    #expect(try one.renew(robots, token) == .renewed)
    try one.release(robots)
    #expect(try two.store.forget(robots))
    #expect(try two.store.records() == [])
  }
}
