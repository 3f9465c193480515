import Glibc
import Leases
import LinuxSystem
import Testing
import Vocabulary

@testable import LeaseStores

private let robots = LeaseName(unchecked: "robots")

/// The eighteen races of ownership in Redis, by the numbers they have in the notes on that design: the naive form runs into
/// each of them, baton's does not. Two are where a batond can be seen from outside, as is said at the end.
@Suite(.serialized) struct RaceTests {
  private let time = Duration.milliseconds(300)

  private func pair() throws -> (place: RedisPlace, NaiveLock, NaiveLock) {
    let place = try RedisPlace()
    return (place, NaiveLock(place, pid: 10, startedAt: 1), NaiveLock(place, pid: 11, startedAt: 2))
  }

  @Test func `H1: a holder that stood still writes on, and the sink refuses it by its token`() throws {
    let (place, a, b) = try pair()
    var naive = Sink(isFenced: false)
    #expect(try a.acquire(for: time))
    try place.pass(time)
    #expect(try b.acquire(for: time))
    naive.write("b", LeaseToken(0))
    naive.write("a, late", LeaseToken(0))
    #expect(naive.written == ["b", "a, late"], "the naive form lets it")

    var sink = Sink(isFenced: true)
    let (one, two) = (try place.asker("one"), try place.asker("two"))
    let early = try #require(try one.acquire(robots))
    try place.pass(place.timeToLive)
    sink.write("two", try #require(try two.acquire(robots)))
    sink.write("one, late", early)
    #expect(sink.written == ["two"])
  }

  @Test func `H2: a stalled holder's renewal lengthens another's lock`() throws {
    let (place, a, b) = try pair()
    #expect(try a.acquire(for: time))
    try place.pass(time)
    #expect(try b.acquire(for: time))
    #expect(try a.renew(for: .seconds(30)), "the naive form takes it for its own")

    let (one, two) = (try place.asker("one"), try place.asker("two"))
    let token = try #require(try one.acquire(robots))
    try place.pass(place.timeToLive)
    #expect(try two.acquire(robots) != nil)
    let left = try place.redis("PTTL", "{baton}:lease:robots").string.flatMap { Int64($0) } ?? 0
    guard case .lost = try one.renew(robots, token) else {
      Issue.record("renewed")
      return
    }
    #expect(try place.redis("PTTL", "{baton}:lease:robots").string.flatMap { Int64($0) } ?? 0 <= left)
  }

  @Test func `H3: a stalled holder gives back what is another's`() throws {
    let (place, a, b) = try pair()
    let c = NaiveLock(place, pid: 12, startedAt: 3)
    #expect(try a.acquire(for: time))
    try place.pass(time)
    #expect(try b.acquire(for: .seconds(30)))
    try a.release()
    #expect(try c.acquire(for: time), "the naive form has two holders now")

    let (one, two, three) = (try place.asker("one"), try place.asker("two"), try place.asker("three"))
    _ = try one.acquire(robots)
    try place.pass(place.timeToLive)
    #expect(try two.acquire(robots) != nil)
    try one.release(robots)
    #expect(try three.acquire(robots) == nil)
  }

  @Test func `H4: two renewals in a row are lost, and the lease is not`() {
    #expect(NaiveRenewal.isHeld(lost: [], late: .milliseconds(20), renewals: 10))
    #expect(
      !NaiveRenewal.isHeld(lost: [3], late: .milliseconds(20), renewals: 10),
      "one lost renewal of the naive form, and the next comes too late")
    let timing = LeaseTiming()
    #expect(timing.renewEvery + timing.retry * 2 < timing.timeToLive - timing.margin)
    // Without an answer the questions go on until the engine has to end.
    var keeper = LeaseKeeper(timing: timing, seed: 4)
    var now = BootInstant(nanoseconds: 1_000_000_000)
    hold(&keeper, at: now)
    var asked = 0
    let end = now + timing.timeToLive - timing.margin
    while let next = keeper.nextDeadline, next < end {
      now = next
      for case .ask(_, .beat) in keeper.handle(.tick, at: now) { asked += 1 }
    }
    #expect(asked >= 5)
  }

