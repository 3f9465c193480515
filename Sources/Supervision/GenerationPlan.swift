package import Vocabulary

/// What the core must know of a generation to decide about it: counts, orders, limits. Commands, paths and environment
/// stay with the runtime, under the same id.
package struct GenerationPlan: Hashable, Sendable {
  package let id: GenerationID
  package let release: ReleaseID
  /// In an order in which each engine comes after those it names in `after`.
  package let engines: [EnginePlan]
  package let sockets: [SocketPlan]
  package let trial: TrialPlan?
  package let maxDraining: Int
  package let maxDrainTime: Duration
  package let shutdown: ShutdownPlan

  package init(
    id: GenerationID, release: ReleaseID, engines: [EnginePlan], sockets: [SocketPlan], trial: TrialPlan?,
    maxDraining: Int, maxDrainTime: Duration, shutdown: ShutdownPlan
  ) {
    self.id = id
    self.release = release
    self.engines = Self.sorted(engines)
    self.sockets = sockets
    self.trial = trial
    self.maxDraining = maxDraining
    self.maxDrainTime = maxDrainTime
    self.shutdown = shutdown
  }

  package func engine(_ name: EngineName) -> EnginePlan? { engines.first { $0.name == name } }
  package func socket(_ name: SocketName) -> SocketPlan? { sockets.first { $0.name == name } }

  /// Sockets that an exclusive engine uses keep the listener they have.
  func isKept(_ socket: SocketName) -> Bool {
    engines.contains { $0.handover == .exclusive && $0.sockets.contains(socket) }
  }

  /// Stable topological order. A cycle is a settings error and cannot come here; what is left of one goes last.
  private static func sorted(_ engines: [EnginePlan]) -> [EnginePlan] {
    var left = engines
    var done: [EnginePlan] = []
    while !left.isEmpty {
      let names = Set(left.map(\.name))
      let next = left.firstIndex { $0.after.allSatisfy { !names.contains($0) } } ?? 0
      done.append(left.remove(at: next))
    }
    return done
  }
}

package struct EnginePlan: Hashable, Sendable {
  package enum Handover: String, Hashable, Sendable, CaseIterable { case overlap, exclusive }

  package let name: EngineName
  package let workers: Int
  package let sockets: [SocketName]
  package let after: [EngineName]
  package let readiness: ReadinessPlan
  package let startTimeout: Duration
  package let stopTimeout: Duration
  package let liveness: LivenessPlan?
  package let restart: RestartPolicy
  package let handover: Handover
  package let stage: Stage
  package let proof: ProofPlan?
  /// `drain.pending` and `drain.save` are set.
  package let asksPending: Bool
  package let saves: Bool
  package let recycling: RecyclingPlan?
  /// It works only while this is permitted, and never in two generations at once.
  package let lease: LeaseName?
  /// Without permission it is started all the same, and told later.
  package let isWarm: Bool

  package init(
    name: EngineName, workers: Int, sockets: [SocketName] = [], after: [EngineName] = [],
    readiness: ReadinessPlan = .told, startTimeout: Duration = .seconds(30), stopTimeout: Duration = .seconds(20),
    liveness: LivenessPlan? = nil, restart: RestartPolicy = RestartPolicy(), handover: Handover = .overlap,
    stage: Stage = .engines, proof: ProofPlan? = nil, asksPending: Bool = false, saves: Bool = false,
    recycling: RecyclingPlan? = nil, lease: LeaseName? = nil, isWarm: Bool = false
  ) {
    self.name = name
    self.workers = workers
    self.sockets = sockets
    self.after = after
    self.readiness = readiness
    self.startTimeout = startTimeout
    self.stopTimeout = stopTimeout
    self.liveness = liveness
    self.restart = restart
    self.handover = lease == nil ? handover : .exclusive
    self.stage = stage
    self.proof = proof
    self.asksPending = asksPending
    self.saves = saves
    self.recycling = recycling
    self.lease = lease
    self.isWarm = lease != nil && isWarm
  }
}

package enum ReadinessPlan: Hashable, Sendable {
  /// The worker says READY=1 itself.
  case told
  /// The runtime asks until the answer is yes: HTTP, TCP or a command.
  case asked
  /// Alive for this long.
  case after(Duration)
}

package enum LivenessPlan: Hashable, Sendable {
  /// The worker says WATCHDOG=1 at least this often.
  case told(every: Duration)
  /// The runtime asks; so many unanswered in a row and the worker hangs.
  case asked(every: Duration, failures: Int)
}

/// Through which socket the new generation is asked, and how often it must answer right.
package struct ProofPlan: Hashable, Sendable {
  package let socket: SocketName
  package let passes: Int

  package init(socket: SocketName, passes: Int) {
    self.socket = socket
    self.passes = passes
  }
}

/// An address in the form that tells addresses apart; generations that name the same one share a steering group.
package struct SocketKey: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let text: String
  package init(_ text: String) { self.text = text }
  package var description: String { text }
  package static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}

package struct SocketPlan: Hashable, Sendable {
  package let name: SocketName
  package let key: SocketKey
  package let steering: SteeringKind

  package init(name: SocketName, key: SocketKey, steering: SteeringKind) {
    self.name = name
    self.key = key
    self.steering = steering
  }
}

/// What share of the clients meets a proven generation, step by step, before all of them do.
package struct TrialPlan: Hashable, Sendable {
  /// Empty where the workers come in batches.
  package let shares: [Share]
  /// So many workers of each engine at once; nil: all of them.
  package let batch: Int?
  /// Of each step, or between two batches.
  package let duration: Duration
  /// The settings' own check is asked besides the proofs.
  package let isChecked: Bool

  package init(shares: [Share], duration: Duration, isChecked: Bool = false) {
    self.shares = shares
    batch = nil
    self.duration = duration
    self.isChecked = isChecked
  }

  package init(batch: Int, duration: Duration, isChecked: Bool = false) {
    shares = []
    self.batch = max(1, batch)
    self.duration = duration
    self.isChecked = isChecked
  }
}

/// The stages of an orderly shutdown, in their order.
package enum Stage: String, Hashable, Sendable, CaseIterable, Comparable {
  case intake, engines, database, redis

  package static func < (left: Self, right: Self) -> Bool { left.order < right.order }

  private var order: Int {
    switch self {
    case .intake: 0
    case .engines: 1
    case .database: 2
    case .redis: 3
    }
  }
}

package struct ShutdownPlan: Hashable, Sendable {
  package let timeout: Duration
  package let slices: [Stage: Duration]
  /// How many commands a stage runs after its engines are gone.
  package let commands: [Stage: Int]

  package init(timeout: Duration, slices: [Stage: Duration], commands: [Stage: Int] = [:]) {
    self.timeout = timeout
    self.slices = slices
    self.commands = commands
  }
}
