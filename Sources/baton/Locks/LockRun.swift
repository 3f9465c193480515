import ControlProtocol
import Glibc
import LeaseStores
import Leases
import LinuxSystem
import Vocabulary

/// `baton lock run`: takes the lock, runs the command as long as it is proven, gives it back.
final class LockRun {
  private let name: LeaseName
  private let wait: Duration?
  private let loop: EventLoop
  private let command: LockedCommand
  private let words: String
  private let timing: LeaseTiming
  private let owner: OwnerID
  private var driver: LeaseDriver?
  private var signals: SignalSource?
  /// What everything ends with.
  private var result: Result<Int32, Failure>?
  private var holder: Holder?
  private var isStoreFailing = false
  private var lost: Withdrawal?
  private var isClosing = false

  /// How long a lock is tried to be given back.
  private static let patience = Duration.seconds(5)
  /// While something is being killed, and where it leaves something behind.
  private static let look = Duration.milliseconds(50)

  init(
    _ name: LeaseName, _ command: [String], in place: LockStore, owner label: String, timeToLive: Duration,
    wait: Duration?
  ) throws(SystemError) {
    self.name = name
    self.wait = wait
    words = command.first ?? ""
    timing = LeaseTiming(timeToLive: timeToLive)
    let claimant = Claimant(label: label, timeToLive: timeToLive)
    owner = claimant.owner
    loop = try EventLoop()
    self.command = LockedCommand(command, owner: owner.text)
    // Before the store's thread is made: it inherits what is blocked.
    let passed: [Signal] = [.terminate, .interrupt, .hangup, .quit, .user1, .user2].filter { !Self.isIgnored($0) }
    signals = try SignalSource(passed + [.child], on: loop) { [unowned self] in take($0) }
    let store = try StoreThread { () throws(StoreError) in try place.open(claimant, listens: wait != nil) }
    var random = SystemRandomNumberGenerator()
    driver = try LeaseDriver(on: loop, store: store, timing: timing, seed: random.next()) { [unowned self] in act($0) }
  }

  /// nohup(1) means the command, too.
  private static func isIgnored(_ signal: Signal) -> Bool {
    var action = sigaction()
    sigaction(signal.number, nil, &action)
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
  }

  /// The command's exit status.
  func run() throws -> Int32 {
    driver?.handle(.wanted(name))
    if let wait { loop.schedule(after: wait) { [unowned self] in giveUp() } }
    try loop.run()
    driver?.end()
    command.takeTerminal()
    command.remove()
    return try (result ?? .success(0)).get()
  }

  // MARK: - What the core decides

  private func act(_ action: LeaseAction) {
    switch action {
    case .permit(let grant): start(grant)
    case .withdraw(_, let why): withdraw(why)
    case .kill:
      say("killing \(words)")
      killUntilGone()
    case .announce(let news): announce(news)
    case .closed: loop.stop()
    case .ask, .extend: break
    }
  }

  private func start(_ grant: Grant) {
    // A second one is not begun: the lock was lost once, and whoever waits for us is told.
    guard !command.isStarted, result == nil else { return close() }
    holder = nil
    do throws(Failure) {
      try command.start(adding: [
        "BATON_LEASE": name.rawValue, "BATON_LEASE_TOKEN": "\(grant.token)", LockedCommand.marker: owner.text,
      ])
    } catch {
      error.report(json: false)
      result = .success(command.status ?? 126)
      close()
    }
  }

  private func withdraw(_ why: Withdrawal) {
    lost = why
    let reason =
      switch why {
      case .lost(let holder?): "\(name) was taken by \(plain(holder.label))"
      case .lost(nil): "\(name) was taken away"
      case .unproven: "\(name) could not be renewed in time"
      }
    say("\(reason): ending \(words), which has \(timing.grace.text)")
    command.terminate()
  }

