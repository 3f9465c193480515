extension RawSettings {
  private static let sections = [
    "service", "socket", "engine", "handover", "shutdown", "leases", "redis", "database", "deploy", "health", "bake",
    "migrate", "backup",
  ]

  /// Mirrors the root table of a file. Wrong types and unknown keys go to `findings`.
  init(_ root: TomlNode, _ findings: Findings) {
    guard case .table(let entries) = root.value else { return }
    for entry in entries {
      switch entry.key {
      case "service": service = Self.section(entry, .service, findings).map { Service($0) }
      case "handover": handover = Self.section(entry, .handover, findings).map { Handover($0) }
      case "shutdown": shutdown = Self.section(entry, .shutdown, findings).map { Shutdown($0) }
      case "leases": leases = Self.section(entry, .leases, findings).map { Leases($0) }
      case "redis": redis = Self.section(entry, .redis, findings).map { Store($0, .redisURL, .redisURLFile) }
      case "database":
        database = Self.section(entry, .database, findings).map { Store($0, .databaseURL, .databaseURLFile) }
      case "deploy": deploy = Self.section(entry, .deploy, findings).map { Deploy($0) }
      case "health": health = Self.section(entry, .health, findings).map { Health($0) }
      case "bake": bake = Self.section(entry, .bake, findings).map { Bake($0) }
      case "migrate": migrate = Self.section(entry, .migrate, findings).map { Migrate($0) }
      case "backup": backup = Self.section(entry, .backup, findings).map { Backup($0) }
      case "socket": sockets = Self.named(entry, .socket, findings).map { Socket($0, $1) }
      case "engine": engines = Self.named(entry, .engine, findings).map { Engine($0, $1) }
      default: Self.unknown(entry, findings)
      }
    }
  }

  private static func section(
    _ entry: TomlEntry, _ section: KnownKey.Section, _ findings: Findings
  ) -> TableReader? {
    guard case .table(let entries) = entry.node.value else {
      findings.refuse(entry.key)
      findings.error(
        "\(entry.key) is \(entry.node.shown); a table \(section.title) is accepted", at: entry.keyPosition)
      return nil
    }
    return TableReader(entries, path: entry.key, section: section, at: entry.keyPosition, findings)
  }

  /// The tables `[socket.NAME]` or `[engine.NAME]`.
  private static func named(
    _ entry: TomlEntry, _ section: KnownKey.Section, _ findings: Findings
  ) -> [(name: Text, reader: TableReader)] {
    guard case .table(let entries) = entry.node.value else {
      findings.refuse(entry.key)
      findings.error(
        "\(entry.key) is \(entry.node.shown); tables \(section.title) are accepted", at: entry.keyPosition)
      return []
    }
    return entries.compactMap { child in
      guard case .table(let keys) = child.node.value else {
        findings.error(
          "\(TomlText.quoted(child.key, limit: 60)) in [\(entry.key)] is \(child.node.shown); "
            + "tables \(section.title) are accepted", at: child.keyPosition,
          hint: "name the \(section.rawValue): [\(section.rawValue).main]")
        return nil
      }
      let path = "\(entry.key).\(TomlText.key(child.key))"
      return (
        Located(child.key, at: child.keyPosition),
        TableReader(keys, path: path, section: section, at: child.keyPosition, findings)
      )
    }
  }

  private static func unknown(_ entry: TomlEntry, _ findings: Findings) {
    let isTable = if case .table = entry.node.value { true } else { false }
    let known =
      "known are [service], [socket.NAME], [engine.NAME], [handover], [shutdown], [leases], [redis], [database], "
      + "[deploy], [health], [bake], [migrate] and [backup]"
    let sections = KnownKey.allCases.filter { $0.name == entry.key && $0.section != .limits }.map { $0.section.title }
    let hint =
      NearestWord.to(entry.key, among: Self.sections).map { "did you mean [\($0)]?" }
      ?? (sections.isEmpty ? nil : "it is a key of \(sections.joined(separator: " and "))")
    let name = TomlText.quoted(entry.key, limit: 60)
    findings.error(
      "\(name) is no section of the settings\(isTable ? "" : ", and no key stands before the first section"); \(known)",
      at: entry.keyPosition, hint: hint)
  }
}

