package import Vocabulary

/// An engine of one generation: its workers, and how far it has come.
package struct Engine: Hashable, Sendable {
  package enum Phase: String, Hashable, Sendable {
    /// Not yet to be started: it comes after others, or its predecessor must end first.
    case held
    case started
    /// It waits for its lease; what ran under it ends.
    case standby
    /// Being stopped, or stopped.
    case ending
  }

  package let plan: EnginePlan
  package internal(set) var phase: Phase = .held
  package internal(set) var workers: [Worker]
  package internal(set) var proof: Proof?

  /// How the questions to a candidate go.
  package struct Proof: Hashable, Sendable {
    package internal(set) var passed = 0
    package internal(set) var failure: String?
    /// Each round counts anew; answers to an earlier one are late.
    var firstNumber: Int
    var needed: Int
    var isPassed: Bool { passed >= needed }
    var numbers: Range<Int> { firstNumber..<(firstNumber + needed) }
  }

  init(plan: EnginePlan, generation: GenerationID, workers count: Int) {
    self.plan = plan
    // None where it was scaled to nothing in a life before this one.
    workers = (0..<max(0, count)).map {
      Worker(id: WorkerID(generation: generation, engine: plan.name, slot: $0 + 1, run: 0))
    }
  }

  package var isReady: Bool { phase == .standby || (phase == .started && workers.allSatisfy(\.isReady)) }
  package var isGone: Bool { workers.allSatisfy(\.isGone) }
  package var hasFailed: Bool { !workers.isEmpty && workers.allSatisfy(\.hasFailed) }
  /// Nothing more will come of waiting: each worker is ready or given up.
  var hasSettled: Bool {
    phase == .standby || (phase == .started && workers.allSatisfy { $0.isReady || $0.hasFailed })
  }

  /// Where that very run is, nil when it is over. Slots are in order unless the engine was scaled, so no search.
  func place(of id: WorkerID) -> Int? {
    if workers.indices.contains(id.slot - 1), workers[id.slot - 1].id == id { return id.slot - 1 }
    return workers.firstIndex { $0.id == id }
  }
}