  @Test func `H5: who waits is woken, instead of looking again in 5 seconds`() throws {
    let (place, a, b) = try pair()
    #expect(try a.acquire(for: .seconds(30)))
    let told = try RedisConnection(place.address, until: .monotonicNow() + .seconds(5))
    _ = try told.ask(["PSUBSCRIBE", "*"], until: .monotonicNow() + .seconds(5))
    try a.release()
    // Whoever is told anything is told before an answer that is asked for later.
    #expect(try place.redis("PING") == .text("PONG") && !told.socket.isReadable, "the naive form tells nobody")
    #expect(NaiveWaiter.wait(lookedLast: .milliseconds(100)) > .seconds(4), "and looks again after up to 5 seconds")
    #expect(try b.acquire(for: .milliseconds(1)), "though it could have it at once")
    let (one, two) = (try place.asker("one"), try place.asker("two", listens: true))
    _ = try one.acquire(robots)
    #expect(try two.acquire(robots) == nil)
    let news = try #require(two.store.news)
    let begin = Instant.monotonicNow()
    try one.release(robots)
    var entry = pollfd(fd: news.raw, events: Int16(POLLIN), revents: 0)
    #expect(poll(&entry, 1, 5_000) == 1 && two.store.takeNews() == [robots])
    #expect(try two.acquire(robots) != nil)
    #expect(Instant.monotonicNow() - begin < .seconds(2))
  }

  private func registries(_ place: RedisPlace) -> (NaiveRegistry, NaiveRegistry) {
    (
      NaiveRegistry(place: place, instance: "a", lockTime: time),
      NaiveRegistry(place: place, instance: "b", lockTime: time)
    )
  }

  @Test func `H6: what the dead had is taken over whenever that is possible, not once`() throws {
    let (place, a, b) = try pair()
    let (dead, newcomer) = registries(place)
    #expect(try a.acquire(for: time))
    try dead.register()
    try dead.own("robots")
    try place.pass(time)
    #expect(try b.acquire(for: .seconds(30)), "the lock is free before the instance counts as dead")
    #expect(try !newcomer.takeOver("robots"), "so the one look of the naive form finds it alive")
    try place.pass(time)
    #expect(try !newcomer.isAlive("a") && newcomer.owner(of: "robots") == "a", "an orphan for ever")

    let (one, two) = (try place.asker("one"), try place.asker("two"))
    let token = try #require(try one.acquire(robots))
    #expect(try two.acquire(robots) == nil)
    // Whoever waits asks again, for life, and what it asks for is the lease itself: nothing else has to be free as well.
    var keeper = LeaseKeeper(seed: 6)
    var now = BootInstant(nanoseconds: 1_000_000_000)
    for case .ask(let exchange, .acquire) in keeper.handle(.wanted(robots), at: now) {
      let holder = Holder(owner: one.claimant.owner, label: "one", token: token, remaining: .seconds(30))
      _ = keeper.handle(.answered(exchange, .heldBy(holder)), at: now)
    }
    var looks = 0
    let end = now + .seconds(60)
    while let next = keeper.nextDeadline, next < end {
      now = next
      for case .ask(let exchange, .acquire) in keeper.handle(.tick, at: now) {
        looks += 1
        _ = keeper.handle(.failed(exchange, "away"), at: now)
      }
    }
    #expect(looks > 10)
    try place.pass(place.timeToLive)
    #expect(try two.acquire(robots).map { $0 > token } == true)
  }

  @Test func `H7: one heartbeat renews registration and lease, so that nobody living looks dead`() throws {
    let (place, a, _) = try pair()
    let (living, newcomer) = registries(place)
    #expect(try a.acquire(for: time))
    try living.register()
    try living.own("robots")
    // It renews its lock as it should, which is all that the naive form says.
    for _ in 0..<6 {
      try place.pass(time / 3)
      #expect(try a.renew(for: time))
    }
    #expect(try newcomer.takeOver("robots"), "and is taken for dead while it works")

    let one = try place.asker("one")
    let token = try #require(try one.acquire(robots))
    for _ in 0..<3 {
      try place.pass(place.timeToLive / 2)
      #expect(try one.renew(robots, token) == .renewed)
    }
    let left = try ["{baton}:lease:robots", "{baton}:instance:\(one.claimant.owner)"].map {
      try place.redis("PTTL", $0).string.flatMap { Int64($0) } ?? -1
    }
    #expect(left.allSatisfy { $0 > 0 } && abs(left[0] - left[1]) < 100, "\(left)")
  }

