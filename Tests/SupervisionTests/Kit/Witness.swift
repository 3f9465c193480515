import Vocabulary

@testable import Supervision

/// Watches a core from outside: takes each event and each action, keeps what a kernel and a process table would have, and
/// says which promise was broken. It knows nothing of the core's ways, only of its promises.
struct Witness: Hashable {
  struct Process: Hashable {
    let listeners: Set<ListenerID>
    let engine: EnginePlan
    var killedAt: Instant?

    /// Still in somebody's way: what was killed and does not vanish is not waited for longer than the grace.
    func counts(at now: Instant) -> Bool { killedAt.map { now < $0 + Shutdown.clearingGrace } ?? true }
  }

  var kernel = FakeKernel()
  private(set) var processes: [WorkerID: Process] = [:]
  /// Generations that serve or have served.
  private(set) var committed: Set<GenerationID> = []
  /// Those that served before the event that is being answered.
  private var answering: Set<GenerationID> = []
  /// On trial, with the shares of the clients that were said aloud.
  private(set) var onTrial: [GenerationID: [Share]] = [:]
  /// Batches that were said aloud.
  private(set) var batches: [GenerationID: Int] = [:]
  /// Candidates of a handover that gave a wrong answer.
  private var disproved: Set<GenerationID> = []
  private(set) var open: Set<OperationID> = []
  /// What serves is started once more: it was tried out when it came.
  private(set) var repeats: Set<OperationID> = []
  /// Of reloads that hold: whether somebody said "commit" while their candidate waited.
  private var holds: [OperationID: Bool] = [:]
  private(set) var isStopping = false
  private(set) var hasExited = false
  /// What whoever decides about leases knows.
  enum Lease: Hashable { case wanted, permitted, withdrawn, given }
  var leases: [LeaseName: Lease] = [:]
  /// Nobody wants them any more, but they are not given back yet.
  var unwanted: Set<LeaseName> = []
  /// Its end has come: nothing of it may live on.
  var isUp: Set<LeaseName> = []
  private(set) var now = Instant.zero
  /// Listeners that a worker shut down just now: the kernel acted before anybody knew.
  private var shutDown: Set<SocketKey> = []

  // MARK: Events

  mutating func happens(_ event: Event, to core: Supervisor) {
    shutDown = []
    answering = committed
    switch event {
    case .reload(let operation, let wish):
      open.insert(operation)
      if wish.hold != nil { holds[operation] = false }
    case .start(let operation), .restart(let operation), .scale(_, _, let operation): open.insert(operation)
    case .holdReleased(let operation, .commit): if core.held(operation) != nil { holds[operation] = true }
    case .proofAnswered(let id, let engine, let number, .some):
      // Answers to an earlier round are late.
      let isAsked = core.generations[id]?.engine(engine)?.proof?.numbers.contains(number) == true
      if isAsked, core.serving != nil, !committed.contains(id) { disproved.insert(id) }
    case .trialChecked(let id, let round, .some):
      if case .changing(let change) = core.phase, change.candidate == id, case .trial(let trial) = change.step,
        trial.round == round, trial.askAt == nil
      {
        disproved.insert(id)
      }
    case .stop, .stopNow: isStopping = true
    case .permitted(let lease): leases[lease] = .permitted
    case .withdrawn(let lease): leases[lease] = .withdrawn
    case .leaseIsUp(let lease):
      isUp.insert(lease)
      leases[lease] = .withdrawn
    case .emptied(let id), .spawnFailed(let id, _): processes[id] = nil
    case .listenerLeft(let listener):
      kernel.leave(listener)
      shutDown.insert(listener.key)
    case .listenersRecovered(let groups, _):
      for group in groups {
        for member in group.members { kernel.open(member, group.kind) }
        kernel.attach(group.serving.key, group.program, group.rule)
      }
    case .listenerOpened(let listener, true): kernel.makePermanent(listener)
    case .listenerRefused(let listener, _), .listenerMustBeShared(let listener): kernel.leave(listener)
    default: break
    }
  }

  // MARK: Actions

  /// Does what `action` does to kernel and processes, and says what it broke.
  mutating func does(_ action: Action, before: Supervisor, after: Supervisor, at now: Instant) -> String? {
    self.now = now
    if hasExited {
      // Whoever asks late is still answered.
      if case .finish = action {} else if case .forget = action {} else { return "\(action) after the exit" }
    }
    if let broken = follow(action, before: before, after: after) { return broken }
    for key in kernel.groups.keys.sorted() {
      if let broken = strayClients(key, before: before, after: after) { return "\(broken) after \(action)" }
    }
    return nil
  }

