import Leases
package import LinuxSystem
import Settings
package import Supervision
package import Vocabulary

/// The hands of the supervisor: gives the core what happens as events and does what the core answers, in its order.
/// It decides nothing. Everything runs on the loop's one thread.
package final class Runtime {
  /// How the service is wired to the outside, fixed for the life of the process.
  package struct Wiring {
    package var service: ServiceName
    /// Read anew at each reload.
    package var settingsPath: String
    package var runtimeDirectory: String
    package var version: String

    package init(service: ServiceName, settingsPath: String, runtimeDirectory: String, version: String) {
      self.service = service
      self.settingsPath = settingsPath
      self.runtimeDirectory = runtimeDirectory
      self.version = version
    }
  }

  let wiring: Wiring
  let loop: EventLoop
  let manager: ManagerLink
  let history: History
  let listeners: Listeners
  let workers: Workers
  let questions: Questions
  let stageCommands: StageCommands
  let operations: Operations
  package let leases: ServiceLeases
  package internal(set) var core: Supervisor
  /// Settings, environment and release of each generation that is not forgotten.
  package internal(set) var generations: [GenerationID: ResolvedGeneration] = [:]
  /// Each engine is asked through the public address with a mark that no client can know.
  package internal(set) var lastOutcome: OperationOutcome?
  package internal(set) var changeStartedAt: Instant?
  /// Which generation was to follow which, the last time one was begun; nil when its settings were refused.
  package internal(set) var lastChange: (from: GenerationID?, to: GenerationID)?
  package internal(set) var startedAt: Instant

  /// A generation's settings have been read: who its workers run as may have changed.
  package var generationChanged: (ResolvedGeneration) -> Void = { _ in }
  /// Nobody starts this service again: what others find of it goes.
  package private(set) var endsForGood = false

  private var inbox: [Event] = []
  private var isHandling = false
  private var isSettling = false
  private var tick: (token: TimerToken, at: Instant)?
  private var resting: TimerToken?
  private var exitCode: ExitCode?
  /// A share of the clients has met the candidate.
  private var isOnTrial = false
  /// Whom a shutdown had to kill, for the last status.
  private(set) var cut: [String] = []
  /// Over upgrades and crashes.
  package internal(set) var cuts = Cuts()
  /// What an earlier life served with, and how many workers it had, as long as nobody has said how many connections
  /// their end cut.
  package internal(set) var uncountedEnd: UncountedEnd?
  /// Of the event that is being handled.
  var census: ConnectionCensus?
  /// Where each decision is written down before it is acted on; nil where nobody would keep it.
  var memory: CrashMemory?
  var carried = Carried.nothing
  /// Who asked for leases in an earlier life, and what came to it not.
  var leaseOwner: String?
  var leaseWaits: [Wait] = []
  /// The order of listeners as an earlier life left it.
  var recordedGroups: [SteeringGroup] = []
  /// Asked before a generation is put in place; the answer is warnings for people.
  package internal(set) var settingsWarnings: [String] = []
  /// Nothing would be left of the listeners after a crash.
  package internal(set) var isStoreMissing = false

  package init(
    wiring: Wiring, loop: EventLoop, manager: ManagerLink, history: History, listeners: Listeners, workers: Workers,
    leases: ServiceLeases, core: Supervisor, operationPrefix: String
  ) {
    self.wiring = wiring
    self.loop = loop
    self.manager = manager
    self.history = history
    self.listeners = listeners
    self.workers = workers
    self.leases = leases
    self.core = core
    questions = Questions(loop: loop, listeners: listeners, workers: workers)
    stageCommands = StageCommands(loop: loop, children: workers.children)
    operations = Operations(prefix: operationPrefix)
    startedAt = .monotonicNow()
    workers.send = { [unowned self] in send($0) }
    workers.report = { history.add($0) }
    listeners.send = { [unowned self] in send($0) }
    listeners.report = { history.add($0) }
    questions.send = { [unowned self] in send($0) }
    leases.send = { [unowned self] in send($0) }
    leases.report = { history.add($0) }
    leases.changed = { [unowned self] in tellStatus() }
    leases.rests = { [unowned self] in
      giveMemoryBack(after: .milliseconds(100))
      writeDown()
    }
    // What had to be done for it is seldom done again soon.
    history.sinks.append { [weak self] _ in self?.giveMemoryBack() }
    workers.leases = leases
    loop.wasAway = { [unowned self] in send(.wasAway($0)) }
    stageCommands.done = { [unowned self] in send(.stageWorkDone($0)) }
    stageCommands.report = { history.add($0) }
  }

  // MARK: Asked from outside

  package func start(completion: @escaping (OperationOutcome) -> Void) {
    let (isEmpty, cut) = workers.endLeftovers(of: carried.generation?.settings.sockets.map(\.address) ?? [])
    if let cut {
      cuts += cut
      uncountedEnd = nil
    }
    // What still runs under the old grant must not meet its like under the same token.
    if isEmpty, let leaseOwner { leases.inherit(OwnerID(leaseOwner), leaseWaits) }
    send(.start(operations.begin(.start, at: .monotonicNow(), completion: completion)))
  }

  @discardableResult
  package func reload(
    _ wish: ReloadWish = ReloadWish(), by asker: Asker? = nil, completion: @escaping (OperationOutcome) -> Void
  ) -> OperationID {
    KillPoint.begin("reload")
    let id = operations.begin(
      .reload, release: wish.release, isWatchedByManager: asker?.isManagersCommand ?? false, at: .monotonicNow(),
      completion: completion)
    tell(id, wish.release.map { "reload with release \($0)" } ?? "reload", by: asker)
    send(.reload(id, wish))
    return id
  }

  @discardableResult
  package func restart(by asker: Asker? = nil, completion: @escaping (OperationOutcome) -> Void) -> OperationID {
    let id = operations.begin(.restart, at: .monotonicNow(), completion: completion)
    tell(id, "restart", by: asker)
    send(.restart(id))
    return id
  }

  @discardableResult
  package func scale(
    _ engine: EngineName, to workers: Int, by asker: Asker? = nil, completion: @escaping (OperationOutcome) -> Void
  ) -> OperationID {
    let id = operations.begin(.scale, at: .monotonicNow(), completion: completion)
    tell(id, "scaling of \(engine) to \(workers)", by: asker)
    send(.scale(engine, to: workers, id))
    return id
  }

  /// For good, or to be started again: the manager knows which.
  package func stop(_ cause: ShutdownCause, by asker: Asker? = nil) {
    tell(nil, "stop", by: asker)
    send(.stop(cause))
  }

  package func stopNow(by asker: Asker? = nil) {
    tell(nil, "stop at once", by: asker)
    send(.stopNow)
  }

  /// Of what is not an operation of the core.
  package func tellAsked(_ operation: OperationID, _ what: String, by asker: Asker) { tell(operation, what, by: asker) }

  /// Runs until the core says that all has ended.
  package func run() throws(SystemError) -> Int32 {
    try loop.run()
    return exitCode?.rawValue ?? 70
  }

  /// Settings are read, workers started or callers answered: most of what that took is not needed again for a long time.
  /// Once things have been quiet for a second.
  package func giveMemoryBack(after quiet: Duration = .seconds(1)) {
    loop.cancel(resting)
    resting = loop.schedule(after: quiet) {
      ResidentCode.giveBack()
      SharedHeap.giveBack()
    }
  }

  // MARK: Events in, actions out

  func send(_ event: Event) {
    inbox.append(event)
    guard !isHandling else { return }
    isHandling = true
    var next = 0
    while next < inbox.count {
      let event = inbox[next]
      next += 1
      for departed in listeners.takeDepartures() { decide(.listenerLeft(departed)) }
      decide(event)
      if next > 256 {
        inbox.removeFirst(next)
        next = 0
      }
    }
    inbox = []
    isHandling = false
    settle()
  }

  /// Once all that came in this wake-up has been handled: each takes a look at every worker.
  private func settle() {
    guard !isSettling else { return }
    isSettling = true
    loop.deferred { [weak self] in
      self?.isSettling = false
      self?.armTick()
      self?.tellStatus()
    }
  }

  private func tellStatus() { if !isHandling { manager.tell(status: statusLine, isBusy: isBusy) } }

  private func decide(_ event: Event) {
    let actions = core.handle(event, at: .monotonicNow())
    remember(actions)
    for action in actions { perform(action) }
    census = nil
  }

  func armTick() {
    let deadline = core.nextDeadline
    if tick?.at == deadline { return }
    loop.cancel(tick?.token)
    tick = deadline.map { at in
      (
        loop.schedule(at: at) { [unowned self] in
          tick = nil
          send(.tick)
        }, at
      )
    }
  }

  private func perform(_ action: Action) {
    switch action {
    case .loadSettings, .repeatSettings, .finish, .forget, .note, .tell, .exit: operate(action)
    case .open, .attach, .close, .relisten, .watchQuiet, .removeStoredListeners:
      KillPoint.reach("before \(action.label)")
      listen(action)
      KillPoint.reach("after \(action.label)")
    case .spawn, .terminate, .abort, .kill: work(action)
    case .askReadiness, .askLiveness, .askPending, .measure, .save, .prove, .checkTrial: ask(action)
    case .want, .unwant, .vacated, .closeLeases: keepLeases(action)
    case .runStageCommand(let stage, let index): runStageCommand(stage, index)
    case .cutStageCommand(let stage): stageCommands.cut(stage)
    case .closeLedger:
      history.closeLedger { [unowned self] in send(.stageWorkDone(.database)) }
    }
  }

  private func operate(_ action: Action) {
    switch action {
    case .loadSettings(let operation, let id): load(operation, as: id)
    case .repeatSettings(let operation, let old, let id):
      let scaled = core.scaledEngines.map { CrashRecord.Scaled(engine: $0.key, workers: $0.value) }
      guard let generation = generations[old]?.repeated(as: id).scaled(scaled) else {
        return send(.settingsRefused(operation, "generation \(old) is not known"))
      }
      loaded(generation, settingsWarnings, operation, again: true)
    case .finish(let operation, let verdict): finish(operation, verdict)
    case .forget(let id):
      generations[id] = nil
      workers.forget(id)
    case .note(let note): tell(note)
    case .tell(.reloading) where isChangeWatchedByManager: break
    case .tell(let message): manager.tell(message, status: statusLine)
    case .exit(let code):
      exitCode = code
      manager.tell(status: statusLine, isBusy: false)
      loop.stop()
    default: break
    }
  }

  /// The unit counts as reloading anyway. Told so twice, systemd 253 and later waits for READY=1 when its command has
  /// ended, also from a supervisor that died in the reload: nothing would be started again before the watchdog bites.
  private var isChangeWatchedByManager: Bool {
    guard case .changing(let change) = core.phase, let operation = change.operations.first else { return false }
    return operations.isWatchedByManager(operation)
  }

  private func finish(_ operation: OperationID, _ verdict: Verdict) {
    let outcome = operations.finish(
      operation, verdict, at: .monotonicNow(), duringTrial: isOnTrial,
      release: { [unowned self] in generations[$0]?.release },
      lastLines: workers.lastLines)
    guard let outcome else { return }
    lastOutcome = outcome
    giveMemoryBack()
    guard outcome.result != .done else {
      if let serving = core.serving.flatMap({ generations[$0] }) { leases.adopt(serving.settings.leases) }
      return
    }
    var happening = Happening(.operationRefused, "\(outcome.what); \(outcome.holds)")
    happening.operation = operation
    happening.reason = outcome.what
    history.add(happening)
  }

  private func tell(_ note: Note) {
    var happening = Narrator(release: { [unowned self] in generations[$0]?.release }).tell(note)
    switch note {
    case .queueGivenUp(let listener): countGivenUp(listener, &happening)
    case .workerKilled(let id, _): happening.text += workers.describeMembers(of: id)
    case .generationStarting(let id, let from, _):
      changeStartedAt = .monotonicNow()
      lastChange = (from, id)
      isOnTrial = false
    case .generationOnTrial, .generationRolling: isOnTrial = true
    case .shutdownStarted(let cause, _): endsForGood = cause == .stop
    case .stageEnded(_, _, let workers): cut += workers.map(\.label)
    default: break
    }
    if let worker = happening.worker { happening.pid = workers.pid(of: worker) }
    history.add(happening)
  }

  private func listen(_ action: Action) {
    switch action {
    case .open(let listener, let socket, let id):
      guard let settings = generations[id]?.socket(socket) else { return }
      listeners.open(listener, settings, group: core.groups[listener.key])
    case .attach(let key, let program, let rule): listeners.attach(key, program, rule)
    case .close(let listener): listeners.close(listener)
    case .relisten(let listener): listeners.relisten(listener)
    case .watchQuiet(let listener):
      let isServed = core.generations.values.contains { $0.bindings.values.contains(listener) }
      listeners.watchQuiet(listener, isServed: isServed)
    case .removeStoredListeners:
      listeners.removeFromStore()
      memory?.forget()
    default: break
    }
  }

  private func work(_ action: Action) {
    switch action {
    case .spawn(let id):
      guard let generation = generations[id.generation], let engine = generation.engine(id.engine) else { return }
      let bindings = core.generations[id.generation]?.bindings ?? [:]
      let sockets = engine.sockets.compactMap { name in
        bindings[name].flatMap { listeners.descriptor(of: $0) }.map { (name, $0) }
      }
      workers.spawn(id, engine, generation, sockets: sockets)
    case .terminate(let id): workers.terminate(id)
    case .abort(let id): workers.signal(id, .abort)
    case .kill(let id):
      countCut(id)
      workers.kill(id)
    default: break
    }
  }

  func engine(of id: WorkerID) -> Settings.Engine? { generations[id.generation]?.engine(id.engine) }

  private func runStageCommand(_ stage: Stage, _ index: Int) {
    let id = core.serving ?? core.generations.keys.max()
    guard let id, let generation = generations[id] else { return send(.stageWorkDone(stage)) }
    let shutdown = generation.settings.shutdown
    let commands = stage == .database ? shutdown.databaseCommands : shutdown.redisCommands
    guard commands.indices.contains(index) else { return send(.stageWorkDone(stage)) }
    stageCommands.run(stage, commands[index], generation)
  }
}
