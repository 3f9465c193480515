import ControlServer
import Glibc
import LeaseStores
import LinuxSystem
import Settings
import Supervision
import SupervisorRuntime
import Systemd
import Vocabulary

/// One service with everything it needs, from the first descriptor to the last record.
final class Service {
  private let arguments: Arguments
  private let loop: EventLoop
  private let lock: Descriptor
  private let runtime: Runtime
  private let listeners: Listeners
  private let children: Children
  private var signals: SignalSource?
  /// systemd started us.
  private let isManaged: Bool
  private let logger: Logger
  private let bridge: ControlBridge
  private let control: ControlServer
  private let operators: Operators
  private let upgrade: Upgrade
  private let history: History
  private let records: Records?
  /// Another image of this program was here before.
  private let state: SavedState?

  private static let signals: [Signal] = [.terminate, .interrupt, .hangup, .child]

  init(_ arguments: Arguments, resuming state: SavedState? = nil, after crash: CrashInheritance? = nil) throws {
    self.arguments = arguments
    self.state = state
    SignalSource.ignoreBrokenPipes()
    var program = Upgrade.Program(
      path: ProgramImage.path(startedAs: CommandLine.arguments.first ?? "batond"), arguments: CommandLine.arguments,
      variables: ProgramImage.environment().filter { Self.managerVariables.contains($0.key) })
    if let path = program.path { program.arguments[0] = path }
    // Read and unset before anything is opened or started: none of it is for the workers.
    let passed = try crash?.passed ?? ListenDescriptors.fromEnvironment().all
    if state == nil {
      ProcessTree.closeDescriptors(from: ListenDescriptors.firstDescriptor + Int32(passed.count))
    } else {
      SignalSource.unblockAll(but: Self.signals)
    }
    let directories = try Directories(arguments)
    lock =
      try state.map { try Descriptor.inherited($0.control.lock) } ?? Self.lock(directories.runtime, arguments.name)
    loop = try EventLoop()
    try ProcessTree.becomeSubreaper()
    let client = try NotifyClient.fromEnvironment()
    let watchdog = try Watchdog.fromEnvironment()
    isManaged = client != nil
    let manager = ManagerLink(loop: loop, client: client, watchdog: watchdog)
    logger = Logger(service: arguments.name)
    history = History(wallClock: RealTime.microseconds)
    history.sinks.append { [logger] in logger.log($0) }
    // Without its directory the ledger says what is wrong, and the service runs.
    try? directories.makeState()
    records = try Records(
      path: "\(directories.state)/ledger.db", service: arguments.name, loop: loop, history: history)
    children = Children()
    listeners = Listeners(
      loop: loop, manager: manager,
      inherited: passed.filter { $0.name != CrashMemory.storeName }.map {
        (name: $0.name, descriptor: Descriptor(owning: $0.descriptor))
      })
    let workers = Workers(
      loop: loop, service: arguments.name, notifyDirectory: "\(directories.runtime)/worker",
      containments: ContainmentFactory(dividing: true), children: children)
    workers.printed = { [logger] in logger.log($1, of: $0) }
    let prefix = Self.prefix()
    runtime = Self.runtime(arguments, directories, loop, manager, history, listeners, workers, prefix)
    bridge = ControlBridge(runtime: runtime, history: history, records: records, service: arguments.name)
    operators = Operators(loop)
    control = try ControlServer(
      path: "\(directories.runtime)/control", loop: loop, handler: bridge,
      policy: AccessPolicy(
        supervisor: geteuid(), serviceUsers: [],
        operators: state.map { $0.control.operators } ?? Operators.now()),
      version: Daemon.version, resumed: try state.map { try Descriptor.inherited($0.control.listener) })
    upgrade = Upgrade(
      program, loop: loop, runtime: runtime, history: history, children: children, records: records, control: control,
      lock: lock, prefix: prefix)
    bridge.upgrade = upgrade
    upgrade.news = { [unowned bridge] in bridge.tellWaiting($0) }
    control.becameIdle = { [unowned self] in runtime.giveMemoryBack() }
    runtime.generationChanged = { [unowned self] in adopt($0) }
    operators.found = { [unowned self] in control.policy.operators = $0 }
    try rememberCrashes(crash, client == nil ? nil : manager)
  }

  /// Without a manager nobody would keep anything: a kill then takes the sockets along.
  private func rememberCrashes(_ crash: CrashInheritance?, _ manager: ManagerLink?) throws {
    guard let manager else {
      logger.note("no service manager keeps the sockets: if this process is killed, connections that wait are lost")
      return
    }
    let resumed = try state?.crashMemory.map { try Descriptor.inherited($0) }
    let memory: CrashMemory?
    do throws(SystemError) {
      memory = try CrashMemory(
        left: resumed ?? crash?.memory, manager: manager, service: arguments.name, version: Daemon.version)
    } catch {
      memory = nil
      history.add(Happening(.crashMemoryTrouble, "what a crash must leave cannot be kept: \(error)"))
    }
    runtime.keep(memory, left: crash?.left ?? .nothing)
    // Another image of this program has asked.
    guard state == nil else { return }
    manager.askStore { [unowned self] isKept in
      if !isKept { runtime.storeIsMissing() }
    }
  }

