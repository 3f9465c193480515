import Glibc
import LeaseStores
import Leases
import Settings
import Supervision
import Synchronization
import Testing
import Vocabulary

@testable import LinuxSystem
@testable import SupervisorRuntime

private let robots = LeaseName(unchecked: "robots")
private let other = Holder(owner: OwnerID("b"), label: "shop@b:7", token: LeaseToken(9), remaining: .seconds(12))

/// What a service says of its leases, and when: to people, and to its engines.
@Suite struct ServiceLeasesTests {
  /// A store that says what it is told to, and how often it was opened with which URL.
  final class Stage: Sendable {
    struct Facts: Sendable {
      var isHeld = false
      var opened: [Settings.Leases.Store] = []
    }
    let facts = Mutex(Facts())
  }

  final class Script: LeaseStore {
    let stage: Stage
    init(_ stage: Stage) { self.stage = stage }
    var news: Descriptor? { nil }
    func takeNews() -> [LeaseName]? { [] }
    func records() -> [LeaseRecord] { [] }
    func free(_ name: LeaseName) -> LeaseRecord? { nil }
    func forget(_ name: LeaseName) -> Bool { false }
    func ask(_ exchange: ExchangeID, _ request: StoreRequest) -> StoreAnswer {
      let isHeld = stage.facts.withLock { $0.isHeld }
      switch request {
      case .acquire: return isHeld ? .heldBy(other) : .granted(LeaseToken(4))
      case .beat(let tokens): return .beaten(tokens.mapValues { _ in isHeld ? .lost(other) : .renewed })
      case .release: return .released
      case .unregister: return .unregistered
      }
    }
  }

  final class Play {
    let loop: EventLoop
    let folder: ScratchDirectory
    let stage = Stage()
    let leases: ServiceLeases
    private(set) var told: [Happening] = []
    private(set) var events: [Event] = []

    /// So often there is no descriptor left for the store.
    var failures: Int

    init(failures: Int = 0) throws {
      self.failures = failures
      loop = try EventLoop()
      folder = try ScratchDirectory()
      var isFailing = { false }
      leases = ServiceLeases(
        loop: loop, service: ServiceName(unchecked: "shop"), directory: "\(folder.path)/lease",
        open: { [stage] (store, _, _) throws(StoreError) in
          stage.facts.withLock { $0.opened.append(store) }
          return Script(stage)
        },
        startThread: { (opening) throws(SystemError) in
          if isFailing() { throw SystemError("make a pipe", errno: EMFILE) }
          return try StoreThread(opening)
        })
      isFailing = { [unowned self] in
        self.failures -= 1
        return self.failures >= 0
      }
      leases.report = { [unowned self] in told.append($0) }
      leases.send = { [unowned self] in events.append($0) }
    }

    func texts(_ kind: MessageKind) -> [String] { told.filter { $0.kind == kind }.map(\.text) }
    func view() throws -> ServiceLeases.View { try #require(leases.views.first) }
    func run(until isDone: @escaping () -> Bool) throws { try loop.run(until: isDone) }

    /// Held by this host, or waited for because another has it.
    func want(_ settings: Settings.Leases = .init(), held isOthers: Bool) throws {
      stage.facts.withLock { $0.isHeld = isOthers }
      leases.want(robots, settings)
      try run { [leases] in isOthers ? leases.views.first?.holder != nil : leases.views.first?.state == .held }
    }
  }

  private func settings(_ text: String) throws -> Settings {
    let file = """
      [service]
      user = "root"
      directory = "/"
      [engine.robots]
      command = ["/bin/true"]
      \(text)
      """
    return try SettingsReader.examine(Array(file.utf8), file: "t.toml", isRoot: true).get().settings
  }

  // MARK: - What people are told

  @Test func aLongWaitIsInTheJournalAndInTheStatusLine() throws {
    let play = try Play()
    try play.want(held: true)
    #expect(play.leases.line == "waits for lease robots, held by shop@b:7")
    play.leases.act(.announce(.waitsLong(robots)))
    #expect(play.texts(.leaseWaitsLong) == ["lease robots has not come for 5m: held by shop@b:7"])
    #expect(play.leases.line == "waits for lease robots for more than 5m, held by shop@b:7")
    play.leases.act(.permit(Grant(lease: robots, token: LeaseToken(10), provenUntil: .now() + .seconds(30))))
    #expect(play.leases.line == "lease robots held")
  }

