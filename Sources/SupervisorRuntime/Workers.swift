import Glibc
package import LinuxSystem
import Settings
import Supervision
import Systemd
package import Vocabulary

/// The processes of all generations: started, signalled, reaped and accounted for, by id.
///
/// A worker is reported `exited` when its main process has been reaped, and `emptied` when nothing of its containment
/// (cgroup, or session and descendants) is left.
package final class Workers {
  var send: (Event) -> Void = { _ in }
  var report: (Happening) -> Void = { _ in }
  /// A line a worker printed.
  package var printed: (WorkerID, WorkerProcess.Line) -> Void = { _, _ in }
  let children: Children
  /// Whom engines under a lease learn theirs from.
  weak var leases: ServiceLeases?

  private let loop: EventLoop
  private let service: ServiceName
  private let notifyDirectory: String
  private let containments: ContainmentFactory
  private var processes: [WorkerID: WorkerProcess] = [:]
  /// The last lines of workers that are gone, for the verdict that is yet to come.
  private var tails: [(id: WorkerID, lines: [String])] = []
  private var budgets: [EngineName: OutputBudget] = [:]

  private static let keptTails = 64
  /// In the whole host, when it was last looked at: of use where cgroups do not count.
  private var knownMemoryKills = WantOfMemory.kills()

  package init(
    loop: EventLoop, service: ServiceName, notifyDirectory: String, containments: ContainmentFactory,
    children: Children
  ) {
    self.loop = loop
    self.service = service
    self.notifyDirectory = notifyDirectory
    self.containments = containments
    self.children = children
    children.reaped = { [unowned self] in checkLeftovers() }
  }

  // MARK: Starting

  func spawn(
    _ id: WorkerID, _ engine: Settings.Engine, _ generation: ResolvedGeneration,
    sockets: [(name: SocketName, descriptor: Descriptor)]
  ) {
    guard sockets.count == engine.sockets.count else {
      return send(.spawnFailed(id, "one of its sockets is not open"))
    }
    let run = Self.name(of: id)
    let path = "\(notifyDirectory)/\(run)"
    let containment = containments.make(run, marker: "NOTIFY_SOCKET=\(path)") { [children] in children.orphans() }
    containment.bound(by: engine.bounds)
    do throws(WorkerStartError) {
      let process = try WorkerProcess(
        id: id, engine: engine, generation: generation, service: service, sockets: sockets, loop: loop,
        notifyPath: path, containment: containment, budget: budget(of: id.engine),
        lease: leases?.environment(of: engine) ?? [:])
      admit(id, process)
      send(.spawned(id))
    } catch {
      send(.spawnFailed(id, error.description))
    }
  }

  private func admit(_ id: WorkerID, _ process: WorkerProcess) {
    processes[id] = process
    process.notified = { [unowned self] in notified(id, $0) }
    process.printed = { [unowned self] in printed(id, $0) }
    process.lostMemory = { [unowned self] in lostMemory(id) }
    if !process.hasExited { children.watch(process.pid) { [unowned self] in exited(id, $0) } }
  }

  // MARK: Bounds, and an earlier life

  /// What of an engine's bounds is not in force here, one sentence each.
  func weaknesses(of settings: Settings) -> [String] {
    let missing = containments.enable(Set(settings.engines.flatMap { $0.bounds.keys.map(\.controller) }))
    let why =
      containments.usesCgroups
      ? "the unit's cgroup lacks the controller" : "no cgroup is delegated to batond, with the controller"
    return settings.engines.flatMap { engine in
      engine.bounds.keys.filter { missing.contains($0.controller) }.map {
        "engine \(engine.name): \($0.key) is not in force: \(why) \($0.controller)"
      }
    }
  }

  /// Ends what workers of an earlier supervisor of this service left behind, and waits for it. Before anything starts.
  /// `addresses`: where it answered, as far as that is known, for the number of connections that are cut by this.
  ///
  /// - Returns: whether nothing of it is still there, and what was cut; nil where nothing was.
  func endLeftovers(of addresses: [SocketAddress]) -> (isEmpty: Bool, cuts: Cuts?) {
    let leftovers = containments.endLeftovers(
      marker: "NOTIFY_SOCKET=\(notifyDirectory)/", addresses: addresses, within: Self.leftoverTime)
    guard !leftovers.found.isEmpty else { return (true, nil) }
    let names = { (list: [ProcessName]) in
      list.prefix(5).map { "\($0.pid) \($0.command)" }.joined(separator: ", ") + (list.count > 5 ? ", …" : "")
    }
    report(
      Happening(
        .leftoversEnded,
        "ended what an earlier batond left behind: \(names(leftovers.found))"
          + Self.text(of: leftovers)
          + (leftovers.left.isEmpty ? "" : "; still there: \(names(leftovers.left))")))
    let cuts = leftovers.connections.map { Cuts(connections: $0) } ?? Cuts(uncounted: leftovers.found.count)
    return (leftovers.left.isEmpty, cuts)
  }

  private static func text(of leftovers: Leftovers) -> String {
    guard let count = leftovers.connections else {
      let why = leftovers.uncounted.map { ": \($0)" } ?? ""
      return "; how many open connections were cut by that was not counted\(why)"
    }
    return count == 0 ? "" : "; their \(count) open connections were cut"
  }

  private static let leftoverTime = Duration.seconds(5)

  // MARK: Over an upgrade

  var saved: [SavedWorker] { processes.sorted { $0.key < $1.key }.map(\.value.saved) }

  /// Goes on with the processes of another image of this program.
  func resume(_ workers: [SavedWorker]) throws(SystemError) {
    for worker in workers {
      let containment = containments.make(Self.name(of: worker.id), marker: "NOTIFY_SOCKET=\(worker.notifyPath)") {
        [children] in children.orphans()
      }
      admit(
        worker.id,
        try WorkerProcess(
          resuming: worker, loop: loop, containment: containment, budget: budget(of: worker.id.engine)))
    }
  }

  /// What ended while nobody looked.
  func sweep() {
    children.reap()
    checkLeftovers()
  }

  private static func name(of id: WorkerID) -> String { "\(id.label).\(id.generation).\(id.run)" }

  private func budget(of engine: EngineName) -> OutputBudget {
    if let budget = budgets[engine] { return budget }
    let budget = OutputBudget()
    budgets[engine] = budget
    return budget
  }

  // MARK: What it says

  private func notified(_ id: WorkerID, _ notification: Notification) {
    switch notification {
    case .ready: send(.ready(id))
    case .watchdog: send(.showedLife(id))
    case .watchdogTrigger: send(.livenessAnswered(id, isAlive: false))
    case .status(let text):
      processes[id]?.statusText = text
      if let requests = Self.requests(in: text) { send(.served(id, requests: requests)) }
    case .reloading, .stopping, .errno, .busError, .exitStatus, .mainPID, .watchdogInterval, .extendTimeout,
      .fileDescriptorStore, .fileDescriptorRemove, .barrier:
      break
    }
  }

  /// The word `requests=N` in what a worker says of itself.
  static func requests(in status: String) -> UInt64? {
    let word = status.utf8.split { " ,;\t".utf8.contains($0) }.first { $0.starts(with: "requests=".utf8) }
    return word.flatMap { UInt64(Substring($0.dropFirst(9))) }
  }

  /// What it takes with all it started. Where the kernel keeps no count, what is resident is told as long as it is less
  /// than `limit`; only then are proportional shares summed up, on a thread of their own, since the kernel walks page
  /// tables for that. Those may be read of other users' processes with a right that the unit does not have; then it is
  /// their anonymous memory.
  func measure(_ id: WorkerID, limit: ByteCount) {
    guard let process = processes[id], !process.hasExited else { return }
    if let memory = process.containment.memory { return send(.measured(id, memory: memory)) }
    let pids = [process.pid] + process.containment.members().map(\.pid).filter { $0 != process.pid }
    let resident = ByteCount(pids.compactMap { ProcessTree.residentMemory(of: $0)?.bytes }.reduce(0, +))
    if resident < limit { return send(.measured(id, memory: resident)) }
    let reply = loop.reply { [unowned self] (memory: ByteCount) in send(.measured(id, memory: memory)) }
    HelperThread.run {
      let taken = pids.compactMap { ProcessTree.proportionalMemory(of: $0) ?? ProcessTree.anonymousMemory(of: $0) }
      reply.send(ByteCount(taken.reduce(0, +)))
    }
  }

  // MARK: Ending

  /// `isAsked`: a person sent it, so that an end by it is no riddle.
  func signal(_ id: WorkerID, _ signal: Signal, isAsked: Bool = false) {
    guard let process = processes[id], !process.hasExited else { return }
    if isAsked, signal == .kill { process.isKilledByHand = true }
    process.signal(signal)
  }

  /// One that is stopped (SIGSTOP) goes on, so that it hears of it.
  func terminate(_ id: WorkerID) {
    signal(id, .terminate)
    signal(id, .continue)
  }

  /// Everything that belongs to it. `emptied` follows, also when nothing was left.
  func kill(_ id: WorkerID) {
    guard let process = processes[id] else { return send(.emptied(id)) }
    process.isKilled = true
    process.containment.killAll()
    checkEmpty(id)
  }

  private func exited(_ id: WorkerID, _ exit: ChildExit) {
    guard let process = processes[id] else { return }
    process.exited()
    remember(id, process.lastLines)
    send(.exited(id, reason(exit, of: process)))
    checkEmpty(id)
  }

  private func reason(_ exit: ChildExit, of process: WorkerProcess) -> ExitReason {
    guard exit == .signalled(SIGKILL), !process.isKilled, !process.isKilledByHand else { return exit.reason }
    if let hasLost = process.takeMemoryKills() { return hasLost ? .outOfMemory(isSure: true) : exit.reason }
    let kills = WantOfMemory.kills()
    defer { knownMemoryKills = kills }
    return kills > knownMemoryKills ? .outOfMemory(isSure: false) : exit.reason
  }

  /// The kernel killed a process of it, and not the main one.
  private func lostMemory(_ id: WorkerID) {
    var happening = Happening(
      .workerOutOfMemory, "the kernel killed a process of \(id.label) for want of memory (OOM); the worker goes on")
    happening.engine = id.engine
    happening.worker = id
    happening.generation = id.generation
    happening.pid = pid(of: id)
    report(happening)
  }

  /// Whenever children were reaped, what is left of a worker may have been among them.
  private func checkLeftovers() {
    for id in processes.filter({ $0.value.hasExited }).keys.sorted() { checkEmpty(id) }
  }

  /// Looked at when a child ends, and as a backstop every 50 ms while something is left.
  private func checkEmpty(_ id: WorkerID) {
    guard let process = processes[id], process.hasExited else { return }
    guard process.containment.isEmpty else {
      // It forked faster than it was found, or was in the middle of an execve.
      if process.isKilled { process.containment.killAll() }
      process.watchEmptiness { [unowned self] in checkEmpty(id) }
      return
    }
    process.close()
    processes[id] = nil
    // What is left to be closed waits until its successor has been started.
    withExtendedLifetime(process) { send(.emptied(id)) }
  }

  // MARK: What is known

  package func pid(of id: WorkerID) -> Int32? { processes[id]?.pid }
  package func statusText(of id: WorkerID) -> String? { processes[id]?.statusText }
  package func startedAt(_ id: WorkerID) -> Int64? { processes[id]?.startedAtWallMicroseconds }
  /// Its main process, while it has not been reaped, and all it started.
  func pids(of id: WorkerID) -> [Int32] {
    guard let process = processes[id] else { return [] }
    let members = process.containment.members().map(\.pid)
    return process.hasExited || members.contains(process.pid) ? members : members + [process.pid]
  }
  func isRunning(_ id: WorkerID) -> Bool { processes[id].map { !$0.hasExited } ?? false }

  func lastLines(_ id: WorkerID) -> [String] {
    processes[id]?.lastLines ?? tails.last { $0.id == id }?.lines ?? []
  }

  /// ` (still there: 4711 sh, 4712 sleep)` for a report; empty when it is only the main process.
  func describeMembers(of id: WorkerID) -> String {
    guard let members = processes[id]?.containment.members(), members.count > 1 else { return "" }
    return " (still there: " + members.prefix(5).map { "\($0.pid) \($0.command)" }.joined(separator: ", ")
      + (members.count > 5 ? ", …)" : ")")
  }

  func note(_ id: WorkerID, _ text: String) {
    var happening = Happening(.workerFault, "\(id.label): \(text)")
    happening.engine = id.engine
    happening.worker = id
    happening.generation = id.generation
    report(happening)
  }

  func forget(_ generation: GenerationID) {
    if tails.count > Self.keptTails / 2 { tails.removeAll { $0.id.generation == generation } }
  }

  private func remember(_ id: WorkerID, _ lines: [String]) {
    tails.append((id, lines))
    if tails.count > Self.keptTails { tails.removeFirst() }
  }

  // MARK: Commands on its behalf

  /// `{port}` in a URL, an address or an argument stands for the worker's own port.
  func fill(_ text: String, for id: WorkerID) -> String {
    WorkerProcess.fill(text, port: processes[id]?.port)
  }

  /// A command run as the worker is: its directory, user and environment, with its pid in MAINPID.
  func command(
    _ arguments: [String], for id: WorkerID, _ engine: Settings.Engine, _ generation: ResolvedGeneration
  ) -> CommandProbe.Command {
    var command = generation.command(arguments, engine: engine)
    command.environment["BATON_WORKER"] = id.label
    command.environment["MAINPID"] = processes[id].map { "\($0.pid)" }
    return command
  }
}