extension RawSettings.Service {
  fileprivate init(_ table: TableReader) {
    var table = table
    position = table.position
    description = table.text(.serviceDescription)
    user = table.text(.serviceUser)
    group = table.text(.serviceGroup)
    directory = table.text(.serviceDirectory)
    environment = table.environment(.serviceEnvironment)
    environmentFiles = table.texts(.serviceEnvironmentFiles) ?? []
    table.finish()
  }
}

extension RawSettings.Socket {
  fileprivate init(_ name: Located<String>, _ table: TableReader) {
    var table = table
    self.name = name
    listen = table.text(.socketListen)
    backlog = table.integer(.socketBacklog)
    nonblocking = table.boolean(.socketNonblocking)
    mode = table.text(.socketMode)
    owner = table.text(.socketOwner)
    group = table.text(.socketGroup)
    table.finish()
  }
}

extension RawSettings.Engine {
  fileprivate init(_ name: Located<String>, _ table: TableReader) {
    var table = table
    self.name = name
    command = table.command(.engineCommand)
    workers = table.integer(.engineWorkers)
    sockets = table.texts(.engineSockets) ?? []
    after = table.texts(.engineAfter) ?? []
    environment = table.environment(.engineEnvironment)
    prove = table.table(.engineProve, .prove).map { RawSettings.Prove($0) }
    ready = Self.readiness(&table)
    startTimeout = table.text(.engineStartTimeout)
    stopTimeout = table.text(.engineStopTimeout)
    watchdog = Self.watchdog(&table)
    restart = table.table(.engineRestart, .restart).map { RawSettings.Restart($0) }
    handover = table.text(.engineHandover)
    drain = table.table(.engineDrain, .drain).map { RawSettings.Drain($0) }
    stage = table.text(.engineStage)
    user = table.text(.engineUser)
    group = table.text(.engineGroup)
    umask = table.text(.engineUmask)
    limits = Self.limits(&table)
    memoryMax = table.text(.engineMemoryMax)
    cpuMax = table.text(.engineCPUMax)
    pidsMax = table.integer(.enginePidsMax)
    memoryLimit = table.text(.engineMemoryLimit)
    maxAge = table.text(.engineMaxAge)
    maxRequests = table.integer(.engineMaxRequests)
    lease = table.text(.engineLease)
    standby = table.text(.engineStandby)
    table.finish()
  }

  private static func readiness(_ engine: inout TableReader) -> RawSettings.Readiness? {
    guard let node = engine.take(.engineReady) else { return nil }
    if case .text(let word) = node.value { return .word(Located(word, at: node.position)) }
    guard var table = engine.table(in: node, .engineReady, .ready) else {
      engine.wrongType(node, .engineReady)
      return nil
    }
    let ready = RawSettings.Readiness.table(
      node.position, http: table.text(.readyHTTP), tcp: table.text(.readyTCP), exec: table.command(.readyExec),
      after: table.text(.readyAfter))
    table.finish()
    return ready
  }

  private static func watchdog(_ engine: inout TableReader) -> RawSettings.Watchdog? {
    guard let node = engine.take(.engineWatchdog) else { return nil }
    if case .text(let text) = node.value { return .duration(Located(text, at: node.position)) }
    guard var table = engine.table(in: node, .engineWatchdog, .watchdog) else {
      engine.wrongType(node, .engineWatchdog)
      return nil
    }
    let watchdog = RawSettings.Watchdog.table(
      node.position, http: table.text(.watchdogHTTP), interval: table.text(.watchdogInterval),
      timeout: table.text(.watchdogTimeout), failures: table.integer(.watchdogFailures))
    table.finish()
    return watchdog
  }

  private static func limits(_ engine: inout TableReader) -> [(key: KnownKey, value: RawSettings.Limit)] {
    guard var table = engine.table(.engineLimits, .limits) else { return [] }
    var limits: [(key: KnownKey, value: RawSettings.Limit)] = []
    for key in KnownKey.Section.limits.keys {
      guard let node = table.take(key) else { continue }
      switch node.value {
      case .integer(let number): limits.append((key, .number(Located(number, at: node.position))))
      case .text(let text): limits.append((key, .text(Located(text, at: node.position))))
      case .table, .array, .float, .boolean, .date: table.wrongType(node, key)
      }
    }
    table.finish()
    return limits
  }
}