  private mutating func follow(_ action: Action, before: Supervisor, after: Supervisor) -> String? {
    switch action {
    case .open(let listener, let socket, let id):
      let plan = after.generations[id]?.plan ?? before.generations[id]?.plan
      kernel.open(listener, plan?.socket(socket)?.steering ?? .program)
    case .attach(let key, let program, let rule):
      kernel.attach(key, program, rule)
      if case .share(let share, let candidate, _) = rule, !isGranted(share, to: candidate, after) {
        return "\(share) of the clients meet \(candidate), and nobody was told"
      }
      if kernel.members(key).contains(rule.serving) { shutDown.remove(key) }
    case .close(let listener):
      let users = processes.filter { $0.value.listeners.contains(listener) }.keys
      // The end of intake: the whole address goes, one listener after the other.
      if isStopping { shutDown.insert(listener.key) }
      if !isStopping, !users.isEmpty, kernel.members(listener.key).contains(listener) {
        return "\(listener) is closed while \(users) have it"
      }
      kernel.close(listener)
    case .relisten(let listener):
      kernel.relisten(listener)
      if kernel.members(listener.key).count > 1 { shutDown.remove(listener.key) }
    case .spawn(let id): return spawn(id, after)
    case .terminate(let id): return terminate(id, before: before, after: after)
    case .kill(let id): processes[id]?.killedAt = now
    case .prove(let id, let engine, _): return prove(id, engine, after)
    case .closeLedger:
      let left = processes.values.filter { $0.engine.stage <= .database && $0.counts(at: now) }
      if !left.isEmpty { return "the ledger is closed while engines run: \(left.map(\.engine.name))" }
    case .want, .unwant, .vacated, .closeLeases: return followLease(action)
    case .finish(let operation, let verdict):
      holds[operation] = nil
      if open.remove(operation) == nil { return "a second verdict for \(operation): \(verdict)" }
    case .note(let note): return heed(note, after)
    case .exit:
      hasExited = true
      if processes.values.contains(where: { $0.counts(at: now) }) { return "exit while \(processes.keys) run" }
    case .forget(let id):
      if processes.keys.contains(where: { $0.generation == id }) {
        return "generation \(id) is forgotten while it runs"
      }
    // Nobody asked for it, and it is brought to its end all the same.
    case .repeatSettings(let operation, _, _):
      open.insert(operation)
      repeats.insert(operation)
    case .loadSettings, .watchQuiet, .abort, .askReadiness, .askLiveness, .checkTrial, .askPending, .measure, .save,
      .removeStoredListeners,
      .runStageCommand, .cutStageCommand, .tell:
      break
    }
    return nil
  }

  private mutating func heed(_ note: Note, _ core: Supervisor) -> String? {
    switch note {
    case .generationServing(let id, let old, let operation):
      if holds[operation] == false { return "generation \(id) is committed to without the word it waits for" }
      if disproved.contains(id) { return "generation \(id) is committed to though it gave a wrong answer" }
      if old != nil, !repeats.contains(operation),
        let shares = core.generations[id]?.plan.trial?.shares, onTrial[id] ?? [] != shares
      {
        return "generation \(id) is committed to after a trial of \(onTrial[id] ?? []) instead of \(shares)"
      }
      if let short = core.generations[id]?.engines.first(where: { $0.workers.count < $0.plan.workers }) {
        return
          "generation \(id) is committed to with \(short.workers.count) of \(short.plan.workers) \(short.plan.name)"
      }
      committed.insert(id)
      onTrial[id] = nil
    case .generationOnTrial(let id, let share, _):
      if case .changing(let change) = core.phase, change.operations.contains(where: { holds[$0] == false }) {
        return "generation \(id) meets clients without the word it waits for"
      }
      onTrial[id, default: []].append(share)
    case .generationRolling(let id, let batch, let count, _):
      if case .changing(let change) = core.phase, change.operations.contains(where: { holds[$0] == false }) {
        return "generation \(id) meets clients without the word it waits for"
      }
      if batch != batches[id, default: 0] + 1 || batch >= count { return "batch \(batch) of \(count) is out of turn" }
      batches[id] = batch
      onTrial[id] = []
    case .handoverAborted(let id, _, _): onTrial[id] = nil
    default: break
    }
    return nil
  }