  private static func runtime(
    _ arguments: Arguments, _ directories: Directories, _ loop: EventLoop, _ manager: ManagerLink, _ history: History,
    _ listeners: Listeners, _ workers: Workers, _ prefix: String
  ) -> Runtime {
    var random = SystemRandomNumberGenerator()
    let file = LeasePlace.file(beside: directories.state)
    let leases = ServiceLeases(
      loop: loop, service: arguments.name, directory: "\(directories.runtime)/lease"
    ) { (store, claimant, patience) throws(StoreError) in
      try LeasePlace.open(store, file: file, claimant, patience)
    }
    return Runtime(
      wiring: Runtime.Wiring(
        service: arguments.name, settingsPath: arguments.settings, runtimeDirectory: directories.runtime,
        version: Daemon.version),
      loop: loop, manager: manager, history: history, listeners: listeners, workers: workers,
      leases: leases, core: Supervisor(seed: random.next()), operationPrefix: prefix)
  }

  /// What the manager says to this process alone.
  private static let managerVariables = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]

  /// Makes the ids of operations unique over lives of the supervisor.
  private static func prefix() -> String {
    var random = SystemRandomNumberGenerator()
    return String(UInt32(truncatingIfNeeded: random.next() as UInt64), radix: 36)
  }

  func run() throws -> Int32 {
    signals = try SignalSource(Self.signals, on: loop) { [unowned self] in took($0) }
    if let state {
      try resume(state)
    } else {
      runtime.start { [unowned self] outcome in
        if outcome.result == .done { listeners.closeUnclaimed() }
      }
      if let end = runtime.uncountedEnd {
        EndOfConnections.ask(loop, end) { [unowned self] in runtime.tellEnd($0) }
      }
    }
    let status = try runtime.run()
    bridge.ended()
    control.close()
    // What was said last is on its way; callers get a moment to read it.
    for _ in 0..<8 { try loop.turn(waiting: false) }
    if runtime.endsForGood { listeners.unlinkPaths() }
    return status
  }

  /// Goes on with what another image of this program left, after signals are heard again and before anything else.
  private func resume(_ state: SavedState) throws {
    guard state.pid == getpid() else { throw StateError("the state is of process \(state.pid)") }
    var replies: [ControlReply] = []
    var reloads: [OperationID: ControlReply] = [:]
    for caller in state.control.connections {
      let descriptor = try Descriptor.inherited(caller.descriptor)
      switch caller.wait {
      case .verdict: replies.append(try control.resumeUpgrade(of: descriptor, more: caller.more))
      case .events: bridge.follow(try control.resumeEvents(of: descriptor))
      case .call: try control.resumeCaller(of: descriptor)
      case .reload:
        let operation = caller.operation ?? OperationID("-")
        reloads[operation] = try control.resumeReload(operation, of: descriptor, more: caller.more)
      }
    }
    for entry in state.history.unrecorded { records?.record(entry) }
    try runtime.resume(state)
    Upgrade.tell(state, replies, runtime: runtime, history: history)
    for waiting in state.reloads {
      if let reply = reloads[waiting.operation] {
        bridge.resume(waiting, reply)
      } else {
        runtime.reload(waiting, completion: { _ in })
      }
    }
  }

  /// Workers must not operate their own supervisor, whoever they run as.
  private func adopt(_ generation: ResolvedGeneration) {
    control.policy.serviceUsers = generation.users.subtracting([0])
    operators.lookUp()
  }

  private func took(_ signal: Signal) {
    switch signal {
    case .child: children.reap()
    case .hangup:
      upgrade.beginIfReplaced()
      runtime.reload(by: asker(of: signal), completion: { _ in })
    default:
      let asker = asker(of: signal)
      guard isManaged else { return runtime.stop(.stop, by: asker) }
      upgrade.stopIsAsked()
      StopCause.ask(loop) { [unowned self] in runtime.stop($0, by: asker) }
    }
  }

  private func asker(of signal: Signal) -> Asker? {
    signals.map { Asker(pid: $0.sender.pid, user: $0.sender.user) }
  }

  /// One batond a service. The lock is the kernel's: it goes with the process, and the file stays.
  private static func lock(_ directory: String, _ name: ServiceName) throws -> Descriptor {
    let path = "\(directory)/lock"
    let file = try Descriptor.open(path, flags: O_RDWR | O_CREAT, mode: 0o644)
    guard flock(file.raw, LOCK_EX | LOCK_NB) == 0 else {
      guard errno == EWOULDBLOCK else { throw SystemError("lock", path, errno: errno) }
      let holder = (try? readAll(file, path, limit: 256)).map { String(decoding: $0, as: UTF8.self) } ?? ""
      throw LockedError(service: name, holder: holder.isEmpty ? "unknown pid" : holder)
    }
    let text = Array("pid \(getpid())".utf8)
    ftruncate(file.raw, 0)
    pwrite(file.raw, text, text.count, 0)
    return file
  }
}