  /// After an upgrade and after a crash; what nobody asked for again before the first generation served is over.
  @Test(arguments: [true, false]) func aWaitLastsSinceItBegan(isUpgrade: Bool) throws {
    let (told, fresh) = (Wait(lease: robots, since: .now() - .seconds(400), isTold: true), try Play())
    fresh.stage.facts.withLock { $0.isHeld = true }
    if isUpgrade {
      fresh.leases.resume(SavedLeases(owner: "a", settings: .init(), grants: [], waits: [told]), wanted: [robots])
    } else {
      fresh.leases.inherit(OwnerID("a"), [told])
      #expect(fresh.leases.waits == [told], "kept for the next one, should this one crash now")
      fresh.leases.want(robots, .init())
    }
    try fresh.run { fresh.leases.views.first?.holder != nil }
    #expect(fresh.leases.line == "waits for lease robots for more than 5m, held by shop@b:7")
    #expect(fresh.texts(.leaseWaitsLong).isEmpty, "it was said")
    #expect(Instant.monotonicNow() - (try fresh.view().since) >= .seconds(400))
    #expect(fresh.leases.waits == [told] && (!isUpgrade || fresh.leases.saved?.waits == [told]))

    let due = try Play()
    due.stage.facts.withLock { $0.isHeld = true }
    due.leases.inherit(OwnerID("a"), [Wait(lease: robots, since: .now() - .seconds(301), isTold: false)])
    if isUpgrade { due.leases.adopt(.init()) }
    due.leases.want(robots, .init())
    #expect(due.texts(.leaseWaitsLong).count == (isUpgrade ? 0 : 1))
  }

  @Test func aLongWaitForAStoreThatIsSilentSaysSo() throws {
    let play = try Play()
    try play.want(held: true)
    play.leases.act(.announce(.storeFailed("no answer")))
    #expect(play.leases.line.contains("the store of leases cannot be asked: no answer"))
    #expect(play.texts(.leaseStoreUnreachable).count == 1)
    play.leases.act(.announce(.storeAnswersAgain))
    #expect(!play.leases.line.contains("cannot be asked") && play.texts(.leaseStoreAnswers).count == 1)
  }

  @Test func twoHoldersAreInTheJournalAndInTheStatusLineUntilTheEngineIsGone() throws {
    let play = try Play()
    try play.want(.init(timeToLive: .seconds(2)), held: false)
    play.stage.facts.withLock { $0.isHeld = true }
    try play.run { play.events.contains(.withdrawn(robots)) }
    #expect(access("\(play.folder.path)/lease/robots", F_OK) != 0, "an engine that looks sees that it is over")
    #expect(play.texts(.leaseTwoHolders).count == 1)
    #expect(play.leases.line == "lease robots is held by shop@b:7 while its engines end here")
    #expect(try play.view().state == .ending)
    play.leases.vacated(robots)
    #expect(try play.view().state == .waiting, "what was lost is waited for, and not ending for ever")
    #expect(play.leases.line == "waits for lease robots, held by shop@b:7")
  }

  @Test func whatNobodyWantsIsNotWaitedFor() throws {
    let play = try Play()
    try play.want(held: false)
    play.leases.unwant(robots)
    #expect(try play.view().state == .ending)
    play.leases.vacated(robots)
    try play.run { play.leases.views.isEmpty }
    #expect(play.texts(.leaseReturned).count == 1 && play.leases.line.isEmpty)
  }

  @Test func theOtherHolderIsAliveAsLongAsItRenewsInTime() throws {
    let play = try Play()
    try play.want(.init(timeToLive: .seconds(12)), held: true)
    let seen = try play.view()
    #expect(play.leases.isHolderAlive(seen) == true)
    func view(_ remaining: Duration, heard ago: Duration) -> ServiceLeases.View {
      .init(
        name: robots, state: .waiting, since: .monotonicNow(), token: nil, provenUntil: nil,
        holder: Holder(owner: other.owner, label: "b", token: other.token, remaining: remaining),
        heardAt: .now() - ago)
    }
    // Renewed every 4 s, and a second or two later at worst.
    #expect(play.leases.isHolderAlive(view(.seconds(7), heard: .zero)) == true)
    #expect(play.leases.isHolderAlive(view(.seconds(5), heard: .zero)) == false, "it was to renew two seconds ago")
    #expect(play.leases.isHolderAlive(view(.seconds(12), heard: .seconds(9))) == nil, "nobody has heard since")
    #expect(play.leases.isHolderAlive(view(.seconds(12), heard: .seconds(13))) == false, "it has expired")
  }

  // MARK: - What cannot be done

  @Test func aFileThatCannotBeWrittenIsSaidOnce() throws {
    let play = try Play()
    let file = "\(play.folder.path)/lease/robots"
    try play.want(held: false)
    #expect(access(file, F_OK) == 0)
    let grant = Grant(lease: robots, token: LeaseToken(4), provenUntil: .now() + .seconds(30))
    unlink(file)
    rmdir("\(play.folder.path)/lease")
    for _ in 0..<3 { play.leases.act(.extend(grant)) }
    #expect(play.texts(.leaseStoreUnreachable).count == 1)
    #expect(play.texts(.leaseStoreUnreachable).first?.contains("the lease is held all the same") == true)
    mkdir("\(play.folder.path)/lease", 0o755)
    play.leases.act(.extend(grant))
    #expect(access(file, F_OK) == 0 && play.texts(.leaseStoreUnreachable).count == 1)
    unlink(file)
    rmdir("\(play.folder.path)/lease")
    play.leases.act(.extend(grant))
    #expect(play.texts(.leaseStoreUnreachable).count == 2, "another time is another time")
  }