  private mutating func spawn(_ id: WorkerID, _ after: Supervisor) -> String? {
    if isStopping { return "\(id) is started after a stop" }
    guard let generation = after.generations[id.generation], let engine = generation.plan.engine(id.engine) else {
      return "\(id) is started for a generation that is not there"
    }
    if processes[id] != nil { return "\(id) is started twice" }
    if let old = processes.keys.first(where: { $0.isSamePlace(as: id) }) {
      // A fresh one that crashed comes back while the one it relieved still ends.
      let isRelieving = engine.handover == .overlap && after.worker(old)?.part == .leaving
      guard isRelieving || after.worker(id)?.part == .successor else {
        return "\(id) is started beside its predecessor"
      }
      if !isRelieving, let broken = replaces(id, old, engine, after) { return broken }
    }
    if let lease = engine.lease, leases[lease] != .permitted || unwanted.contains(lease) {
      if !engine.isWarm { return "\(id) is started without \(lease)" }
      if leases[lease] == .permitted || leases[lease] == .withdrawn { return "\(id) is started while \(lease) goes" }
    }
    let others = processes.filter { $0.key.engine == id.engine && $0.key.generation != id.generation }
    if !others.isEmpty,
      engine.handover == .exclusive
        || others.values.contains(where: { $0.engine.handover == .exclusive }
        )
    {
      return "\(id) overlaps \(others.keys)"
    }
    let listeners = engine.sockets.compactMap { generation.bindings[$0] }
    for listener in listeners
    where generation.draining == nil && kernel.groups[listener.key]?.members.contains(listener) != true {
      return "\(id) is given \(listener), which is not open"
    }
    processes[id] = Process(listeners: Set(listeners), engine: engine)
    return nil
  }

  /// A worker that is well gets a successor: never of an exclusive engine, one at a time, nothing else under way.
  private func replaces(_ id: WorkerID, _ old: WorkerID, _ engine: EnginePlan, _ after: Supervisor) -> String? {
    if engine.handover == .exclusive { return "\(id) is started beside \(old), which is exclusive" }
    let siblings = processes.keys.filter { $0.generation == id.generation && $0.engine == id.engine }
    if siblings.count > Set(siblings.map(\.slot)).count { return "\(id) is the second that is replaced" }
    if let other = siblings.first(where: { after.worker($0)?.isReady != true }) {
      return "\(id) is to replace one while \(other) is not ready"
    }
    return after.phase == .steady && after.scaling == nil && after.paused == nil ? nil : "\(id) is replaced meanwhile"
  }

  /// Told to end for its successor, which is ready by then, unless the two may not meet.
  private func isRelieved(_ id: WorkerID, _ after: Supervisor) -> Bool {
    guard after.worker(id)?.part == .leaving, let engine = after.generations[id.generation]?.engine(id.engine) else {
      return false
    }
    if engine.plan.handover == .exclusive { return engine.workers.count { $0.part != .regular } == 1 }
    return engine.workers.contains { $0.id != id && $0.id.slot == id.slot && $0.isReady }
      // Whoever was given up is at work neither before nor after.
      && engine.workers.count { $0.isReady || ($0.hasFailed && $0.isWanted) } >= engine.wanted
  }

  private func terminate(_ id: WorkerID, before: Supervisor, after: Supervisor) -> String? {
    guard let process = processes[id] else { return nil }
    let siblings = processes.filter {
      $0.key.generation == id.generation && $0.value.engine.stage == process.engine.stage
    }
    if let later = siblings.first(where: { $0.value.engine.after.contains(id.engine) }), after.scaling == nil,
      process.engine.lease.map({ leases[$0] == .withdrawn }) != true,
      !isGivenUp(id, after), !isRelieved(id, after), !yields(id, after)
    {
      return "\(id) is ended before \(later.key), which comes after it"
    }
    if isStopping {
      let earlier = processes.filter { $0.value.engine.stage < process.engine.stage && $0.value.counts(at: now) }
      if !earlier.isEmpty { return "\(id) is ended while \(earlier.keys) of earlier stages run" }
    }
    if let lease = process.engine.lease, leases[lease] == .withdrawn { return nil }
    guard !isStopping, before.serving == id.generation, after.serving == id.generation else { return nil }
    if isRelieved(id, after) { return nil }
    switch after.phase {
    case .steady: return after.scaling != nil || id.slot > 1 ? nil : "\(id) is ended, but it serves"
    case .changing(let change) where change.kind == .restart: return nil
    case .changing(let change):
      switch change.step {
      case .swapping(let name, _) where name == id.engine: return nil
      case .trial where yields(id, after): return nil
      case .loading, .ending, .opening, .starting, .proving, .holding, .trial, .swapping, .restoring:
        return "\(id) is ended before its successor serves"
      }
    case .new, .stopping, .ended: return "\(id) is ended in no phase for that"
    }
  }

  /// The exclusive engines of a candidate that is given up end at once: others wait for their place.
  private func isGivenUp(_ id: WorkerID, _ core: Supervisor) -> Bool {
    !committed.contains(id.generation) && core.generations[id.generation]?.draining != nil
  }

