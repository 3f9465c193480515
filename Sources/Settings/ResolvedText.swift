internal import Vocabulary

/// Resolved settings as TOML: with comments for people, or bare for machines.
package enum ResolvedText {
  /// Every key with its value and, behind it, the line it comes from or `default`. Values of the environment may be
  /// secrets and are shown as `"…"`.
  package static func annotated(_ read: ReadSettings) -> String {
    var writer = TOMLWriter(origins: read.origins)
    writer.write(read.settings)
    return writer.text
  }

  /// What reads back as the same settings. Holds the environment's values: not for logs.
  package static func canonical(_ settings: Settings) -> String {
    var writer = TOMLWriter(origins: nil)
    writer.write(settings)
    return writer.text
  }
}

struct TOMLWriter {
  private(set) var text = ""
  /// nil: no comments, and the environment's values are shown.
  let origins: [String: Origin]?
  private(set) var section = ""

  init(origins: [String: Origin]?) { self.origins = origins }

  mutating func header(_ path: String...) {
    section = path.joined(separator: ".")
    text += (text.isEmpty ? "" : "\n") + "[" + path.map { TomlText.key($0) }.joined(separator: ".") + "]\n"
  }

  /// `[[health.check]]`, and its place among the others.
  mutating func element(_ path: String, _ index: Int) {
    section = "\(path).\(index)"
    text += "\n[[\(path)]]\n"
  }

  /// `key = value  # where from`. `path` when the file may have the value at another place than `section`.key.
  mutating func pair(_ key: String, _ value: String, path: [String] = []) {
    text += "\(TomlText.key(key)) = \(value)"
    if let origins {
      let origin = (["\(section).\(key)"] + path).lazy.compactMap { origins[$0] }.first
      text += "  # " + (origin?.description ?? "default")
    }
    text += "\n"
  }

  mutating func pair(_ key: KnownKey, _ value: String, path: [String] = []) { pair(key.name, value, path: path) }

  mutating func pair(_ key: KnownKey, optional text: String?) {
    if let text {
      pair(key, TomlText.quoted(text))
    } else {
      absent(key)
    }
  }

  /// What holds without a value, for people only.
  mutating func absent(_ key: KnownKey) {
    guard origins != nil, case .words(let words) = key.entry.fallback else { return }
    text += "# \(key.name): \(words)\n"
  }

  mutating func environment(_ environment: [String: String], _ path: String...) {
    guard !environment.isEmpty else { return }
    section = (path + ["environment"]).joined(separator: ".")
    text += "\n[" + (path + ["environment"]).map { TomlText.key($0) }.joined(separator: ".") + "]\n"
    for (name, value) in environment.sorted(by: { $0.key < $1.key }) {
      pair(name, origins == nil ? TomlText.quoted(value) : "\"…\"")
    }
  }
}

extension TOMLWriter {
  mutating func write(_ settings: Settings) {
    write(settings.service)
    settings.sockets.forEach { write($0) }
    settings.engines.forEach { write($0) }
    write(settings.handover)
    write(settings.shutdown)
    if settings.leases != Settings.Leases() || settings.engines.contains(where: { $0.lease != nil }) {
      write(settings.leases)
    }
    if let deploy = settings.deploy { write(deploy) }
  }

  private mutating func write(_ service: Settings.Service) {
    header("service")
    pair(.serviceDescription, TomlText.quoted(service.description))
    pair(.serviceUser, optional: service.user)
    pair(.serviceGroup, optional: service.group)
    pair(.serviceDirectory, TomlText.quoted(service.directory))
    environment(service.environment, "service")
  }

  private mutating func write(_ socket: Settings.Socket) {
    header("socket", socket.name.rawValue)
    pair(.socketListen, TomlText.quoted(socket.address.text))
    pair(.socketBacklog, "\(socket.backlog)")
    pair(.socketNonblocking, "\(socket.nonblocking)")
    guard case .unix = socket.address else { return }
    pair(.socketMode, octal(socket.mode))
    pair(.socketOwner, optional: socket.owner)
    pair(.socketGroup, optional: socket.group)
  }

