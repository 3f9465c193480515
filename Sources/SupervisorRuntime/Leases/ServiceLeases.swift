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
  /// How this host stands to one lease, for people.
  package struct View: Hashable, Sendable {
    package enum State: String, Hashable, Sendable { case held, waiting, ending }
    package let name: LeaseName
    package let state: State
    /// Since when that is so.
    package let since: Instant
    package let token: LeaseToken?
    package let provenUntil: BootInstant?
    /// Who has it, as far as it is known here.
    package let holder: Holder?
  }

  private struct Entry {
    var state = View.State.waiting
    var since: Instant
    var grant: Grant?
    var holder: Holder?
    /// Its file could not be written last.
    var isFileLate = false
    /// Says once that nothing comes for a long time.
    var patience: TimerToken?
  }

  /// How a store is opened, by whoever knows all kinds of them.
  package typealias Opening =
    @Sendable (Settings.Leases.Store, Claimant, _ patience: Duration) throws(StoreError) -> any LeaseStore

  var send: (Event) -> Void = { _ in }
  var report: (Happening) -> Void = { _ in }
  /// Something that the status line says has changed.
  var changed: () -> Void = {}
  package private(set) var owner: OwnerID
  /// Why the store could not be asked, since when; nil while it answers.
  package private(set) var trouble: (why: String, since: Instant)?
  /// What the leases of this life lie in; nil before the first is wanted.
  package private(set) var settings: Settings.Leases?

  private let loop: EventLoop
  private let service: ServiceName
  private let files: LeaseFile
  private let open: Opening
  private var driver: LeaseDriver?
  private var entries: [LeaseName: Entry] = [:]

  package init(loop: EventLoop, service: ServiceName, directory: String, open: @escaping Opening) {
    self.loop = loop
    self.service = service
    self.open = open
    files = LeaseFile(directory: directory)
    owner = .random()
    // Where there is none, the first file in it says so.
    mkdir(directory, 0o755)
  }

  /// What an earlier life of this service, whose processes are all gone, held is this one's at once.
  func inherit(_ owner: OwnerID) { self.owner = owner }

  // MARK: - What the supervisor wants

  func want(_ name: LeaseName, _ settings: Settings.Leases) {
    begin(name)
    prepare(settings)?.handle(.wanted(name))
  }

  func unwant(_ name: LeaseName) {
    if entries[name]?.state == .waiting { forget(name) } else { enter(name, .ending) }
    driver?.handle(.unwanted(name))
  }

  func vacated(_ name: LeaseName) {
    files.remove(name)
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
      if settings != self.settings {
        report(
          Happening(
            .leaseStoreUnreachable,
            "[leases] and where they lie changed: that takes effect when the service is started anew"))
      }
      return driver
    }
    self.settings = settings
    let timing = settings.timing
    let claimant = Claimant(owner: owner, label: label, timeToLive: settings.timeToLive)
    var random = SystemRandomNumberGenerator()
    do throws(SystemError) {
      let store = try StoreThread { [open] () throws(StoreError) in
        try open(settings.store, claimant, timing.retry)
      }
      driver = try LeaseDriver(on: loop, store: store, timing: timing, seed: random.next(), resuming: grants) {
        [unowned self] in act($0)
      }
    } catch {
      trouble = ("\(error)", .monotonicNow())
      report(
        Happening(
          .leaseStoreUnreachable,
          "leases cannot be kept: \(error); nothing is started under one until it is asked for again: start the service "
            + "anew when there is room"))
    }
    return driver
  }

  /// `SERVICE@HOST:PID`
  private var label: String {
    var buffer = [CChar](repeating: 0, count: 256)
    gethostname(&buffer, buffer.count - 1)
    let host = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return "\(service)@\(host):\(getpid())"
  }

  private func act(_ action: LeaseAction) {
    switch action {
    case .permit(let grant):
      enter(grant.lease, .held)
      write(grant)
      send(.permitted(grant.lease))
    case .extend(let grant): write(grant)
    case .withdraw(let name, _):
      files.remove(name)
      enter(name, .ending)
      entries[name]?.grant = nil
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
      entries[name]?.holder = holder
      note(
        name, .leaseWaits,
        "waiting for lease \(name): held by \(holder.label), proven for another \(holder.remaining.text)")
    case .withdrawn(let name, .unproven):
      note(
        name, .leaseLost,
        "lease \(name) could not be renewed in time: its engines are ended before another host may have it")
    case .withdrawn(let name, .lost(let holder?)):
      entries[name]?.holder = holder
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
      trouble = (why, .monotonicNow())
      var happening = Happening(
        .leaseStoreUnreachable, "the store of leases cannot be asked: \(why); what is held is proven until it expires")
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

  private func begin(_ name: LeaseName) {
    if entries[name] != nil { return }
    entries[name] = Entry(since: .monotonicNow())
    wait(name)
  }

  private func enter(_ name: LeaseName, _ state: View.State) {
    guard var entry = entries[name], entry.state != state else { return }
    loop.cancel(entry.patience)
    entry.patience = nil
    entry.state = state
    entry.since = .monotonicNow()
    entries[name] = entry
  }

  /// What was ours is nobody's: it is waited for again if it is wanted.
  private func settle(_ name: LeaseName) {
    guard entries[name] != nil else { return }
    entries[name]?.grant = nil
    enter(name, .waiting)
    wait(name)
  }

  private func forget(_ name: LeaseName) {
    loop.cancel(entries[name]?.patience)
    entries[name] = nil
  }

  private func wait(_ name: LeaseName) {
    entries[name]?.patience = loop.schedule(after: LeaseTiming.longWait) { [weak self] in
      guard let self, let entry = entries[name], entry.state == .waiting else { return }
      let who = entry.holder.map { "held by \($0.label)" } ?? trouble?.why ?? "nobody is known to have it"
      note(name, .leaseWaitsLong, "lease \(name) has not come for \(LeaseTiming.longWait.text): \(who)")
    }
  }

  package var views: [View] {
    entries.sorted { $0.key < $1.key }.map { name, entry in
      View(
        name: name, state: entry.state, since: entry.since, token: entry.grant?.token,
        provenUntil: entry.grant?.provenUntil, holder: entry.holder)
    }
  }

  /// For the status line; empty where all is well or nothing is under a lease.
  var line: String {
    var parts = views.compactMap { view -> String? in
      switch view.state {
      case .held: "lease \(view.name) held"
      case .waiting: "waits for lease \(view.name)" + (view.holder.map { ", held by \($0.label)" } ?? "")
      case .ending: "lease \(view.name) is ending"
      }
    }
    if let trouble { parts.append("the store of leases cannot be asked: \(trouble.why)") }
    return parts.joined(separator: "; ")
  }

  // MARK: - Over an upgrade

  var saved: SavedLeases? {
    guard driver != nil, let settings else { return nil }
    return SavedLeases(
      owner: owner.text, settings: settings, grants: entries.values.compactMap(\.grant).sorted { $0.lease < $1.lease })
  }

  /// Goes on with what another image of this program held, and asks again for what it waited for.
  func resume(_ saved: SavedLeases, wanted: [LeaseName]) {
    owner = OwnerID(saved.owner)
    guard let driver = prepare(saved.settings, resuming: saved.grants) else { return }
    for grant in saved.grants {
      entries[grant.lease] = Entry(state: .held, since: .monotonicNow(), grant: grant)
    }
    for name in wanted {
      begin(name)
      driver.handle(.wanted(name))
    }
  }
}
