package import JSON
package import Vocabulary

/// What `Status` returns: everything a person or a program may know of a service at one moment, at most a few KB.
package struct StatusReport: Hashable, Sendable {
  package var service: ServiceName
  package var description: String
  package var state: ServiceState
  /// One line for people, the same as systemd's STATUS=.
  package var text: String
  /// When `state` was entered.
  package var since: WallTime
  package var supervisor: Supervisor
  /// The generation clients meet; nil before the first commit.
  package var serving: GenerationID?
  /// The release of that generation; nil where the service has no releases.
  package var release: ReleaseID?
  /// In the order of the settings.
  package var engines: [Engine]
  package var sockets: [Socket]
  /// The handover under way.
  package var handover: Handover?
  package var lastHandover: LastHandover?
  /// Generations that finish what they took, oldest first.
  package var draining: [GenerationID]
  /// The same with what they still do; nil from a supervisor that does not say it.
  package var drains: [Drain]?
  /// Connections of workers that were killed, since the start of the service, over upgrades and crashes; nil as above.
  package var connectionsCut: Int?
  /// Processes that were killed with connections that could not be counted; nil as above.
  package var cutsUncounted: Int?
  /// What the generations that live run, those that drain included: nobody may remove these. nil from a supervisor that
  /// does not say it.
  package var liveReleases: [ReleaseID]?
  /// Leases that engines need, by name; nil where none is needed.
  package var leases: [Lease]?
  /// What weakens a promise right now, one sentence each.
  package var warnings: [String]

  package enum ServiceState: String, JSONWord, Hashable, Sendable {
    /// The first generation is not committed yet.
    case starting
    case serving
    /// Serving, with an engine that is not as it should be.
    case degraded
    /// Serving, and a newer generation is on its way.
    case handover
    case stopping
    /// Nothing serves and nothing will without a person.
    case failed
  }

  package struct Supervisor: Hashable, Sendable {
    package var pid: Int
    package var version: String
    package var uptime: Duration
    package var rss: ByteCount
    /// Whether generations get listeners of their own.
    package var steering: Bool

    package init(pid: Int, version: String, uptime: Duration, rss: ByteCount, steering: Bool) {
      self.pid = pid
      self.version = version
      self.uptime = uptime
      self.rss = rss
      self.steering = steering
    }
  }

  package struct Engine: Hashable, Sendable {
    package var name: EngineName
    package var state: EngineState
    /// How many workers it should have.
    package var wanted: Int
    /// How many of the serving generation are ready.
    package var ready: Int
    package var sockets: [SocketName]
    package var handover: HandoverKind
    package var stage: Stage
    /// Of all generations that have processes, the serving generation first.
    package var workers: [Worker]
    /// What they run; nil from a supervisor that does not say it.
    package var command: [String]?

    package init(
      name: EngineName, state: EngineState, wanted: Int, ready: Int, sockets: [SocketName], handover: HandoverKind,
      stage: Stage, workers: [Worker], command: [String]? = nil
    ) {
      self.name = name
      self.state = state
      self.wanted = wanted
      self.ready = ready
      self.sockets = sockets
      self.handover = handover
      self.stage = stage
      self.workers = workers
      self.command = command
    }
  }

  package enum EngineState: String, JSONWord, Hashable, Sendable {
    case starting
    /// All wanted workers are ready.
    case ready
    /// Some are not.
    case degraded
    /// A worker's place was given up.
    case failed
    case stopping
    case stopped
    /// It waits for its lease.
    case standby
  }

  package enum HandoverKind: String, JSONWord, Hashable, Sendable { case overlap, exclusive }
  package enum Stage: String, JSONWord, Hashable, Sendable { case engines, database, redis }

  package struct Worker: Hashable, Sendable {
    /// `web.2`
    package var label: String
    /// nil while it has no process.
    package var pid: Int?
    package var generation: GenerationID
    package var state: WorkerState
    package var since: WallTime
    /// How often its place was filled again.
    package var restarts: Int
    package var memory: ByteCount?
    /// What the worker itself says (STATUS=).
    package var status: String?
    /// How the process before it ended: `exit 1`, `SIGSEGV`, `watchdog`, `memory limit`.
    package var lastExit: String?

    package init(
      label: String, pid: Int?, generation: GenerationID, state: WorkerState, since: WallTime, restarts: Int,
      memory: ByteCount?, status: String?, lastExit: String?
    ) {
      self.label = label
      self.pid = pid
      self.generation = generation
      self.state = state
      self.since = since
      self.restarts = restarts
      self.memory = memory
      self.status = status
      self.lastExit = lastExit
    }
  }

  package enum WorkerState: String, JSONWord, Hashable, Sendable {
    case starting, ready, draining
    /// It crashed; the next process starts after a delay.
    case waiting
    /// Crashed too often: its place is given up.
    case failed
    case exited
  }

  package struct Socket: Hashable, Sendable {
    package var name: SocketName
    /// As the settings write it.
    package var address: String
    package var listeners: [Listener]

    package init(name: SocketName, address: String, listeners: [Listener]) {
      self.name = name
      self.address = address
      self.listeners = listeners
    }
  }

  package struct Listener: Hashable, Sendable {
    /// nil where generations share it.
    package var generation: GenerationID?
    /// Connections waiting to be accepted.
    package var queue: Int
    /// Whether the kernel sends new connections to it.
    package var steered: Bool

    package init(generation: GenerationID?, queue: Int, steered: Bool) {
      self.generation = generation
      self.queue = queue
      self.steered = steered
    }
  }

  package struct Handover: Hashable, Sendable {
    package var operation: OperationID
    package var phase: HandoverPhase
    package var from: GenerationID?
    package var to: GenerationID
    /// Of the new generation, once its settings are read.
    package var release: ReleaseID?
    package var since: WallTime

    package init(
      operation: OperationID, phase: HandoverPhase, from: GenerationID?, to: GenerationID, release: ReleaseID? = nil,
      since: WallTime
    ) {
      self.release = release
      self.operation = operation
      self.phase = phase
      self.from = from
      self.to = to
      self.since = since
    }
  }

  package enum HandoverPhase: String, JSONWord, Hashable, Sendable {
    case starting, proving
    /// Proved, and waiting for a commit.
    case holding
    case trial
    /// Committed: the old generation finishes what it took.
    case draining
    /// Refused: the new generation is being stopped.
    case aborting
  }

  package struct Drain: Hashable, Sendable {
    package var generation: GenerationID
    package var release: ReleaseID
    package var since: WallTime
    /// Whatever is left then is killed.
    package var until: WallTime
    package var workers: Int
    /// That its workers hold, as the kernel has it; nil where it does not say.
    package var connections: Int?

    package init(
      generation: GenerationID, release: ReleaseID, since: WallTime, until: WallTime, workers: Int, connections: Int?
    ) {
      self.generation = generation
      self.release = release
      self.since = since
      self.until = until
      self.workers = workers
      self.connections = connections
    }
  }

  package struct LastHandover: Hashable, Sendable {
    package var operation: OperationID
    package var outcome: VerdictReport.Outcome
    package var reason: String
    package var from: GenerationID?
    package var to: GenerationID
    package var took: Duration
    package var ended: WallTime

    package init(
      operation: OperationID, outcome: VerdictReport.Outcome, reason: String, from: GenerationID?, to: GenerationID,
      took: Duration, ended: WallTime
    ) {
      self.operation = operation
      self.outcome = outcome
      self.reason = reason
      self.from = from
      self.to = to
      self.took = took
      self.ended = ended
    }
  }

  package init(
    service: ServiceName, description: String, state: ServiceState, text: String, since: WallTime,
    supervisor: Supervisor, serving: GenerationID?, release: ReleaseID?, engines: [Engine], sockets: [Socket],
    handover: Handover?, lastHandover: LastHandover?, draining: [GenerationID], drains: [Drain]? = nil,
    connectionsCut: Int? = nil, cutsUncounted: Int? = nil, liveReleases: [ReleaseID]? = nil, leases: [Lease]? = nil,
    warnings: [String]
  ) {
    self.service = service
    self.description = description
    self.state = state
    self.text = text
    self.since = since
    self.supervisor = supervisor
    self.serving = serving
    self.release = release
    self.engines = engines
    self.sockets = sockets
    self.handover = handover
    self.lastHandover = lastHandover
    self.draining = draining
    self.drains = drains
    self.connectionsCut = connectionsCut
    self.cutsUncounted = cutsUncounted
    self.liveReleases = liveReleases
    self.leases = leases
    self.warnings = warnings
  }
}
