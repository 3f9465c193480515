import Glibc
package import LeaseStores
package import Leases
package import LinuxSystem
package import Settings
import Supervision
package import Vocabulary

/// The leases of one service: carries what the supervisor's core wants to the core that decides about leases, and back, and
/// tells engines and people how things stand.
///
/// Belongs to the loop's thread, and waits for nothing.
package final class ServiceLeases {
  struct Entry {
    var state = View.State.waiting
    var since: Instant
    /// An engine here is to run under it.
    var isWanted = true
    var grant: Grant?
    var holder: Holder?
    var heardAt = BootInstant.now()
    /// What ran under it ends because it is no more this host's: there is nothing to give back.
    var isLost = false
    /// It has not come for so long that people were told.
    var hasWaitedLong = false
    /// Its file could not be written last.
    var isFileLate = false
  }

  /// How a store is opened, by whoever knows all kinds of them.
  package typealias Opening =
    @Sendable (Settings.Leases.Store, Claimant, _ patience: Duration) throws(StoreError) -> any LeaseStore

  var send: (Event) -> Void = { _ in }
  var report: (Happening) -> Void = { _ in }
  /// Something that the status line says has changed.
  var changed: () -> Void = {}
  /// A lease was renewed or asked for; nothing more is done for seconds.
  var rests: () -> Void = {}
  package private(set) var owner: OwnerID
  /// Why the store could not be asked, since when; nil while it answers.
  package private(set) var trouble: (why: String, since: Instant)?
  /// What the leases of this life lie in; nil before the first is wanted.
  package private(set) var settings: Settings.Leases?

  private let loop: EventLoop
  private let service: ServiceName
  private let files: LeaseFile
  private let open: Opening
  private let startThread: StartThread
  private var driver: LeaseDriver?
  private var retry: TimerToken?
  private(set) var entries: [LeaseName: Entry] = [:]
  /// Of an earlier life, until something serves again.
  private var earlierWaits: [Wait] = []

  /// For tests: fails as it does where there is no descriptor left.
  typealias StartThread = (@escaping StoreThread.Opening) throws(SystemError) -> StoreThread

  package convenience init(loop: EventLoop, service: ServiceName, directory: String, open: @escaping Opening) {
    self.init(loop: loop, service: service, directory: directory, open: open) { (opening) throws(SystemError) in
      try StoreThread(opening)
    }
  }

  init(
    loop: EventLoop, service: ServiceName, directory: String, open: @escaping Opening,
    startThread: @escaping StartThread
  ) {
    self.startThread = startThread
    self.loop = loop
    self.service = service
    self.open = open
    files = LeaseFile(directory: directory)
    owner = .random()
    // Where there is none, the first file in it says so.
    mkdir(directory, 0o755)
  }

  /// What an earlier life of this service, whose processes are all gone, held is this one's at once, and what it waited for
  /// is waited for since then.
  func inherit(_ owner: OwnerID, _ waits: [Wait]) {
    self.owner = owner
    earlierWaits = waits
  }

  // MARK: - What the supervisor wants

  func want(_ name: LeaseName, _ settings: Settings.Leases) {
    begin(name)
    if let driver = prepare(settings) { ask(driver, for: [name]) }
  }

  private func ask(_ driver: LeaseDriver, for names: [LeaseName]) {
    for name in names {
      driver.handle(.wanted(name))
      guard let place = earlierWaits.firstIndex(where: { $0.lease == name }) else { continue }
      let wait = earlierWaits.remove(at: place)
      guard entries[name]?.state == .waiting else { continue }
      entries[name]?.since = .monotonicNow() + (.zero - (BootInstant.now() - wait.since))
      entries[name]?.hasWaitedLong = wait.isTold
      driver.resume(wait)
    }
  }

  /// What has not come, since when.
  var waits: [Wait] { driver?.waits ?? earlierWaits }

  func unwant(_ name: LeaseName) {
    entries[name]?.isWanted = false
    if entries[name]?.state == .waiting { entries[name] = nil } else { enter(name, .ending) }
    driver?.handle(.unwanted(name))
  }

  func vacated(_ name: LeaseName) {
    files.remove(name)
    if entries[name]?.isLost == true || driver == nil { settle(name) }
    driver?.handle(.vacated(name))
  }

  func close() {
    guard let driver else { return send(.stageWorkDone(.redis)) }
    driver.handle(.close)
  }

  // MARK: - What engines are told

  func environment(of engine: Settings.Engine) -> [String: String] {
    guard let name = engine.lease else { return [:] }
    var environment = ["BATON_LEASE": name.rawValue, "BATON_LEASE_FILE": files.path(name)]
    if let grant = entries[name]?.grant {
      environment["BATON_LEASE_TOKEN"] = "\(grant.token)"
      environment["BATON_LEASE_EXPIRES"] = LeaseFile.seconds(grant.provenUntil)
    }
    return environment
  }

  private func write(_ grant: Grant) {
    entries[grant.lease]?.grant = grant
    do throws(SystemError) {
      try files.write(grant)
      entries[grant.lease]?.isFileLate = false
    } catch {
      // It is written at each renewal; said once.
      guard entries[grant.lease]?.isFileLate == false else { return }
      entries[grant.lease]?.isFileLate = true
      note(
        grant.lease, .leaseStoreUnreachable,
        "the file of lease \(grant.lease) cannot be written: \(error); the lease is held all the same, and engines that "
          + "read there see an earlier end of it until it can")
    }
  }

  // MARK: - The driver

  private func prepare(_ settings: Settings.Leases, resuming grants: [Grant] = []) -> LeaseDriver? {
    if let driver {
      // Nothing but what was just wanted is left of what the old one kept.
      guard let current = self.settings, LeaseMove(from: current, to: settings) != nil, entries.count == 1 else {
        return driver
      }
      driver.end()
      (self.driver, trouble) = (nil, nil)
    }
    self.settings = settings
    let timing = settings.timing
    var random = SystemRandomNumberGenerator()
    do throws(SystemError) {
      let made = try LeaseDriver(
        on: loop, store: try startThread(opening(settings)), timing: timing, seed: random.next(), resuming: grants
      ) { [unowned self] in act($0) }
      made.heard = { [unowned self] in hear($0, $1) }
      made.rests = { [unowned self] in rests() }
      driver = made
      guard let trouble else { return made }
      self.trouble = nil
      report(Happening(.leaseStoreAnswers, "leases can be kept after \((.monotonicNow() - trouble.since).text)"))
    } catch { tryAgain(settings, because: error) }
    return driver
  }

  /// No thread, or no descriptor, for the store: nothing is asked until there is, and nothing started under a lease.
  private func tryAgain(_ settings: Settings.Leases, because error: SystemError) {
    if trouble == nil {
      report(
        Happening(
          .leaseStoreUnreachable,
          "leases cannot be kept: \(error); nothing is started under one until they can; it is tried again every "
            + settings.timing.retry.text))
    }
    trouble = ("\(error)", trouble?.since ?? .monotonicNow())
    guard retry == nil else { return }
    retry = loop.schedule(after: settings.timing.retry) { [weak self] in
      guard let self else { return }
      retry = nil
      let wanted = entries.filter(\.value.isWanted).keys.sorted()
      if driver == nil, !wanted.isEmpty, let settings = self.settings, let driver = prepare(settings) {
        ask(driver, for: wanted)
      }
      changed()
    }
  }

  private func opening(_ settings: Settings.Leases) -> StoreThread.Opening {
    let claimant = Claimant(owner: owner, label: label, timeToLive: settings.timeToLive)
    return { [open] () throws(StoreError) in try open(settings.store, claimant, settings.timing.retry) }
  }

  // MARK: - Other settings

  /// Why settings of another generation cannot be taken over while this one keeps its leases; nil where they can.
  func refusal(of settings: Settings) -> String? {
    guard driver != nil, !entries.isEmpty, let current = self.settings,
      settings.engines.contains(where: { $0.lease != nil })
    else { return nil }
    return LeaseMove(from: current, to: settings.leases)?.text
  }

  /// A generation serves that these are of: whoever may ask the store, and how long is waited, may have changed.
  func adopt(_ settings: Settings.Leases) {
    earlierWaits = []
    guard let driver, let current = self.settings, current != settings,
      LeaseMove(from: current, to: settings) == nil
    else { return }
    self.settings = settings
    driver.adopt(settings.timing, opening: current.store == settings.store ? nil : opening(settings))
  }

  /// `SERVICE@HOST:PID`
  private var label: String {
    var buffer = [CChar](repeating: 0, count: 256)
    gethostname(&buffer, buffer.count - 1)
    let host = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return "\(service)@\(host):\(getpid())"
  }

  func act(_ action: LeaseAction) {
    switch action {
    case .permit(let grant):
      enter(grant.lease, .held)
      write(grant)
      send(.permitted(grant.lease))
    case .extend(let grant): write(grant)
    case .withdraw(let name, let why):
      files.remove(name)
      enter(name, .ending)
      entries[name]?.grant = nil
      entries[name]?.isLost = why != .unproven
      send(.withdrawn(name))
    case .kill(let name): send(.leaseIsUp(name))
    case .announce(let news): announce(news)
    case .closed: send(.stageWorkDone(.redis))
    case .ask: break
    }
    changed()
  }

  // MARK: - What people are told

  private func announce(_ news: LeaseNews) {
    switch news {
    case .granted(let name, let token):
      entries[name]?.holder = nil
      note(name, .leaseGranted, "lease \(name) is this host's, token \(token)")
    case .waits(let name, let holder):
      // It was lost when it was about to be given back.
      if entries[name]?.state == .ending { settle(name) }
      hear(name, holder)
      note(
        name, .leaseWaits,
        "waiting for lease \(name): held by \(holder.label), proven for another \(holder.remaining.text)")
    case .waitsLong(let name):
      guard let entry = entries[name] else { return }
      entries[name]?.hasWaitedLong = true
      let who = entry.holder.map { "held by \($0.label)" } ?? trouble?.why ?? "nobody is known to have it"
      note(name, .leaseWaitsLong, "lease \(name) has not come for \(LeaseTiming.longWait.text): \(who)")
    case .withdrawn(let name, .unproven):
      note(
        name, .leaseLost,
        "lease \(name) could not be renewed in time: its engines are ended before another host may have it")
    case .withdrawn(let name, .lost(let holder?)):
      hear(name, holder)
      note(
        name, .leaseTwoHolders,
        "lease \(name) was given to \(holder.label) while its engines ran here: they are ended, and their token "
          + "counts no more")
    case .withdrawn(let name, .lost(nil)):
      note(name, .leaseLost, "lease \(name) was taken away: its engines are ended")
    case .returned(let name):
      settle(name)
      note(name, .leaseReturned, "lease \(name) is given back")
    case .leftToExpire(let name):
      settle(name)
      note(name, .leaseLost, "lease \(name) could not be given back: it expires by itself")
    case .storeFailed(let why):
      trouble = (why, trouble?.since ?? .monotonicNow())
      let next = driver?.lastError.flatMap { "\($0)" == why ? $0.next : nil }
      var happening = Happening(
        .leaseStoreUnreachable,
        "the store of leases cannot be asked: \(why)\(next.map { "; \($0)" } ?? ""); what is held is proven until it "
          + "expires")
      happening.reason = why
      report(happening)
    case .storeAnswersAgain:
      let gap = trouble.map { " after \((.monotonicNow() - $0.since).text)" } ?? ""
      trouble = nil
      report(Happening(.leaseStoreAnswers, "the store of leases answers again\(gap)"))
    }
  }

  private func note(_ name: LeaseName, _ kind: MessageKind, _ text: String) {
    var happening = Happening(kind, text)
    happening.reason = name.rawValue
    report(happening)
  }

  // MARK: - How each stands

  private func begin(_ name: LeaseName) { entries[name, default: Entry(since: .monotonicNow())].isWanted = true }

  private func hear(_ name: LeaseName, _ holder: Holder) {
    entries[name]?.holder = holder
    entries[name]?.heardAt = .now()
  }

  private func enter(_ name: LeaseName, _ state: View.State) {
    guard var entry = entries[name], entry.state != state else { return }
    entry.state = state
    entry.since = .monotonicNow()
    (entry.isLost, entry.hasWaitedLong) = (false, false)
    entries[name] = entry
  }

  /// What was ours is nobody's: it is waited for again if it is wanted.
  private func settle(_ name: LeaseName) {
    guard let entry = entries[name] else { return }
    guard entry.isWanted else { return entries[name] = nil }
    entries[name]?.grant = nil
    enter(name, .waiting)
  }

  // MARK: - Over an upgrade

  var saved: SavedLeases? {
    guard let settings else { return nil }
    return SavedLeases(
      owner: owner.text, settings: settings, grants: entries.values.compactMap(\.grant).sorted { $0.lease < $1.lease },
      waits: waits)
  }

  /// Goes on with what another image of this program held, and asks again for what it waited for.
  func resume(_ saved: SavedLeases, wanted: [LeaseName]) {
    owner = OwnerID(saved.owner)
    earlierWaits = saved.waits
    for grant in saved.grants {
      entries[grant.lease] = Entry(state: .held, since: .monotonicNow(), isWanted: false, grant: grant)
    }
    wanted.forEach(begin)
    guard let driver = prepare(saved.settings, resuming: saved.grants) else {
      // Nobody would renew them, or count their time.
      loop.schedule(after: .zero) { [weak self] in
        for grant in saved.grants {
          self?.act(.withdraw(grant.lease, .unproven))
          self?.act(.kill(grant.lease))
        }
      }
      return
    }
    ask(driver, for: wanted)
  }
}