  private func announce(_ news: LeaseNews) {
    switch news {
    case .waits(_, let holder):
      self.holder = holder
      guard wait != nil else { return giveUp() }
      say("waiting for \(name): \(Self.words(holder))")
    case .storeFailed(let why):
      isStoreFailing = true
      guard command.isStarted || wait != nil else { return fail(why) }
      say(
        "the store does not answer (\(why))" + (command.isStarted ? "; \(words) goes on while \(name) is proven" : ""))
    case .storeAnswersAgain:
      isStoreFailing = false
      say("the store answers again")
    case .leftToExpire: say("\(name) could not be given back; it expires by itself")
    case .granted, .waitsLong, .withdrawn, .returned: break
    }
  }

  private static func words(_ holder: Holder) -> String {
    "held by \(plain(holder.label)), proven for another \(Ages.text(holder.remaining)), token \(holder.token)"
  }

  // MARK: - What people and the command do

  private func take(_ signal: Signal) {
    switch signal {
    case .child: childChanged()
    case _ where command.isStarted: command.pass(signal)
    case .user1, .user2: break
    default:
      result = result ?? .success(128 + signal.number)
      close()
    }
  }

  private func childChanged() {
    command.reap()
    guard command.isStarted, !isClosing else { return }
    if command.isGone { return end() }
    guard command.status != nil, lost == nil else { return }
    // flock(1) does the same: what the command started and left holds the lock.
    if !isWaitingForLeftovers {
      let names = Set(command.leftovers.map { "\($0.command) (\($0.pid))" }).sorted().prefix(5)
      if !names.isEmpty {
        say("\(words) has ended; \(name) is held for what it left: \(names.joined(separator: ", "))")
      }
    }
    lookAgain(in: .seconds(1))
  }

  private var isWaitingForLeftovers = false

  private func lookAgain(in delay: Duration) {
    guard !isWaitingForLeftovers else { return }
    isWaitingForLeftovers = true
    loop.schedule(after: delay) { [unowned self] in
      isWaitingForLeftovers = false
      if !command.isGone { lookAgain(in: delay) } else { childChanged() }
    }
  }

  private func killUntilGone() {
    guard !isClosing else { return }
    command.killAll()
    command.reap()
    if command.isGone { return end() }
    loop.schedule(after: Self.look) { [unowned self] in killUntilGone() }
  }

  /// Everything of the command is gone.
  private func end() {
    guard !isClosing else { return }
    if let lost, result == nil {
      let what =
        switch lost {
        case .lost(let holder?): "\(name) was taken by \(plain(holder.label)) while \(words) ran"
        case .lost(nil): "\(name) was taken away while \(words) ran"
        case .unproven: "\(name) could not be renewed while \(words) ran"
        }
      result = .failure(
        Failure(
          .failed, what, holds: "\(words) was ended",
          next: "what it did is refused by its token, where that is compared"))
    }
    result = result ?? .success(command.status ?? 0)
    close()
  }

  /// Gives back what is held, if anything is, and then ends.
  private func close() {
    guard !isClosing else { return }
    isClosing = true
    driver?.handle(.unwanted(name))
    driver?.handle(.vacated(name))
    driver?.handle(.close)
    loop.schedule(after: isStoreFailing ? Self.patience / 5 : Self.patience) { [unowned self] in
      if command.isStarted { say("\(name) could not be given back; it expires by itself") }
      loop.stop()
    }
  }

  private func giveUp() {
    guard !command.isStarted, result == nil else { return }
    if let holder {
      result = .failure(
        Failure(
          .busy, "\(name) is \(Self.words(holder))", holds: "\(words) was not started",
          next: wait == nil ? "--wait 10m waits for it" : nil))
      close()
    } else {
      fail("no answer")
    }
  }

  private func fail(_ why: String) {
    guard result == nil else { return }
    result = .failure(
      Failure(.unreachable, why, holds: "\(words) was not started", next: driver?.lastError?.next))
    close()
  }

  private func say(_ text: String) { Terminal.say("baton: \(plain(text))") }
}
