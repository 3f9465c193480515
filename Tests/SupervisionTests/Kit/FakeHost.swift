import Vocabulary

@testable import Supervision

/// A model of the runtime and the kernel around a core: it does what the core says, late, badly or not at all, and lets
/// things happen by themselves. Everything follows from the seed.
struct FakeHost {
  struct Broken: Error { let text: String }

  enum Happening {
    /// To the core, unless the process it is about is gone.
    case tell(Event)
    case dies(WorkerID, ExitReason)
    case empties(WorkerID)
    case looksForQuiet(ListenerID, until: Instant)
    case client
    case accepts
    case disturb
    case stop(ShutdownCause)
    case stopNow
    case grants(LeaseName), withdraws(LeaseName), endsLease(LeaseName)
  }

  /// Made into text only when something broke.
  private enum Line {
    case event(Instant, Event)
    case action(Action)

    var text: String {
      switch self {
      case .event(let now, let event): "\(now.nanoseconds / 1_000_000) ms: \(event)"
      case .action(let action): "    \(action)"
      }
    }
  }

  private(set) var core: Supervisor
  private(set) var now = Instant.zero
  private(set) var witness = Witness()
  private var log: [Line] = []
  private(set) var steps = 0
  var random: SplitMix64
  let service: FakeService
  private var pending: [(at: Instant, number: Int, what: Happening)] = []
  private var numbers = 0
  private var characters: [WorkerID: Character] = [:]
  private var dead: Set<WorkerID> = []
  private var ready: Set<WorkerID> = []
  /// Told to end: takes no more connections.
  private var ending: Set<WorkerID> = []
  private var isBad: [GenerationID: Bool] = [:]
  var queues: [ListenerID: Int] = [:]
  /// Listeners whose clients may be lost: said aloud, or nobody's fault.
  private var excused: Set<ListenerID> = []
  private var stoppedAt: Instant?
  private var operations = 0
  private(set) var lost = 0
  private(set) var reached: Set<String> = []

  init(seed: UInt64) {
    random = SplitMix64(seed: seed)
    core = Supervisor(seed: seed)
    service = FakeService(random: &random)
  }

  // MARK: A life

  /// From start to rest or end; throws what was broken.
  mutating func live() throws(Broken) {
    try happen(.start(newOperation()))
    for _ in 0..<Int(random.below(12)) { later(random.duration(.zero, .seconds(60)), .disturb) }
    for _ in 0..<60 { later(random.duration(.zero, .seconds(70)), .client) }
    let ends = random.chance(80)
    if ends {
      later(random.duration(.zero, .seconds(80)), .stop(random.pick([.stop, .restart])))
      if random.chance(20) { later(random.duration(.seconds(70), .seconds(90)), .stopNow) }
    }
    // Long enough for everything that was begun to end; questions about life go on for ever.
    while now < Instant.zero + .seconds(160) { guard try step() else { break } }
    if case .ended = core.phase { return }
    if ends { throw broken("it should have ended and is \(core.phase)") }
    try checkRest()
  }

  /// The next thing that happens, or the next time the core wants to be woken. False when there is neither.
  private mutating func step() throws(Broken) -> Bool {
    steps += 1
    if steps > 20_000 { throw broken("it never comes to rest") }
    let next = pending.min { ($0.at, $0.number) < ($1.at, $1.number) }
    let deadline = core.nextDeadline
    if let deadline, deadline <= (next?.at ?? deadline) {
      if now < deadline { now = deadline }
      try wake()
    } else if let next {
      pending.removeAll { $0.number == next.number }
      now = max(now, next.at)
      try let_(next.what)
    } else {
      return false
    }
    try checkShutdownTime()
    return true
  }

  private mutating func wake() throws(Broken) {
    let before = core
    try happen(.tick)
    if core == before { throw broken("woken at \(now) for nothing; next is \(core.nextDeadline.debugDescription)") }
  }

  private mutating func let_(_ what: Happening) throws(Broken) {
    switch what {
    case .tell(let event):
      if let id = event.worker, dead.contains(id) || witness.processes[id] == nil { return }
      try happen(event)
      if case .showedLife(let id) = event { later(.milliseconds(900), .tell(.showedLife(id))) }
    case .dies(let id, let reason): try die(id, reason)
    case .empties(let id):
      guard witness.processes[id] != nil else { return }
      try happen(.emptied(id))
      dead.remove(id)
    case .looksForQuiet(let listener, let until): try look(listener, until)
    case .grants, .withdraws, .endsLease: try decide(what)
    case .client: connect()
    case .accepts: accept()
    case .disturb: try disturb()
    case .stop(let cause):
      if stoppedAt == nil { stoppedAt = now }
      try happen(.stop(cause))
    case .stopNow:
      if stoppedAt == nil { stoppedAt = now }
      try happen(.stopNow)
    }
  }