/// The workers started from one release and one resolved configuration, and the listeners they were given.
package struct Generation: Hashable, Sendable {
  package enum Role: Hashable, Sendable {
    /// On its way to serve.
    case candidate
    /// Committed and pinned.
    case serving
    case draining(Draining)
  }

  package struct Draining: Hashable, Sendable {
    package let since: Instant
    /// Whatever is left then is killed.
    package internal(set) var cutAt: Instant
    /// Listeners that were steered away from and still hold connections.
    package internal(set) var unquiet: Set<ListenerID>
    /// Else it was a candidate that was given up.
    package let hasServed: Bool
    package internal(set) var isCut = false

    var deadline: Instant? { isCut ? nil : cutAt }
  }

  package let plan: GenerationPlan
  package internal(set) var role: Role = .candidate
  package internal(set) var engines: [Engine]
  package internal(set) var bindings: [SocketName: ListenerID] = [:]

  package var id: GenerationID { plan.id }

  /// `batch`: at first no more workers of each engine than this, but for those in `whole`.
  init(plan: GenerationPlan, batch: Int? = nil, whole: [EngineName] = []) {
    self.plan = plan
    engines = plan.engines.map { engine in
      let most = whole.contains(engine.name) ? nil : batch
      return Engine(plan: engine, generation: plan.id, workers: min(engine.workers, most ?? engine.workers))
    }
  }

  package var isGone: Bool { engines.allSatisfy(\.isGone) }
  /// Whether a worker that dies comes back: while clients may wait for it.
  var mayRestart: Bool { draining?.unquiet.isEmpty != true }

  package var draining: Draining? {
    if case .draining(let draining) = role { return draining }
    return nil
  }

  /// It was committed to, once.
  var hasServed: Bool {
    switch role {
    case .candidate: false
    case .serving: true
    case .draining(let draining): draining.hasServed
    }
  }

  func listener(at key: SocketKey) -> ListenerID? { bindings.values.first { $0.key == key } }

  func index(of name: EngineName) -> Int? { engines.firstIndex { $0.plan.name == name } }
  package func engine(_ name: EngineName) -> Engine? { engines.first { $0.plan.name == name } }

  /// The next instant at which time alone changes something in a worker.
  var workerDeadline: Instant? {
    var next: Instant?
    for engine in engines.indices {
      for place in engines[engine].workers.indices {
        guard let deadline = engines[engine].workers[place].deadline else { continue }
        next = next.map { min($0, deadline) } ?? deadline
      }
    }
    return next
  }

  func workers(dueAt now: Instant) -> [WorkerID] {
    engines.flatMap { engine in
      engine.workers.compactMap { worker in worker.deadline.flatMap { $0 <= now ? worker.id : nil } }
    }
  }

  /// In place: with hundreds of workers nothing is copied for one of them.
  mutating func update(_ index: Int, _ place: Int, _ change: (inout Worker, EnginePlan) -> [Action]) -> [Action] {
    let plan = engines[index].plan
    return change(&engines[index].workers[place], plan)
  }

  // MARK: Starting

  mutating func start(_ index: Int, at now: Instant) -> [Action] {
    engines[index].phase = .started
    let isOverlapped = engines[index].plan.handover == .overlap
    engines[index].workers.removeAll { $0.part == .successor || (isOverlapped && $0.part == .leaving) }
    for place in engines[index].workers.indices { engines[index].workers[place].part = .regular }
    let plan = engines[index].plan
    return engines[index].workers.indices.flatMap { engines[index].workers[$0].start(plan, at: now) }
  }

  /// Starts each engine of `names` whose predecessors are ready; `isSatisfied` answers for those outside `names`.
  mutating func startNext(
    of names: Set<EngineName>, at now: Instant, if mayStart: (EnginePlan) -> Bool
  ) -> [Action] {
    var actions: [Action] = []
    for index in engines.indices where engines[index].phase == .held && names.contains(engines[index].plan.name) {
      let isDue = engines[index].plan.after.allSatisfy { name in
        guard names.contains(name), let other = engine(name) else { return true }
        return other.hasSettled
      }
      if isDue, mayStart(engines[index].plan) {
        actions += start(index, at: now)
      } else if isDue {
        engines[index].phase = .standby
      }
    }
    return actions
  }

  // MARK: Stopping

  /// Stops engines in the reverse of `after`: each when those that come after it are gone. Only those of `stages`.
  /// From the last to the first, so that one pass goes as far as is possible now.
  mutating func stopNext(of stages: Set<Stage>, killBy limit: Instant, at now: Instant) -> [Action] {
    var actions: [Action] = []
    for index in engines.indices.reversed()
    where engines[index].phase != .ending && stages.contains(engines[index].plan.stage) {
      let name = engines[index].plan.name
      let isDue = engines.allSatisfy { !($0.plan.after.contains(name) && stages.contains($0.plan.stage)) || $0.isGone }
      if isDue { actions += stop(index, killBy: limit, at: now) }
    }
    return actions
  }

  mutating func stop(_ index: Int, killBy limit: Instant, at now: Instant) -> [Action] {
    engines[index].phase = .ending
    let plan = engines[index].plan
    let killAt = min(limit, now + plan.stopTimeout)
    return engines[index].workers.indices.flatMap {
      engines[index].workers[$0].stop(killAt: killAt, plan, at: now)
    }
  }

  /// What waits to be started again stays as it is: nothing is started any more.
  mutating func cancelRestarts() {
    for index in engines.indices {
      for place in engines[index].workers.indices {
        if case .waiting = engines[index].workers[place].state { engines[index].workers[place].state = .idle }
      }
    }
  }

  /// Kills every worker of `stages` that is still there and not killed yet; returns whom.
  mutating func cut(_ stages: Set<Stage>, at now: Instant) -> (cut: [WorkerID], actions: [Action]) {
    var cut: [WorkerID] = []
    var actions: [Action] = []
    for index in engines.indices where stages.contains(engines[index].plan.stage) {
      engines[index].phase = .ending
      let plan = engines[index].plan
      for place in engines[index].workers.indices where !engines[index].workers[place].isGone {
        engines[index].workers[place].isWanted = false
        if engines[index].workers[place].isRunning { cut.append(engines[index].workers[place].id) }
        actions += engines[index].workers[place].clear(plan, at: now)
      }
    }
    return (cut, actions)
  }

  // MARK: Proof

  /// One round of questions to `index`; answers to earlier rounds no longer count.
  mutating func prove(_ index: Int) -> [Action] {
    // Without a worker nobody would answer.
    guard let plan = engines[index].plan.proof, engines[index].phase != .standby, !engines[index].workers.isEmpty else {
      return []
    }
    let first = (engines[index].proof?.numbers.upperBound) ?? 1
    engines[index].proof = Engine.Proof(firstNumber: first, needed: plan.passes)
    return (first..<(first + plan.passes)).map { .prove(id, engines[index].plan.name, number: $0) }
  }

  mutating func proofAnswered(_ name: EngineName, number: Int, failure: String?) {
    guard let index = index(of: name), let proof = engines[index].proof, proof.numbers.contains(number) else { return }
    if let failure {
      engines[index].proof?.failure = proof.failure ?? failure
    } else {
      engines[index].proof?.passed += 1
    }
  }
}
