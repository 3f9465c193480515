package import Settings
package import Supervision
package import Vocabulary

/// Everything a generation's workers are started from, fixed when it was read: settings, environment, and the release
/// that was asked for or that `current` named then. A crash restart uses this and looks at nothing on disk but the program itself.
package struct ResolvedGeneration: Hashable, Sendable {
  package let id: GenerationID
  package let settings: Settings
  package let release: ReleaseID
  /// Absolute, without symbolic links: workers run here.
  package let releaseDirectory: String
  /// Users and groups, looked up once.
  let accounts: [String: Account]

  /// Resolves `release`, or else `directory/current`, once. Reads the disk: not for the loop's thread.
  package init(id: GenerationID, settings: Settings, release wanted: ReleaseID? = nil) throws(ReleaseError) {
    self.id = id
    self.settings = settings
    accounts = Self.accounts(of: settings)
    let directory = settings.service.directory
    if let wanted {
      releaseDirectory = try ReleaseDirectory.resolve(wanted, in: directory)
      release = wanted
    } else if let target = ReleaseDirectory.current(in: directory) {
      releaseDirectory = target
      release = ReleaseID(target.split(separator: "/").last.map(String.init) ?? "-")
    } else {
      releaseDirectory = ReleaseDirectory.realPath(directory) ?? directory
      release = ReleaseID("-")
    }
  }

  /// As another image of this program resolved it. Reads nothing.
  init(
    id: GenerationID, settings: Settings, release: ReleaseID, releaseDirectory: String, accounts: [String: Account]
  ) {
    self.id = id
    self.settings = settings
    self.release = release
    self.releaseDirectory = releaseDirectory
    self.accounts = accounts
  }

  /// With other numbers of workers; none at all is one.
  func scaled(_ engines: [CrashRecord.Scaled]) -> ResolvedGeneration {
    var settings = settings
    for index in settings.engines.indices {
      let count = engines.first { $0.engine == settings.engines[index].name }?.workers
      settings.engines[index].workers = max(0, count ?? settings.engines[index].workers)
    }
    return ResolvedGeneration(
      id: id, settings: settings, release: release, releaseDirectory: releaseDirectory, accounts: accounts)
  }

  /// The same once more, under another number.
  func repeated(as id: GenerationID) -> ResolvedGeneration {
    ResolvedGeneration(
      id: id, settings: settings, release: release, releaseDirectory: releaseDirectory, accounts: accounts)
  }

  package func engine(_ name: EngineName) -> Settings.Engine? { settings.engines.first { $0.name == name } }
  package func socket(_ name: SocketName) -> Settings.Socket? { settings.sockets.first { $0.name == name } }
}

// MARK: What the core must know of it

extension ResolvedGeneration {
  package var plan: GenerationPlan {
    let shutdown = settings.shutdown
    return GenerationPlan(
      id: id, release: release, engines: settings.engines.map(enginePlan),
      sockets: settings.sockets.map { SocketPlan(name: $0.name, key: $0.key, steering: steering(of: $0)) },
      trial: settings.handover.trial.map {
        if let batch = $0.batch { return TrialPlan(batch: batch, duration: $0.duration, isChecked: $0.check != nil) }
        return TrialPlan(shares: $0.shares, duration: $0.duration, isChecked: $0.check != nil)
      },
      maxDraining: settings.handover.maxDraining, maxDrainTime: settings.handover.maxDrainTime,
      shutdown: ShutdownPlan(
        timeout: shutdown.timeout,
        slices: [
          .intake: shutdown.intake, .engines: shutdown.engines, .database: shutdown.database, .redis: shutdown.redis,
        ],
        commands: [.database: shutdown.databaseCommands.count, .redis: shutdown.redisCommands.count]))
  }

  private func steering(of socket: Settings.Socket) -> SteeringKind {
    guard settings.handover.steering == .auto else { return .shared }
    switch socket.address {
    case .tcp(let address): return ProbeMark.canReach(address) ? .program : .shared
    case .udp: return .constant
    case .unix: return .rename
    }
  }

  /// What this host cannot give, one sentence each.
  var weaknesses: [String] {
    settings.sockets.compactMap { socket in
      guard settings.handover.steering == .auto, case .tcp(let address) = socket.address,
        !ProbeMark.canReach(address)
      else { return nil }
      return "socket \(socket.name): without CAP_NET_ADMIN a probe on IPv6 alone cannot be told from a client, so "
        + "generations share its listener, and a new one meets clients as soon as it accepts"
    }
  }

  private func enginePlan(_ engine: Settings.Engine) -> EnginePlan {
    EnginePlan(
      name: engine.name, workers: engine.workers, sockets: engine.sockets, after: engine.after,
      readiness: engine.ready.plan, startTimeout: engine.startTimeout, stopTimeout: engine.stopTimeout,
      liveness: engine.watchdog?.plan,
      restart: RestartPolicy(
        delay: engine.restart.delay, maxDelay: engine.restart.maxDelay, giveUpAfter: engine.restart.giveUpAfter,
        healthyAfter: engine.restart.healthyAfter),
      handover: engine.handover.plan, stage: engine.stage.plan,
      proof: engine.prove.map { ProofPlan(socket: $0.socket, passes: $0.passes) },
      asksPending: engine.drain.pending != nil, saves: engine.drain.save != nil, recycling: engine.recycling.plan,
      lease: engine.lease, isWarm: engine.standby == .warm)
  }
}

extension Settings.Socket {
  /// The same for two settings files exactly when they mean the same address.
  package var key: SocketKey { SocketKey(address.text) }
}

extension Settings.Recycling {
  fileprivate var plan: RecyclingPlan? {
    self == Settings.Recycling() ? nil : RecyclingPlan(memory: memory, age: age, requests: requests.map { UInt64($0) })
  }
}

extension Settings.Readiness {
  fileprivate var plan: ReadinessPlan {
    switch self {
    case .notify: .told
    case .http, .tcp, .exec: .asked
    case .after(let wait): .after(wait)
    }
  }
}

extension Settings.Watchdog {
  fileprivate var plan: LivenessPlan {
    switch self {
    case .notify(let every): .told(every: every)
    case .http(_, let interval, _, let failures): .asked(every: interval, failures: failures)
    }
  }
}

extension Settings.HandoverKind {
  fileprivate var plan: EnginePlan.Handover {
    switch self {
    case .overlap: .overlap
    case .exclusive: .exclusive
    }
  }
}

extension Settings.Stage {
  fileprivate var plan: Stage {
    switch self {
    case .engines: .engines
    case .database: .database
    case .redis: .redis
    }
  }
}