  // MARK: The core

  mutating func happen(_ event: Event) throws(Broken) {
    if case .showedLife = event {} else { log.append(.event(now, event)) }
    let before = core
    witness.happens(event, to: core)
    let actions = core.handle(event, at: now)
    if case .stop = event, stoppedAt == nil { stoppedAt = now }
    reached.insert(core.phase.name)
    for action in actions {
      log.append(.action(action))
      noteExcuses(action, before)
      if let text = witness.does(action, before: before, after: core, at: now) { throw broken(text) }
      perform(action)
      if lost > 0 { throw broken("\(lost) clients were lost") }
    }
    if case .stopping = core.phase, stoppedAt == nil { stoppedAt = now }
    if let text = witness.check(core) { throw broken(text) }
    // Answers to `open` come before anything else.
    while let index = pending.firstIndex(where: { $0.at == .zero && $0.number < 0 }) {
      guard case .tell(let event) = pending.remove(at: index).what else { continue }
      try happen(event)
    }
  }

  private mutating func perform(_ action: Action) {
    switch action {
    case .loadSettings(let operation, let id): load(operation, id)
    case .repeatSettings(let operation, let old, let id): repeatSettings(operation, old, id)
    case .open(let listener, _, _): answerOpen(listener)
    case .close(let listener): closeQueue(listener)
    case .watchQuiet(let listener): later(.milliseconds(5), .looksForQuiet(listener, until: now + .seconds(3)))
    case .spawn(let id): spawn(id)
    case .terminate(let id):
      ending.insert(id)
      if let delay = characters[id]?.exitsAfterTerm { later(delay, .dies(id, .exited(0))) }
    case .abort(let id): if random.chance(70) { later(.milliseconds(50), .dies(id, .signalled(6))) }
    case .kill(let id):
      if dead.contains(id) {
        later(characters[id]?.emptyAfter ?? .zero, .empties(id))
      } else {
        later(.milliseconds(1), .dies(id, .signalled(9)))
      }
    case .askReadiness(let id): if let wait = characters[id]?.readyAfter { later(wait, .tell(.ready(id))) }
    case .askLiveness(let id):
      later(.milliseconds(20), .tell(.livenessAnswered(id, isAlive: characters[id]?.showsLife == true)))
    case .askPending(let id):
      if random.chance(70) { later(random.duration(.zero, .seconds(30)), .tell(.nothingPending(id))) }
    case .measure(let id):
      // Growth that ends, so that the service comes to rest.
      let grown: UInt64 = now < .zero + .seconds(70) && random.chance(15) ? 9 : 1
      later(.milliseconds(2), .tell(.measured(id, memory: ByteCount(grown))))
    case .save(let id): if random.chance(70) { later(random.duration(.zero, .seconds(3)), .tell(.saved(id))) }
    case .prove(let id, let engine, let number):
      let fails = isBad[id] == true ? random.chance(70) : random.chance(1)
      // Somebody connects just when things are about to change.
      later(random.duration(.zero, .milliseconds(200)), .client)
      later(
        random.duration(.zero, .milliseconds(200)),
        .tell(.proofAnswered(id, engine, number: number, failure: fails ? "500" : nil)))
    case .checkTrial(let id, let round):
      let fails = random.chance(isBad[id] == true ? 30 : 1)
      later(random.duration(.zero, .seconds(2)), .tell(.trialChecked(id, round: round, failure: fails ? "no" : nil)))
    case .runStageCommand(let stage, _):
      if random.chance(80) { later(.milliseconds(300), .tell(.stageWorkDone(stage))) }
    case .cutStageCommand: pending.removeAll { if case .tell(.stageWorkDone) = $0.what { true } else { false } }
    case .closeLedger: if random.chance(90) { later(.milliseconds(20), .tell(.stageWorkDone(.database))) }
    case .want, .vacated, .closeLeases: keepLeases(action)
    case .attach, .relisten, .finish, .forget, .removeStoredListeners, .exit, .tell, .note, .unwant: break
    }
  }

  private mutating func load(_ operation: OperationID, _ id: GenerationID) {
    let plan = service.plan(id, random: &random)
    let isFirst = id == GenerationID(1)
    isBad[id] = !isFirst && random.chance(40)
    if isFirst { recover(plan) }
    let answer: Event =
      !isFirst && random.chance(10) ? .settingsRefused(operation, "line 3") : .settingsLoaded(operation, plan)
    later(random.duration(.zero, .milliseconds(50)), .tell(answer))
  }

