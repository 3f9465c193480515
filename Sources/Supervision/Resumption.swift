package import Vocabulary

// The supervisor over an execve of its own program: what may be taken along, and how it is put together again.

/// Why the state cannot be taken along now. All of it passes.
package enum Unrest: Hashable, Sendable {
  case notStarted
  case changing(OperationID?)
  case scaling(OperationID)
  /// A worker that is well is being replaced.
  case recycling(EngineName)
  case reloadsWait(OperationID)
  /// What ran under a lease ends.
  case leaving(LeaseName)
  /// A listener is being watched until it is quiet.
  case quieting(ListenerID)
  case stopping
}

/// Why values do not make a supervisor.
package struct ResumptionError: Error, Hashable, Sendable, CustomStringConvertible {
  package let description: String
  init(_ description: String) { self.description = description }
}

extension Supervisor {
  /// nil while nothing is under way but the life of single workers. Then the state is: the generations, which of them
  /// serves, the groups of listeners, and the numbers that come next.
  package var unrest: Unrest? {
    switch phase {
    case .new: return .notStarted
    case .changing(let change): return .changing(change.operations.first)
    case .stopping, .ended: return .stopping
    case .steady: if serving == nil { return .notStarted }
    }
    if let scaling { return .scaling(scaling.operation) }
    if let engine = generations.values.flatMap(\.engines).first(where: \.isRecycling) {
      return .recycling(engine.plan.name)
    }
    if let lease = leases.filter({ $0.value.state == .leaving }).keys.min() { return .leaving(lease) }
    // While nothing new is begun they go along.
    if paused == nil, let reload = waitingReloads.first { return .reloadsWait(reload.operation) }
    let unquiet = generations.values.flatMap { $0.draining?.unquiet ?? [] }
    return unquiet.min().map { .quieting($0) }
  }

  /// One that was at rest, as another image of this program left it.
  ///
  /// - Throws: when the parts contradict each other: then nothing may be decided from them.
  package init(
    resuming generations: [Generation], serving: GenerationID, groups: [SteeringGroup], nextGeneration: GenerationID,
    nextListener: UInt64, random: SplitMix64, leases: [LeaseName: LeaseStanding] = [:]
  ) throws(ResumptionError) {
    self.init(firstGeneration: nextGeneration, firstListener: nextListener, seed: random.state)
    for generation in generations {
      guard self.generations.updateValue(generation, forKey: generation.id) == nil else {
        throw ResumptionError("generation \(generation.id) is there twice")
      }
      guard generation.id < nextGeneration else {
        throw ResumptionError("generation \(generation.id) is not before \(nextGeneration), which comes next")
      }
      guard (generation.role == .serving) == (generation.id == serving), generation.role != .candidate else {
        throw ResumptionError("generation \(generation.id) does not fit \(serving), which serves")
      }
    }
    guard self.generations[serving] != nil else {
      throw ResumptionError("generation \(serving) serves and is not there")
    }
    for group in groups {
      guard self.groups.updateValue(group, forKey: group.serving.key) == nil else {
        throw ResumptionError("\(group.serving.key) has two groups")
      }
      if let late = group.members.first(where: { $0.number >= nextListener }) {
        throw ResumptionError("listener \(late) is not before \(nextListener), which comes next")
      }
    }
    self.serving = serving
    self.leases = leases
    hasAskedForLeases = !leases.isEmpty
    // Whether something waits in them is found out by serving them.
    unservedQueues = Set(self.groups.values.flatMap(\.unserved))
    phase = .steady
    try checkBindings()
  }

  /// The serving generation has a listener for each of its sockets.
  func checkBindings() throws(ResumptionError) {
    guard let serving, let generation = generations[serving] else { return }
    for socket in generation.plan.sockets {
      guard let listener = generation.bindings[socket.name] else {
        throw ResumptionError("generation \(serving) has no listener for socket \(socket.name)")
      }
      guard listener.key == socket.key, groups[listener.key] != nil else {
        throw ResumptionError(
          "socket \(socket.name) of generation \(serving) has the listener \(listener), of no group")
      }
    }
  }
}

extension Generation {
  /// As another image of this program left it. Each engine of the plan must be there, and no other.
  package init(
    resuming plan: GenerationPlan, role: Role, engines: [Engine], bindings: [SocketName: ListenerID]
  ) throws(ResumptionError) {
    self.plan = plan
    self.role = role
    self.bindings = bindings
    self.engines = try plan.engines.map { (wanted) throws(ResumptionError) in
      guard let engine = engines.first(where: { $0.plan.name == wanted.name }) else {
        throw ResumptionError("generation \(plan.id) has no engine \(wanted.name)")
      }
      return engine
    }
    guard engines.count == plan.engines.count else {
      throw ResumptionError("generation \(plan.id) has engines that its settings do not name")
    }
    for worker in engines.flatMap(\.workers) where worker.id.generation != plan.id {
      throw ResumptionError("worker \(worker.id) is none of generation \(plan.id)")
    }
  }
}

extension Generation.Draining {
  /// Of a generation whose listeners are quiet.
  package init(since: Instant, cutAt: Instant, hasServed: Bool, isCut: Bool) {
    self.init(since: since, cutAt: cutAt, unquiet: [], hasServed: hasServed, isCut: isCut)
  }
}

extension Engine {
  /// As another image of this program left it; what was asked through the public address has been answered.
  package init(resuming plan: EnginePlan, phase: Phase, workers: [Worker]) {
    self.plan = plan
    self.phase = phase
    self.workers = workers
    for place in workers.indices {
      // An image that knew nothing of ages, or one whose turn had come: its time counts from the same instant.
      guard case .ready(let since) = workers[place].state, workers[place].due == nil else { continue }
      if workers[place].recycleAt == nil || workers[place].lookAt == nil {
        let known = workers[place].recycleAt
        self.workers[place].watch(plan, since: since)
        if let known { self.workers[place].recycleAt = known }
      }
    }
  }
}

extension Worker {
  /// As another image of this program left it.
  package init(
    resuming id: WorkerID, state: State, isWanted: Bool, mainIsGone: Bool, crashes: Int, restarts: Int,
    lastFault: WorkerFault?, fault: WorkerFault?, liveBy: Instant?, missed: Int, recycleAt: Instant? = nil,
    recyclings: Int = 0
  ) {
    self.id = id
    self.state = state
    self.isWanted = isWanted
    self.mainIsGone = mainIsGone
    self.crashes = crashes
    self.restarts = restarts
    self.lastFault = lastFault
    self.fault = fault
    self.liveBy = liveBy
    self.missed = missed
    self.recycleAt = recycleAt
    self.recyclings = recyclings
  }
}

extension Worker.Stopping {
  package init(resuming since: Instant, killAt: Instant, step: Step) {
    self.init(since: since, killAt: killAt, step: step)
  }
}