extension RawSettings.Prove {
  fileprivate init(_ table: TableReader) {
    var table = table
    position = table.position
    socket = table.text(.proveSocket)
    path = table.text(.provePath)
    host = table.text(.proveHost)
    passes = table.integer(.provePasses)
    status = table.integer(.proveStatus)
    body = table.text(.proveBody)
    timeout = table.text(.proveTimeout)
    table.finish()
  }
}

extension RawSettings.Restart {
  fileprivate init(_ table: TableReader) {
    var table = table
    delay = table.text(.restartDelay)
    maxDelay = table.text(.restartMaxDelay)
    giveUpAfter = table.integer(.restartGiveUpAfter)
    healthyAfter = table.text(.restartHealthyAfter)
    table.finish()
  }
}

extension RawSettings.Drain {
  fileprivate init(_ table: TableReader) {
    var table = table
    pending = Self.pending(&table)
    save = table.command(.drainSave)
    table.finish()
  }

  /// `[...]` or `{ exec = [...] }`
  private static func pending(_ drain: inout TableReader) -> RawSettings.Command? {
    guard let node = drain.take(.drainPending) else { return nil }
    guard case .table(let entries) = node.value else { return drain.texts(in: node, .drainPending) }
    guard entries.count == 1, let entry = entries.first, entry.key == "exec" else {
      drain.wrongType(node, .drainPending)
      return nil
    }
    return drain.texts(in: entry.node, .drainPending)
  }
}

extension RawSettings.Handover {
  fileprivate init(_ table: TableReader) {
    var table = table
    strategy = table.text(.handoverStrategy)
    if var inner = table.table(.handoverTrial, .trial) {
      trial = RawSettings.Trial(
        position: inner.position, share: inner.text(.trialShare), steps: inner.command(.trialSteps),
        batch: inner.integer(.trialBatch), duration: inner.text(.trialFor), check: Self.check(&inner),
        checkTimeout: inner.text(.trialCheckTimeout))
      inner.finish()
    }
    steering = table.text(.handoverSteering)
    maxDraining = table.integer(.handoverMaxDraining)
    maxDrainTime = table.text(.handoverMaxDrainTime)
    upgradeOnReload = table.boolean(.handoverUpgradeOnReload)
    table.finish()
  }
}

extension RawSettings.Handover {
  /// `["program", …]` or `"http://…"`
  private static func check(_ trial: inout TableReader) -> RawSettings.Trial.Check? {
    guard let node = trial.take(.trialCheck) else { return nil }
    if case .text(let text) = node.value { return .url(Located(text, at: node.position)) }
    return trial.texts(in: node, .trialCheck).map { .command($0) }
  }
}

extension RawSettings.Leases {
  fileprivate init(_ table: TableReader) {
    var table = table
    timeToLive = table.text(.leasesTimeToLive)
    margin = table.text(.leasesMargin)
    poll = table.text(.leasesPoll)
    table.finish()
  }
}

extension RawSettings.Store {
  fileprivate init(_ table: TableReader, _ url: KnownKey, _ file: KnownKey) {
    var table = table
    position = table.position
    self.url = table.text(url)
    urlFile = table.text(file)
    table.finish()
  }
}

extension RawSettings.Shutdown {
  fileprivate init(_ table: TableReader) {
    var table = table
    timeout = table.text(.shutdownTimeout)
    intake = table.text(.shutdownIntake)
    engines = table.text(.shutdownEngines)
    database = Self.stage(&table, .shutdownDatabase)
    redis = Self.stage(&table, .shutdownRedis)
    table.finish()
  }

  /// `"3s"`, or a table when the stage has commands: TOML has no key that is both.
  private static func stage(_ shutdown: inout TableReader, _ key: KnownKey) -> RawSettings.Stage? {
    guard let node = shutdown.take(key) else { return nil }
    if case .text(let text) = node.value { return RawSettings.Stage(timeout: Located(text, at: node.position)) }
    guard var table = shutdown.table(in: node, key, .stage) else {
      shutdown.wrongType(node, key)
      return nil
    }
    let stage = RawSettings.Stage(timeout: table.text(.stageTimeout), run: table.commands(.stageRun))
    table.finish()
    return stage
  }
}