  private mutating func write(_ engine: Settings.Engine) {
    let name = engine.name.rawValue
    header("engine", name)
    pair(.engineCommand, TomlText.list(engine.command))
    pair(.engineWorkers, "\(engine.workers)")
    pair(.engineSockets, TomlText.list(engine.sockets.map(\.rawValue)))
    pair(.engineAfter, TomlText.list(engine.after.map(\.rawValue)))
    write(engine.ready)
    pair(.engineStartTimeout, duration(engine.startTimeout))
    pair(.engineStopTimeout, duration(engine.stopTimeout))
    if case .notify(let every) = engine.watchdog { pair(.engineWatchdog, duration(every)) }
    pair(.engineHandover, TomlText.quoted(engine.handover.rawValue))
    pair(.engineStage, TomlText.quoted(engine.stage.rawValue))
    pair(.engineUser, optional: engine.user)
    pair(.engineGroup, optional: engine.group)
    pair(.engineUmask, octal(engine.umask))
    pair(.engineMemoryMax, optional: engine.bounds.memory?.text)
    pair(.engineCPUMax, optional: engine.bounds.processorPercent.map { "\($0)%" })
    if let processes = engine.bounds.processes { pair(.enginePidsMax, "\(processes)") } else { absent(.enginePidsMax) }
    pair(.engineMemoryLimit, optional: engine.recycling.memory?.text)
    if let age = engine.recycling.age { pair(.engineMaxAge, duration(age)) } else { absent(.engineMaxAge) }
    if let most = engine.recycling.requests { pair(.engineMaxRequests, "\(most)") } else { absent(.engineMaxRequests) }
    pair(.engineLease, optional: engine.lease?.rawValue)
    if engine.lease != nil { pair(.engineStandby, TomlText.quoted(engine.standby.rawValue)) }
    if engine.prove == nil { absent(.engineProve) }
    if engine.watchdog == nil { absent(.engineWatchdog) }
    if engine.limits.isEmpty { absent(.engineLimits) }

    if let prove = engine.prove { write(prove, name) }
    if case .http(let url, let interval, let timeout, let failures) = engine.watchdog {
      header("engine", name, "watchdog")
      pair(.watchdogHTTP, TomlText.quoted(url.text))
      pair(.watchdogInterval, duration(interval))
      pair(.watchdogTimeout, duration(timeout))
      pair(.watchdogFailures, "\(failures)")
    }
    header("engine", name, "restart")
    pair(.restartDelay, duration(engine.restart.delay))
    pair(.restartMaxDelay, duration(engine.restart.maxDelay))
    pair(.restartGiveUpAfter, "\(engine.restart.giveUpAfter)")
    pair(.restartHealthyAfter, duration(engine.restart.healthyAfter))
    write(engine.drain, name)
    write(engine.limits, name)
    environment(engine.environment, "engine", name)
  }

  private mutating func write(_ ready: Settings.Readiness) {
    switch ready {
    case .notify: pair(.engineReady, "\"notify\"")
    case .http(let url): readyTable(.readyHTTP, TomlText.quoted(url.text))
    case .tcp(let address): readyTable(.readyTCP, TomlText.quoted(address))
    case .exec(let command): readyTable(.readyExec, TomlText.list(command))
    case .after(let time): readyTable(.readyAfter, duration(time))
    }
  }

  private mutating func readyTable(_ key: KnownKey, _ value: String) {
    pair(.engineReady, "{ \(key.name) = \(value) }", path: ["\(section).ready.\(key.name)"])
  }

  private mutating func write(_ prove: Settings.Prove, _ engine: String) {
    header("engine", engine, "prove")
    pair(.proveSocket, TomlText.quoted(prove.socket.rawValue))
    pair(.provePath, TomlText.quoted(prove.path))
    pair(.proveHost, TomlText.quoted(prove.host))
    pair(.provePasses, "\(prove.passes)")
    pair(.proveStatus, "\(prove.status)")
    pair(.proveBody, optional: prove.body)
    pair(.proveTimeout, duration(prove.timeout))
  }

