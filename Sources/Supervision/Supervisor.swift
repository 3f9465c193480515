package import Vocabulary

/// The decisions of one service's supervisor: a value that takes events and gives actions.
///
/// Promises it keeps whatever comes in (checked by the tests in every reachable state):
/// no client is steered to a generation that is not committed, but for the share a trial grants; the serving generation
/// is never stopped before its successor is committed; an exclusive engine never runs in two generations at once; a
/// listener is retired only when it is quiet and its workers are gone; once a stop was asked for, nothing is started.
///
/// Events update what is observed; ``advance(at:)`` then draws every consequence. Time enters only as `now`.
package struct Supervisor: Hashable, Sendable {
  package enum Phase: Hashable, Sendable {
    /// Before `start`. Exits: `changing`, `stopping`.
    case new
    /// A generation is being put in place of another, or the first one. Exits: `steady`, `stopping`.
    case changing(Change)
    /// One generation serves. Exits: `changing`, `stopping`.
    case steady
    /// Exits: `ended`.
    case stopping(Shutdown)
    /// Nothing runs any more. Exits: none.
    case ended
  }

  package internal(set) var phase: Phase = .new
  package internal(set) var generations: [GenerationID: Generation] = [:]
  /// The last committed generation: crash restarts use it, whatever lies on disk now.
  package internal(set) var serving: GenerationID?
  package internal(set) var groups: [SocketKey: SteeringGroup] = [:]
  /// Reloads that came while another change was under way: one change will answer them all.
  package internal(set) var waitingReloads: [WaitingReload] = []
  /// Recovered listeners in which connections wait for a worker.
  package internal(set) var unservedQueues: Set<ListenerID> = []
  /// What nothing new is begun for.
  package internal(set) var paused: OperationID?
  package internal(set) var scaling: Scaling?
  /// Leases that engines of this service need, or needed until just now.
  package internal(set) var leases: [LeaseName: LeaseStanding] = [:]
  /// There is a store to take leave of.
  var hasAskedForLeases = false
  package internal(set) var nextGeneration: GenerationID
  package internal(set) var nextListener: UInt64
  package internal(set) var random: SplitMix64

  /// More reloads than this are not remembered, but told to try again.
  package static let maxWaitingReloads = 64

  /// `firstGeneration` and `firstListener` continue the numbers of an earlier life of the service.
  package init(firstGeneration: GenerationID = GenerationID(1), firstListener: UInt64 = 1, seed: UInt64) {
    nextGeneration = firstGeneration
    nextListener = firstListener
    random = SplitMix64(seed: seed)
  }

  // MARK: The one entry

  package mutating func handle(_ event: Event, at now: Instant) -> [Action] {
    var actions = observe(event, at: now)
    actions += advance(at: now)
    return actions
  }

  /// When `tick` is due; nil while only events can change anything.
  package var nextDeadline: Instant? {
    var next: Instant?
    func include(_ deadline: Instant?) {
      guard let deadline else { return }
      next = next.map { min($0, deadline) } ?? deadline
    }
    for generation in generations.values {
      include(generation.workerDeadline)
      // A shutdown has limits of its own.
      if !isStopping { include(generation.draining?.deadline) }
    }
    switch phase {
    case .changing(let change): include(change.deadline)
    case .stopping(let shutdown): include(shutdown.deadlineOfStep)
    case .new, .steady, .ended: break
    }
    return next
  }

  package var isStopping: Bool {
    switch phase {
    case .stopping, .ended: true
    case .new, .changing, .steady: false
    }
  }

  // MARK: Observing

  private mutating func observe(_ event: Event, at now: Instant) -> [Action] {
    switch event {
    case .start(let operation): start(operation)
    case .reload(let operation, let wish): reload(operation, wish)
    case .holdReleased(let operation, let release): holdReleased(operation, release, at: now)
    case .restart(let operation): restart(operation)
    case .scale(let engine, let count, let operation): scale(engine, to: count, operation, at: now)
    case .pause(let operation): pause(operation)
    case .resume: pause(nil)
    case .stop(let cause): stop(cause, at: now)
    case .stopNow: stopNow(at: now)
    case .settingsLoaded(let operation, let plan): settingsLoaded(operation, plan)
    case .settingsRefused(let operation, let text): settingsRefused(operation, text, at: now)
    case .releaseRefused(let operation, let text): releaseRefused(operation, text)
    case .listenersRecovered(let recovered, let last): listenersRecovered(recovered, last: last)
    case .listenerOpened(let listener, let isPermanent): listenerOpened(listener, isPermanent: isPermanent)
    case .listenerRefused(let listener, let text): listenerRefused(listener, text, at: now)
    case .listenerMustBeShared(let listener): listenerMustBeShared(listener, at: now)
    case .listenerLeft(let listener): listenerLeft(listener, at: now)
    case .quiet(let listener, let unfinished): quiet(listener, unfinished: unfinished, at: now)
    case .spawned(let id): update(id) { worker, plan in worker.spawned(plan) }
    case .spawnFailed(let id, let text): spawnFailed(id, text, at: now)
    case .ready(let id): update(id) { worker, plan in worker.becameReady(plan, at: now) }
    case .showedLife(let id):
      update(id) { worker, plan in
        worker.showedLife(plan, at: now)
        return []
      }
    case .livenessAnswered(let id, let isAlive): livenessAnswered(id, isAlive, at: now)
    case .exited(let id, let reason): exited(id, reason, at: now)
    case .emptied(let id): emptied(id, at: now)
    case .measured(let id, let memory): measured(id, memory: memory, at: now)
    case .served(let id, let requests): served(id, requests: requests, at: now)
    case .wasAway(let gap): wasAway(gap, at: now)
    case .nothingPending(let id): update(id) { worker, _ in worker.nothingPending(at: now) }
    case .saved(let id): update(id) { worker, _ in worker.saved(at: now) }
    case .proofAnswered(let generation, let engine, let number, let failure):
      proofAnswered(generation, engine, number: number, failure: failure)
    case .trialChecked(let generation, let round, let failure):
      trialChecked(generation, round: round, failure: failure)
    case .permitted(let lease): permitted(lease)
    case .withdrawn(let lease): withdrawn(lease, at: now)
    case .leaseIsUp(let lease): leaseIsUp(lease, at: now)
    case .stageWorkDone(let stage): stageWorkDone(stage, at: now)
    case .tick: tick(at: now)
    }
  }

  // MARK: Consequences

  /// Draws every consequence of what is known, until nothing more follows. What a round changes without an action or a
  /// new phase is used by the same round, so an empty one is the last.
  mutating func advance(at now: Instant) -> [Action] {
    var actions: [Action] = []
    for _ in 0..<Self.maxRounds {
      let before = phase
      let round = advanceOnce(at: now)
      if round.isEmpty && phase == before { break }
      actions += round
    }
    return actions
  }

  /// Never reached: each round ends something, and little can end at once. A bound all the same.
  private static let maxRounds = 1_000

  private mutating func advanceOnce(at now: Instant) -> [Action] {
    switch phase {
    case .new, .ended: []
    case .steady:
      advanceDraining(at: now) + advanceLeases(at: now) + advanceRecycling(mayBegin: true, at: now)
        + advanceScaling(at: now) + serveQueues() + takeWaitingReloads()
    case .changing(let change):
      advanceDraining(at: now) + advanceLeases(at: now) + advanceRecycling(mayBegin: false, at: now)
        + advanceChange(change, at: now)
    case .stopping(let shutdown): advanceLeases(at: now) + advanceShutdown(shutdown, at: now)
    }
  }

  private mutating func pause(_ operation: OperationID?) -> [Action] {
    paused = operation
    return []
  }

  private mutating func takeWaitingReloads() -> [Action] {
    guard case .steady = phase, scaling == nil, paused == nil else { return [] }
    let next = nextWaitingReloads()
    return begin(.handover, next.map(\.operation), hold: next.first?.wish.hold)
  }
}