  /// What was said aloud; where workers come in batches, no more than the part of them that is there.
  private func isGranted(_ share: Share, to listener: ListenerID, _ core: Supervisor) -> Bool {
    bound(to: listener, core).contains { id in
      guard let shares = onTrial[id] else { return false }
      guard batches[id] != nil, let generation = core.generations[id] else { return shares.last == share }
      // In a stop nothing is steered any more; what waits is served by the next life.
      if isStopping { return true }
      let users = generation.engines.filter { $0.plan.sockets.contains { generation.bindings[$0] == listener } }
      let ready = users.reduce(0) { $0 + $1.workers.count(where: \.isReady) }
      return Int(share.basisPoints) * users.reduce(0) { $0 + $1.plan.workers } <= 10_000 * ready
    }
  }

  /// It makes room for one of a candidate whose batch is proved, and is not the last of its engine.
  private func yields(_ id: WorkerID, _ core: Supervisor) -> Bool {
    guard case .changing(let change) = core.phase, case .trial = change.step, change.roll?.yielded.contains(id) == true,
      batches[change.candidate] != nil,
      let engine = core.generations[id.generation]?.engine(id.engine), engine.plan.handover == .overlap,
      let next = core.generations[change.candidate]?.engine(id.engine)
    else { return false }
    // With those that came there are no fewer than before.
    return engine.wanted >= 1 && next.workers.allSatisfy(\.isReady)
      && engine.wanted + next.workers.count >= min(next.plan.workers, engine.plan.workers)
  }

  private func prove(_ id: GenerationID, _ engine: EngineName, _ after: Supervisor) -> String? {
    guard let generation = after.generations[id], let proof = generation.plan.engine(engine)?.proof,
      let listener = generation.bindings[proof.socket], kernel.groups[listener.key]?.kind == .program
    else { return nil }
    let met = kernel.probes(listener.key)
    return met == [listener] ? nil : "generation \(id) is asked, but \(met) answer"
  }

  // MARK: Clients

  /// Whom clients of `key` meet is nobody they may not meet: a committed generation, one on trial, or, where no committed
  /// one answers, whoever is there.
  private func strayClients(_ key: SocketKey, before: Supervisor, after: Supervisor) -> String? {
    // A first start and a restart have nothing else to offer.
    guard !shutDown.contains(key), after.serving != nil else { return nil }
    for listener in kernel.clients(key) {
      if mayServe(listener, before) || mayServe(listener, after) { continue }
      if waitsForSameAgain(listener, before, after) { continue }
      let isAnswered = answering.contains { id in
        after.generations[id]?.bindings.values.contains { $0.key == key && kernel.members(key).contains($0) } == true
      }
      let users = bound(to: listener, before).union(bound(to: listener, after))
      if isAnswered { return "clients of \(key) meet \(listener) of \(users), committed are \(committed)" }
    }
    return nil
  }

  /// Whether it is one of a generation that clients may meet.
  private func mayServe(_ listener: ListenerID, _ core: Supervisor) -> Bool {
    core.generations.contains { id, generation in
      (committed.contains(id) || onTrial[id] != nil) && generation.bindings.values.contains(listener)
    }
  }

  private func bound(to listener: ListenerID, _ core: Supervisor) -> Set<GenerationID> {
    Set(core.generations.values.filter { $0.bindings.values.contains(listener) }.map(\.id))
  }

  // MARK: After all actions of an event

  /// What must hold between events.
  mutating func check(_ core: Supervisor) -> String? {
    answering = committed
    for key in kernel.groups.keys.sorted() {
      if let broken = strayClients(key, before: core, after: core) { return "\(broken) after all" }
    }
    for (key, group) in core.groups {
      if group.kind != .rename, kernel.members(key) != group.members {
        return "\(key): the kernel has \(kernel.members(key)), the core \(group.members)"
      }
      if (kernel.groups[key]?.members.count ?? 0) > 1, group.kind == .program || group.kind == .constant,
        kernel.groups[key]?.program != group.program
      {
        return "\(key): the kernel runs \(kernel.groups[key].debugDescription), the core means \(group.program)"
      }
    }
    for (id, process) in processes where core.worker(id)?.isGone != false {
      return "\(id) of \(process.engine.name) runs, but the core does not know it"
    }
    for generation in core.generations.values {
      for worker in generation.engines.flatMap(\.workers) where !worker.isGone && processes[worker.id] == nil {
        if case .waiting = worker.state { continue }
        return "\(worker.id) is \(worker.state), but no process is there"
      }
    }
    for (id, process) in processes where process.killedAt == nil {
      if let lease = process.engine.lease, isUp.contains(lease) { return "\(id) lives on without \(lease)" }
      guard let lease = process.engine.lease, leases[lease] == .withdrawn, let worker = core.worker(id) else {
        continue
      }
      if worker.isWanted { return "\(id) works on without \(lease)" }
    }
    if core.phase == .ended, !open.isEmpty { return "ended without a verdict for \(open)" }
    return nil
  }
}

extension WorkerID {
  fileprivate func isSamePlace(as other: WorkerID) -> Bool {
    generation == other.generation && engine == other.engine && slot == other.slot
  }
}