  private mutating func answerOpen(_ listener: ListenerID) {
    let roll = random.below(100)
    let isPermanent = service.hasSocketUnit && listener == .http(1)
    let opened = roll < 6 ? Event.listenerMustBeShared(listener) : .listenerOpened(listener, isPermanent: isPermanent)
    let event = roll < 3 ? .listenerRefused(listener, "EMFILE") : opened
    numbers += 1
    pending.append((.zero, numbers - 1_000_000, .tell(event)))
  }

  // MARK: Processes

  private mutating func spawn(_ id: WorkerID) {
    let character = character(of: id)
    characters[id] = character
    if random.chance(isBad[id.generation] == true ? 10 : 1) {
      return later(.milliseconds(1), .tell(.spawnFailed(id, "ENOENT")))
    }
    later(.milliseconds(1), .tell(.spawned(id)))
    if let ready = character.readyAfter, service.saysReady(id.engine) { later(ready, .tell(.ready(id))) }
    if let death = character.diesAfter { later(death, .dies(id, .exited(1))) }
    if character.showsLife, core.generations[id.generation]?.engine(id.engine)?.plan.liveness?.isTold == true {
      later(.milliseconds(100), .tell(.showedLife(id)))
    }
  }

  private mutating func character(of id: WorkerID) -> Character {
    let isBad = isBad[id.generation] == true
    return Character(
      readyAfter: random.chance(isBad ? 20 : 2) ? nil : random.duration(.milliseconds(2), .seconds(2)),
      diesAfter: random.chance(isBad ? 20 : 5) ? random.duration(.milliseconds(1), .seconds(20)) : nil,
      exitsAfterTerm: random.chance(15) ? nil : random.duration(.milliseconds(1), .seconds(5)),
      emptyAfter: random.chance(2) ? .seconds(5) : random.duration(.zero, .milliseconds(20)),
      showsLife: !random.chance(5))
  }

  private mutating func die(_ id: WorkerID, _ reason: ExitReason) throws(Broken) {
    guard witness.processes[id] != nil, !dead.contains(id) else { return }
    dead.insert(id)
    ready.remove(id)
    if witness.processes[id]?.killedAt != nil { later(characters[id]?.emptyAfter ?? .zero, .empties(id)) }
    try happen(.exited(id, reason))
  }

  // MARK: Clients

  /// A client connects somewhere; who takes it must be allowed to, which the witness has checked, and it is not lost.
  private mutating func connect() {
    let keys = witness.kernel.groups.filter { !$0.value.members.isEmpty }.keys.sorted()
    guard !keys.isEmpty else { return }
    let met = witness.kernel.clients(random.pick(keys)).sorted()
    guard !met.isEmpty, isPromised(met[0].key) else { return }
    queues[random.pick(met), default: 0] += 1
    later(random.duration(.zero, .milliseconds(200)), .accepts)
  }

  /// The serving settings name this address.
  private func isPromised(_ key: SocketKey) -> Bool {
    core.serving.flatMap { core.generations[$0] }?.bindings.values.contains { $0.key == key } == true
  }

  private mutating func accept() {
    for (listener, queued) in queues where queued > 0 {
      let taker = ready.contains {
        !ending.contains($0) && witness.processes[$0]?.listeners.contains(listener) == true
      }
      if taker { queues[listener] = 0 }
    }
  }

  private mutating func look(_ listener: ListenerID, _ until: Instant) throws(Broken) {
    guard witness.kernel.members(listener.key).contains(listener) else { return }
    let queued = queues[listener] ?? 0
    let isServed = core.generations.values.contains { $0.bindings.values.contains(listener) }
    if queued > 0, !isServed { return try happen(.quiet(listener, unfinished: queued)) }
    guard queued == 0 || until <= now else { return later(.milliseconds(50), .looksForQuiet(listener, until: until)) }
    if queued > 0 { excused.insert(listener) }
    try happen(.quiet(listener, unfinished: queued))
  }

  private mutating func noteExcuses(_ action: Action, _ before: Supervisor) {
    switch action {
    case .note(.drainCut(let id, _)): excused.formUnion(before.generations[id]?.bindings.values.map { $0 } ?? [])
    case .note(.generationServing(let id, let old?, _)):
      // Sockets that are gone from the settings go with what they hold.
      let kept = Set((core.generations[id]?.bindings ?? [:]).values.map(\.key))
      excused.formUnion((before.generations[old]?.bindings ?? [:]).values.filter { !kept.contains($0.key) })
    case .note(.workerReady(let id)):
      ready.insert(id)
      accept()
    case .note(.listenerLeft(let listener)), .note(.queueGivenUp(let listener)): excused.insert(listener)
    default: break
    }
  }