  private mutating func write(_ drain: Settings.Drain, _ engine: String) {
    guard drain.pending != nil || drain.save != nil else { return }
    header("engine", engine, "drain")
    if let pending = drain.pending {
      pair(.drainPending, TomlText.list(pending), path: ["\(section).pending.exec"])
    }
    if let save = drain.save { pair(.drainSave, TomlText.list(save)) }
  }

  private mutating func write(_ limits: [String: Settings.Limit], _ engine: String) {
    guard !limits.isEmpty else { return }
    header("engine", engine, "limits")
    for (name, limit) in limits.sorted(by: { $0.key < $1.key }) {
      let texts = [limit.soft, limit.hard].map { $0.map { "\($0)" } ?? "unlimited" }
      if limit.soft == limit.hard, let number = limit.soft, number <= UInt64(Int64.max) {
        pair(name, "\(number)")
      } else {
        pair(name, TomlText.quoted(texts[0] == texts[1] ? texts[0] : "\(texts[0]):\(texts[1])"))
      }
    }
  }

  private mutating func write(_ handover: Settings.Handover) {
    header("handover")
    pair(.handoverStrategy, TomlText.quoted(handover.strategy.rawValue))
    pair(.handoverSteering, TomlText.quoted(handover.steering.rawValue))
    pair(.handoverMaxDraining, "\(handover.maxDraining)")
    pair(.handoverMaxDrainTime, duration(handover.maxDrainTime))
    pair(.handoverUpgradeOnReload, "\(handover.upgradeOnReload)")
    guard let trial = handover.trial else { return absent(.handoverTrial) }
    header("handover", "trial")
    switch handover.strategy {
    case .all: trial.shares.prefix(1).forEach { pair(.trialShare, TomlText.quoted($0.description)) }
    case .canary: pair(.trialSteps, TomlText.list(trial.shares.map(\.description)))
    case .rolling: pair(.trialBatch, "\(trial.batch ?? 1)")
    }
    pair(.trialFor, duration(trial.duration))
    switch trial.check {
    case .exec(let command): pair(.trialCheck, TomlText.list(command))
    case .http(let url): pair(.trialCheck, TomlText.quoted(url.text))
    case nil: absent(.trialCheck)
    }
    pair(.trialCheckTimeout, duration(trial.checkTimeout))
  }

  private mutating func write(_ shutdown: Settings.Shutdown) {
    header("shutdown")
    pair(.shutdownTimeout, duration(shutdown.timeout))
    pair(.shutdownIntake, duration(shutdown.intake))
    pair(.shutdownEngines, duration(shutdown.engines))
    for (name, time, commands) in [
      ("database", shutdown.database, shutdown.databaseCommands), ("redis", shutdown.redis, shutdown.redisCommands),
    ] {
      header("shutdown", name)
      pair(.stageTimeout, duration(time), path: ["shutdown.\(name)"])
      pair(.stageRun, "[" + commands.map { TomlText.list($0) }.joined(separator: ", ") + "]")
    }
  }

  private mutating func write(_ leases: Settings.Leases) {
    header("leases")
    pair(.leasesTimeToLive, duration(leases.timeToLive))
    if let margin = leases.margin { pair(.leasesMargin, duration(margin)) } else { absent(.leasesMargin) }
    pair(.leasesPoll, duration(leases.poll))
    // For people without what may be secret in it.
    switch leases.store {
    case .local: break
    case .redis(let url):
      header("redis")
      pair(.redisURL, TomlText.quoted(origins == nil ? url : leases.store.shown), path: ["redis.url-file"])
    case .postgres(let url):
      header("database")
      pair(.databaseURL, TomlText.quoted(origins == nil ? url : leases.store.shown), path: ["database.url-file"])
    }
  }

  func duration(_ duration: Duration) -> String { TomlText.quoted(duration.exactText) }

  private func octal(_ mode: UInt32) -> String {
    let digits = String(mode, radix: 8)
    return "\"" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits + "\""
  }
}