  @Test func `H18: what a host that is gone leaves behind goes by itself`() throws {
    let (place, _, _) = try pair()
    let (gone, other) = registries(place)
    try gone.register()
    try gone.own("robots")
    let one = try place.asker("one")
    let token = try #require(try one.acquire(robots))
    #expect(try one.renew(robots, token) == .renewed)
    try place.pass(place.timeToLive)
    #expect(try !other.isAlive("a") && other.owner(of: "robots") == "a", "the field of the naive form stays for ever")
    let keys = ["{baton}:lease:robots", "{baton}:instance:\(one.claimant.owner)"]
    #expect(try keys.allSatisfy { try place.redis("EXISTS", $0) == .integer(0) })
  }

  @Test func `H8: two newcomers take over from the dead, and one of them gets it`() throws {
    let (place, _, _) = try pair()
    let (a, b) = registries(place)
    try NaiveRegistry(place: place, instance: "dead", lockTime: time).own("robots")
    // Both look before one of them writes.
    let seen = try [a.mayTakeOver("robots"), b.mayTakeOver("robots")]
    for each in [a, b] { try each.own("robots") }
    #expect(seen == [true, true], "both of the naive form go on and start")

    let (one, two, dead) = (try place.asker("one"), try place.asker("two"), try place.asker("dead"))
    _ = try dead.acquire(robots)
    try place.pass(place.timeToLive)
    #expect(try [one, two].filter { try $0.acquire(robots) != nil }.count == 1)
  }

  @Test func `H9: nothing is given back before its engine is gone, and the registration goes last`() throws {
    let (place, a, b) = try pair()
    let (leaving, newcomer) = registries(place)
    #expect(try a.acquire(for: .seconds(30)))
    try leaving.register()
    try leaving.own("robots")
    var newcomers: [String] = []
    try NaiveShutdown.run(a, leaving) { stage in
      // Its listener runs until the last stage.
      guard try stage == "the lock is free" ? b.acquire(for: .seconds(30)) : newcomer.takeOver("robots") else { return }
      newcomers.append(stage)
    }
    #expect(newcomers == ["the lock is free", "unregistered"], "the naive form lets another begin beside it")
    #expect(try newcomer.owner(of: "robots") == nil, "and then wipes its mark")

    var keeper = LeaseKeeper(seed: 9)
    let now = BootInstant(nanoseconds: 1_000_000_000)
    hold(&keeper, at: now)
    var said = keeper.handle(.retire, at: now) + keeper.handle(.close, at: now)
    #expect(!said.contains { isAsking($0, .release(robots)) || isAsking($0, .unregister) }, "the engine still runs")
    said = keeper.handle(.vacated(robots), at: now)
    guard case .ask(let exchange, .release(robots))? = said.first(where: { isAsking($0, .release(robots)) }) else {
      Issue.record("not given back")
      return
    }
    #expect(!said.contains { isAsking($0, .unregister) })
    #expect(keeper.handle(.answered(exchange, .released), at: now).contains { isAsking($0, .unregister) })
  }

  @Test func `H10: what a leaving host gives back is its own, lease by lease`() throws {
    let (place, _, _) = try pair()
    let (old, young) = registries(place)
    try old.own("robots")
    try young.own("robots")
    try old.giveUp(["robots"])
    #expect(try young.owner(of: "robots") == nil, "the naive form wipes the newcomer's mark")

    let (leaving, newcomer) = (try place.asker("leaving"), try place.asker("newcomer"))
    _ = try leaving.acquire(robots)
    _ = try leaving.store.free(robots)
    let token = try #require(try newcomer.acquire(robots))
    try leaving.release(robots)
    _ = try leaving.ask(.unregister)
    #expect(try newcomer.renew(robots, token) == .renewed)
  }