  private mutating func closeQueue(_ listener: ListenerID) {
    let queued = queues.removeValue(forKey: listener) ?? 0
    // With its address gone from the settings, or at the end of the time for intake, nobody is left to take them.
    if queued > 0, isPromised(listener.key), !core.isStopping, !excused.contains(listener) { lost += queued }
  }

  // MARK: Disturbances

  private mutating func disturb() throws(Broken) {
    switch random.below(100) {
    case 0..<30: try happen(.reload(newOperation()))
    case 30..<45:
      let operation = newOperation()
      later(
        random.chance(20) ? .zero : random.duration(.zero, .seconds(8)),
        .tell(.holdReleased(operation, random.pick([.commit, .commit, .abort(.asked), .abort(.callerLeft)]))))
      try happen(.reload(operation, ReloadWish(release: ReleaseID("r"), hold: .seconds(6))))
    case 45..<55: try happen(.restart(newOperation()))
    case 55..<65: try happen(.scale(random.pick(FakeService.names), to: Int(random.below(5)), newOperation()))
    case 65..<72:
      guard !witness.processes.isEmpty else { return }
      try happen(.served(random.pick(witness.processes.keys.sorted()), requests: UInt64(random.below(20))))
    case 72..<74: try happen(.wasAway(random.duration(.seconds(1), .seconds(9))))
    case 74..<85:
      guard let id = witness.processes.keys.sorted().first(where: { _ in random.chance(50) }) else { return }
      try die(id, .signalled(11))
    case 85..<93:
      let shared = witness.processes.values.flatMap { $0.listeners.sorted() }.filter {
        witness.kernel.members($0.key).contains($0) && witness.kernel.groups[$0.key]?.kind != .constant
      }
      guard !shared.isEmpty else { return }
      let listener = random.pick(shared.sorted())
      queues[listener] = 0
      try happen(.listenerLeft(listener))
    default:
      // Late and foreign news.
      try happen(.ready(WorkerID(generation: GenerationID(1), engine: Names.web, slot: 1, run: 1)))
      try happen(.quiet(ListenerID(key: SocketPlan.http.key, number: 77), unfinished: 0))
      try happen(.proofAnswered(GenerationID(1), Names.web, number: 1, failure: "late"))
      try happen(.trialChecked(GenerationID(1), round: 1, failure: "late"))
      try happen(.stageWorkDone(.redis))
    }
  }

  // MARK: Checks

  private mutating func checkShutdownTime() throws(Broken) {
    guard let stoppedAt, core.phase != .ended else { return }
    // Each of three stages may take the grace to clear, and the ledger another.
    let limit = stoppedAt + .seconds(30) + Shutdown.clearingGrace * 4
    if now > limit { throw broken("still \(core.phase) at \(now), stopped at \(stoppedAt)") }
  }

  /// Nothing is under way: then one generation serves with all its workers, and nothing else is left.
  private func checkRest() throws(Broken) {
    guard core.phase == .steady, let serving = core.serving, let generation = core.generations[serving] else {
      throw broken("at rest in \(core.phase)")
    }
    if core.generations.count > 1 { throw broken("at rest with generations \(core.generations.keys)") }
    for worker in generation.engines.filter({ $0.phase != .standby }).flatMap(\.workers)
    where !worker.isReady && !worker.hasFailed {
      throw broken("at rest with \(worker.id) \(worker.state)")
    }
    if core.hasQueuesToServe { throw broken("nobody serves \(core.unservedQueues)") }
    if !witness.open.isEmpty { throw broken("at rest without a verdict for \(witness.open)") }
    for (key, group) in core.groups {
      // Nobody's but systemd's.
      if Set(group.members) == group.permanent, group.idle == group.permanent { continue }
      guard generation.bindings.values.contains(group.serving) else { throw broken("nobody serves \(key)") }
      if Set(group.members) != group.idle.union([group.serving]) { throw broken("left over in \(group)") }
    }
  }

  private func broken(_ text: String) -> Broken {
    Broken(text: text + "\n" + log.suffix(80).map(\.text).joined(separator: "\n"))
  }

  // MARK: Small things

  private mutating func newOperation() -> OperationID {
    operations += 1
    return OperationID("op\(operations)")
  }

  mutating func later(_ wait: Duration, _ what: Happening) {
    numbers += 1
    pending.append((now + wait, numbers, what))
  }
}
