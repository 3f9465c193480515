package import Vocabulary

/// A settings file with everything decided: defaults in, units typed, names checked, cross references resolved.
///
/// Made by ``SettingsReader`` from a `RawSettings`; never changed afterwards. Two equal values start equal generations.
package struct Settings: Hashable, Sendable {
  package var service: Service
  /// In the order of the file.
  package var sockets: [Socket]
  /// In the order of the file; `after` refers to engines of this list and has no cycle.
  package var engines: [Engine]
  package var handover: Handover
  package var shutdown: Shutdown
  package var leases: Leases
  /// nil without `[deploy]`, and always for batond, which has no use for it.
  package var deploy: Deploy?

  package init(
    service: Service, sockets: [Socket], engines: [Engine], handover: Handover, shutdown: Shutdown,
    leases: Leases = Leases(), deploy: Deploy? = nil
  ) {
    self.service = service
    self.sockets = sockets
    self.engines = engines
    self.handover = handover
    self.shutdown = shutdown
    self.leases = leases
    self.deploy = deploy
  }

  /// `[service]`
  package struct Service: Hashable, Sendable {
    package var description: String
    /// The user engines run as; nil means batond's own.
    package var user: String?
    package var group: String?
    /// Absolute. With `directory/current` a generation runs in the release that link names when the generation starts,
    /// otherwise in `directory` itself.
    package var directory: String
    /// `[service.environment]`, then `environment-files` in order; engines add their own.
    package var environment: [String: String]

    package init(
      description: String, user: String?, group: String?, directory: String, environment: [String: String]
    ) {
      self.description = description
      self.user = user
      self.group = group
      self.directory = directory
      self.environment = environment
    }
  }

  /// `[socket.NAME]`
  package struct Socket: Hashable, Sendable {
    package var name: SocketName
    package var address: SocketAddress
    package var backlog: Int
    /// O_NONBLOCK of the shared socket, set once when it is made. false, as systemd's `NonBlocking=`.
    package var nonblocking: Bool
    /// Unix sockets only: permissions, owner and group of the path.
    package var mode: UInt32
    package var owner: String?
    package var group: String?

    package init(
      name: SocketName, address: SocketAddress, backlog: Int, nonblocking: Bool, mode: UInt32, owner: String?,
      group: String?
    ) {
      self.name = name
      self.address = address
      self.backlog = backlog
      self.nonblocking = nonblocking
      self.mode = mode
      self.owner = owner
      self.group = group
    }
  }

  /// `[engine.NAME]`
  package struct Engine: Hashable, Sendable {
    package var name: EngineName
    /// `command[0]` is absolute or relative to the release directory, or looked up in PATH when it has no slash.
    package var command: [String]
    package var workers: Int
    package var sockets: [SocketName]
    package var after: [EngineName]
    package var environment: [String: String]
    package var prove: Prove?
    package var ready: Readiness
    package var startTimeout: Duration
    package var stopTimeout: Duration
    package var watchdog: Watchdog?
    package var restart: Restart
    package var handover: HandoverKind
    package var stage: Stage
    package var drain: Drain
    package var umask: UInt32
    /// RLIMIT name ("nofile") to its values.
    package var limits: [String: Limit]
    /// `memory-max`, `cpu-max`, `pids-max`
    package var bounds: ResourceBounds
    package var recycling: Recycling
    package var user: String?
    package var group: String?
    /// It runs only where this is held.
    package var lease: LeaseName?
    package var standby: Standby

    package init(
      name: EngineName, command: [String], workers: Int, sockets: [SocketName], after: [EngineName],
      environment: [String: String], prove: Prove?, ready: Readiness, startTimeout: Duration, stopTimeout: Duration,
      watchdog: Watchdog?, restart: Restart, handover: HandoverKind, stage: Stage, drain: Drain, umask: UInt32,
      limits: [String: Limit], user: String?, group: String?, bounds: ResourceBounds = ResourceBounds(),
      recycling: Recycling = Recycling(), lease: LeaseName? = nil, standby: Standby = .cold
    ) {
      self.name = name
      self.command = command
      self.workers = workers
      self.sockets = sockets
      self.after = after
      self.environment = environment
      self.prove = prove
      self.ready = ready
      self.startTimeout = startTimeout
      self.stopTimeout = stopTimeout
      self.watchdog = watchdog
      self.restart = restart
      self.handover = handover
      self.stage = stage
      self.drain = drain
      self.umask = umask
      self.limits = limits
      self.bounds = bounds
      self.recycling = recycling
      self.user = user
      self.group = group
      self.lease = lease
      self.standby = standby
    }
  }

  /// `limits = { nofile = 65536 }`, `"1024:65536"` for soft and hard, `"unlimited"`; nil is unlimited.
  package struct Limit: Hashable, Sendable {
    package var soft: UInt64?
    package var hard: UInt64?

    package init(soft: UInt64?, hard: UInt64?) {
      self.soft = soft
      self.hard = hard
    }
  }

  /// `memory-limit`, `max-age`, `max-requests`: when a worker that is well is replaced by a fresh one. nil is never.
  package struct Recycling: Hashable, Sendable {
    package var memory: ByteCount?
    package var age: Duration?
    package var requests: Int?

    package init(memory: ByteCount? = nil, age: Duration? = nil, requests: Int? = nil) {
      self.memory = memory
      self.age = age
      self.requests = requests
    }
  }

  /// `prove = { socket, path, passes, status, body, timeout }`: asked of the new generation through the public address.
  package struct Prove: Hashable, Sendable {
    package var socket: SocketName
    package var path: String
    package var host: String
    /// At least the number of workers, so that every worker is likely to have answered.
    package var passes: Int
    /// The status line must carry this code; 200 unless said.
    package var status: Int
    /// When set, the answer's body must contain it.
    package var body: String?
    /// For one question.
    package var timeout: Duration

    package init(
      socket: SocketName, path: String, host: String, passes: Int, status: Int, body: String?, timeout: Duration
    ) {
      self.socket = socket
      self.path = path
      self.host = host
      self.passes = passes
      self.status = status
      self.body = body
      self.timeout = timeout
    }
  }

  /// How a worker says that it can work.
  package enum Readiness: Hashable, Sendable {
    /// `READY=1` on the worker's own NOTIFY_SOCKET.
    case notify
    case http(URLTemplate)
    /// `host:port`, `{port}` allowed.
    case tcp(String)
    case exec([String])
    /// Alive for this long. The weakest: alive is not ready.
    case after(Duration)
  }

  /// A plain `http://` URL on loopback or `unix:PATH:/path`, in which `{port}` stands for the worker's own port.
  package struct URLTemplate: Hashable, Sendable {
    package var text: String
    package init(_ text: String) { self.text = text }
    package var usesPort: Bool { text.contains("{port}") }
  }

  /// How a worker that hangs is noticed.
  package enum Watchdog: Hashable, Sendable {
    /// `WATCHDOG=1` at least this often.
    case notify(Duration)
    /// Asked every `interval`; `failures` in a row and the worker is replaced.
    case http(URLTemplate, interval: Duration, timeout: Duration, failures: Int)
  }

  /// `restart = { delay, max-delay, give-up-after, healthy-after }`
  package struct Restart: Hashable, Sendable {
    package var delay: Duration
    package var maxDelay: Duration
    /// So many crashes without a healthy run between, and the worker's place is given up.
    package var giveUpAfter: Int
    /// A run this long after ready is healthy: the count starts anew.
    package var healthyAfter: Duration

    package init(delay: Duration, maxDelay: Duration, giveUpAfter: Int, healthyAfter: Duration) {
      self.delay = delay
      self.maxDelay = maxDelay
      self.giveUpAfter = giveUpAfter
      self.healthyAfter = healthyAfter
    }
  }

  package enum HandoverKind: String, Hashable, Sendable, CaseIterable {
    /// Old and new run side by side until the new is proven.
    case overlap
    /// Never two generations at once: the old one ends before the new one starts.
    case exclusive
  }

  /// In which stage of a shutdown an engine is stopped.
  package enum Stage: String, Hashable, Sendable, CaseIterable {
    case engines, database, redis
  }

  /// `drain = { pending, save }`
  package struct Drain: Hashable, Sendable {
    /// Run after TERM until it exits 0 (nothing pending) or the slice ends.
    package var pending: [String]?
    /// Run once before a worker that did not end is killed.
    package var save: [String]?

    package init(pending: [String]?, save: [String]?) {
      self.pending = pending
      self.save = save
    }
  }

  /// `[handover]`
  package struct Handover: Hashable, Sendable {
    package var strategy: Strategy
    package var trial: Trial?
    package var steering: Steering
    /// How many generations may drain at once, and for how long.
    package var maxDraining: Int
    package var maxDrainTime: Duration
    /// A reload without a release of its own upgrades first, where another batond lies in this one's place.
    package var upgradeOnReload: Bool

    package init(
      strategy: Strategy, trial: Trial?, steering: Steering, maxDraining: Int, maxDrainTime: Duration,
      upgradeOnReload: Bool = false
    ) {
      self.upgradeOnReload = upgradeOnReload
      self.strategy = strategy
      self.trial = trial
      self.steering = steering
      self.maxDraining = maxDraining
      self.maxDrainTime = maxDrainTime
    }
  }

  package enum Strategy: String, Hashable, Sendable, CaseIterable {
    /// After its proof, and a trial where one is set, all clients meet the new generation at once.
    case all
    /// A trial in steps.
    case canary
    /// Workers of an engine are replaced some at a time, each time with a trial.
    case rolling
  }

  /// `[handover.trial]`
  package struct Trial: Hashable, Sendable {
    /// Each larger than the one before; none where the workers come in batches.
    package var shares: [Share]
    /// So many workers of an engine at once; nil: all of them.
    package var batch: Int?
    /// Of each step, or between two batches.
    package var duration: Duration
    package var check: Check?
    /// For one question to ``check``.
    package var checkTimeout: Duration

    package enum Check: Hashable, Sendable {
      /// Good when it exits 0.
      case exec([String])
      /// Good when the answer is 2xx.
      case http(URLTemplate)
    }

    package init(
      shares: [Share], batch: Int? = nil, duration: Duration, check: Check? = nil, checkTimeout: Duration = .seconds(5)
    ) {
      self.shares = shares
      self.batch = batch
      self.duration = duration
      self.check = check
      self.checkTimeout = checkTimeout
    }
  }

  /// Whether generations get listeners of their own. `off` lets them share one, which meets clients as soon as it accepts.
  package enum Steering: String, Hashable, Sendable, CaseIterable { case auto, off }

  /// `[shutdown]`: the whole, the most each stage may take of what is left, and the commands of the last two.
  package struct Shutdown: Hashable, Sendable {
    package var timeout: Duration
    package var intake: Duration
    package var engines: Duration
    package var database: Duration
    package var redis: Duration
    /// `[shutdown.database] run`
    package var databaseCommands: [[String]]
    /// `[shutdown.redis] run`
    package var redisCommands: [[String]]

    package init(
      timeout: Duration, intake: Duration, engines: Duration, database: Duration, redis: Duration,
      databaseCommands: [[String]], redisCommands: [[String]]
    ) {
      self.timeout = timeout
      self.intake = intake
      self.engines = engines
      self.database = database
      self.redis = redis
      self.databaseCommands = databaseCommands
      self.redisCommands = redisCommands
    }
  }
}

extension ResourceBounds {
  /// The keys that are set, each with the cgroup controller that does it.
  package var keys: [(key: String, controller: String)] {
    [
      memory.map { _ in ("memory-max", "memory") }, processorPercent.map { _ in ("cpu-max", "cpu") },
      processes.map { _ in ("pids-max", "pids") },
    ].compactMap { $0 }
  }
}