  @Test func `H11: what is wanted twice, and granted twice, is started once`() {
    let naive = NaiveStarter()
    for begin in [naive.begin("robots"), naive.begin("robots")] { begin?() }
    #expect(naive.starts == 2, "the naive form waits between looking and saying so")

    var keeper = LeaseKeeper(seed: 11)
    let now = BootInstant(nanoseconds: 1_000_000_000)
    var actions = keeper.handle(.wanted(robots), at: now) + keeper.handle(.wanted(robots), at: now)
    actions += keeper.handle(.notified(robots), at: now)
    for case .ask(let exchange, .acquire) in actions {
      actions += keeper.handle(.answered(exchange, .granted(LeaseToken(5))), at: now)
      actions += keeper.handle(.answered(exchange, .granted(LeaseToken(5))), at: now)
    }
    actions += keeper.handle(.wanted(robots), at: now)
    #expect(actions.filter { if case .permit = $0 { true } else { false } }.count == 1)
  }

  @Test func `H12: a notification that nobody heard is made up for by looking`() throws {
    let place = try RedisPlace()
    #expect(try place.redis("PUBLISH", "work", "message") == .integer(0), "the naive form's message is gone")
    let late = try RedisConnection(place.address, until: .monotonicNow() + .seconds(5))
    _ = try late.ask(["SUBSCRIBE", "work"], until: .monotonicNow() + .seconds(5))
    #expect(
      try place.redis("PING") == .text("PONG") && !late.socket.isReadable, "whoever subscribes next hears nothing")

    var keeper = LeaseKeeper(seed: 12)
    let now = BootInstant(nanoseconds: 1_000_000_000)
    let holder = Holder(owner: OwnerID("b"), label: "b", token: LeaseToken(9), remaining: .seconds(30))
    for case .ask(let exchange, .acquire) in keeper.handle(.wanted(robots), at: now) {
      _ = keeper.handle(.answered(exchange, .heldBy(holder)), at: now)
    }
    #expect(keeper.nextDeadline.map { $0 - now <= .seconds(5) } == true)
  }

  @Test func `H13: two first processes of containers are one to the naive form`() throws {
    let place = try RedisPlace()
    let a = NaiveLock(place, pid: 1, startedAt: 1_700_000_000_000)
    let b = NaiveLock(place, pid: 1, startedAt: 1_700_000_000_000)
    #expect(a.owner == b.owner, "compare-and-delete of one passes for the other")
    #expect(OwnerID.random() != OwnerID.random())
  }

  @Test func `H14: a Redis that came back without its memory gives out no token twice`() throws {
    let (place, a, b) = try pair()
    #expect(try a.acquire(for: .seconds(30)))
    let one = try place.asker("one")
    let token = try #require(try one.acquire(robots))
    place.stop()
    try place.start()
    #expect(try b.acquire(for: .seconds(30)), "and both of the naive form hold it, with nothing to tell them apart")
    let two = try place.asker("two")
    let next = try #require(try two.acquire(robots))
    #expect(next > token)
    #expect(throws: StoreError.self) { _ = try one.renew(robots, token) }
    guard case .lost = try one.renew(robots, token) else {
      Issue.record("renewed")
      return
    }
  }

  @Test func `H15: what a person takes away is refused from then on`() throws {
    let (place, a, b) = try pair()
    #expect(try a.acquire(for: .seconds(30)))
    try place.redis("DEL", "lock")
    #expect(try b.acquire(for: .seconds(30)) && a.renew(for: .seconds(30)), "the naive form: both go on")

    var sink = Sink(isFenced: true)
    let (one, two) = (try place.asker("one"), try place.asker("two"))
    let old = try #require(try one.acquire(robots))
    _ = try two.store.free(robots)
    #expect(try one.renew(robots, old) == .lost(nil), "and told within a heartbeat")
    sink.write("two", try #require(try two.acquire(robots)))
    sink.write("one, late", old)
    #expect(sink.written == ["two"])
  }

  // H16 (connections that are well) and H17 (what is seen from outside): Tests/ProcessTests/test_lease_troubles.py.

  private func isAsking(_ action: LeaseAction, _ request: StoreRequest) -> Bool {
    if case .ask(_, request) = action { true } else { false }
  }

  private func hold(_ keeper: inout LeaseKeeper, at now: BootInstant) {
    for case .ask(let exchange, .acquire) in keeper.handle(.wanted(robots), at: now) {
      _ = keeper.handle(.answered(exchange, .granted(LeaseToken(1))), at: now)
    }
  }
}