  @Test func aLeaseWhoseStoreCannotBeOpenedWaitsUntilItCan() throws {
    let play = try Play(failures: 3)
    play.leases.want(robots, .init(timeToLive: .seconds(2)))
    #expect(try play.view().state == .waiting)
    #expect(play.leases.line.contains("waits for lease robots") && play.leases.line.contains("EMFILE"))
    #expect(play.events.isEmpty)
    try play.run { play.leases.views.first?.state == .held }
    #expect(play.failures < 0 && play.events == [.permitted(robots)] && play.leases.line == "lease robots held")
    #expect(play.texts(.leaseStoreUnreachable).count == 1 && play.texts(.leaseStoreAnswers).count == 1)
  }

  @Test func whatCannotBeKeptOverAnUpgradeIsEndedAtOnceAndAskedForAgain() throws {
    let play = try Play(failures: 1)
    let grant = Grant(lease: robots, token: LeaseToken(3), provenUntil: .now() + .seconds(60))
    let saved = SavedLeases(owner: "me", settings: .init(timeToLive: .seconds(2)), grants: [grant])
    play.leases.resume(saved, wanted: [robots])
    #expect(play.leases.saved?.owner == "me", "another upgrade would forget who has it")
    try play.run { play.events.count == 2 }
    #expect(play.events == [.withdrawn(robots), .leaseIsUp(robots)])
    play.leases.vacated(robots)
    try play.run { play.leases.views.first?.state == .held }
    #expect(play.events.last == .permitted(robots))
  }

  // MARK: - Other settings

  @Test(arguments: [
    ("[redis]\nurl = \"redis://a\"", "[redis]\nurl = \"redis://b\"", "redis://a, not redis://b"),
    ("[redis]\nurl = \"redis://a\"", "[database]\nurl = \"postgres://a/x\"", "not postgres://a/x"),
    ("[redis]\nurl = \"redis://u:p@a/1\"", "[redis]\nurl = \"redis://u:p@a/2\"", "redis://a/1, not redis://a/2"),
    ("", "[redis]\nurl = \"redis://a\"", "this host's file, not redis://a"),
    ("[leases]\nttl = \"20s\"", "[leases]\nttl = \"9s\"", "ttl is 20s, not 9s"),
  ])
  func leasesAreNotMoved(from old: String, to new: String, words: String) throws {
    let play = try Play()
    try play.want(try settings("lease = \"robots\"\n" + old).leases, held: false)
    let refusal = try #require(play.leases.refusal(of: try settings("lease = \"robots\"\n" + new)))
    #expect(refusal.contains(words) && refusal.contains("stop it on every host"), "\(refusal)")
    #expect(!refusal.contains("u:p"))
    #expect(play.leases.refusal(of: try settings("lease = \"robots\"\n" + old)) == nil)
    #expect(play.leases.refusal(of: try settings(new)) == nil, "no engine has a lease there: all are given back")
    // And what is refused is not taken over by the way.
    play.leases.adopt(try settings("lease = \"robots\"\n" + new).leases)
    #expect(play.leases.settings == (try settings("lease = \"robots\"\n" + old)).leases)
    #expect(play.stage.facts.withLock { $0.opened.count } == 1)
  }

  @Test func anotherPasswordIsUsedAtOnce() throws {
    let play = try Play()
    let old = try settings("lease = \"robots\"\n[redis]\nurl = \"redis://u:old@a/1\"")
    let new = try settings("lease = \"robots\"\n[leases]\nmargin = \"6s\"\n[redis]\nurl = \"redis://u:new@a/1\"")
    try play.want(old.leases, held: false)
    #expect(play.leases.refusal(of: new) == nil)
    play.leases.adopt(new.leases)
    try play.run { play.stage.facts.withLock { $0.opened.count == 2 } }
    #expect(play.stage.facts.withLock { $0.opened.last } == new.leases.store)
    #expect(play.leases.settings == new.leases)
    #expect(try play.view().state == .held && play.events == [.permitted(robots)])
  }

  @Test func whereNothingIsKeptAnyMoreTheNextStoreIsTheNewOne() throws {
    let play = try Play()
    try play.want(try settings("lease = \"robots\"").leases, held: false)
    play.leases.unwant(robots)
    play.leases.vacated(robots)
    try play.run { play.leases.views.isEmpty }
    let next = try settings("lease = \"robots\"\n[redis]\nurl = \"redis://a\"")
    #expect(play.leases.refusal(of: next) == nil)
    try play.want(next.leases, held: false)
    #expect(play.stage.facts.withLock { $0.opened } == [.local, next.leases.store])
  }
}
