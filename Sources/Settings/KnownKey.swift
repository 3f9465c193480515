package import Vocabulary

/// Every key a settings file may hold. This one table drives the reading, the errors, the file of `baton init` and the
/// check of baton.toml(5), so that a key is described once.
package enum KnownKey: String, CaseIterable, Hashable, Sendable {
  case serviceDescription = "service.description"
  case serviceUser = "service.user"
  case serviceGroup = "service.group"
  case serviceDirectory = "service.directory"
  case serviceEnvironment = "service.environment"
  case serviceEnvironmentFiles = "service.environment-files"

  case socketListen = "socket.listen"
  case socketBacklog = "socket.backlog"
  case socketNonblocking = "socket.nonblocking"
  case socketMode = "socket.mode"
  case socketOwner = "socket.owner"
  case socketGroup = "socket.group"

  case engineCommand = "engine.command"
  case engineWorkers = "engine.workers"
  case engineSockets = "engine.sockets"
  case engineAfter = "engine.after"
  case engineEnvironment = "engine.environment"
  case engineProve = "engine.prove"
  case engineReady = "engine.ready"
  case engineStartTimeout = "engine.start-timeout"
  case engineStopTimeout = "engine.stop-timeout"
  case engineWatchdog = "engine.watchdog"
  case engineRestart = "engine.restart"
  case engineHandover = "engine.handover"
  case engineDrain = "engine.drain"
  case engineStage = "engine.stage"
  case engineUser = "engine.user"
  case engineGroup = "engine.group"
  case engineUmask = "engine.umask"
  case engineLimits = "engine.limits"
  case engineMemoryMax = "engine.memory-max"
  case engineCPUMax = "engine.cpu-max"
  case enginePidsMax = "engine.pids-max"
  case engineMemoryLimit = "engine.memory-limit"
  case engineMaxAge = "engine.max-age"
  case engineMaxRequests = "engine.max-requests"
  case engineLease = "engine.lease"
  case engineStandby = "engine.standby"

  case proveSocket = "prove.socket"
  case provePath = "prove.path"
  case proveHost = "prove.host"
  case provePasses = "prove.passes"
  case proveStatus = "prove.status"
  case proveBody = "prove.body"
  case proveTimeout = "prove.timeout"

  case readyHTTP = "ready.http"
  case readyTCP = "ready.tcp"
  case readyExec = "ready.exec"
  case readyAfter = "ready.after"

  case watchdogHTTP = "watchdog.http"
  case watchdogInterval = "watchdog.interval"
  case watchdogTimeout = "watchdog.timeout"
  case watchdogFailures = "watchdog.failures"

  case restartDelay = "restart.delay"
  case restartMaxDelay = "restart.max-delay"
  case restartGiveUpAfter = "restart.give-up-after"
  case restartHealthyAfter = "restart.healthy-after"

  case drainPending = "drain.pending"
  case drainSave = "drain.save"

  case limitsAddressSpace = "limits.as"
  case limitsCore = "limits.core"
  case limitsCPU = "limits.cpu"
  case limitsData = "limits.data"
  case limitsFileSize = "limits.fsize"
  case limitsLocks = "limits.locks"
  case limitsMemlock = "limits.memlock"
  case limitsMessageQueue = "limits.msgqueue"
  case limitsNice = "limits.nice"
  case limitsFiles = "limits.nofile"
  case limitsProcesses = "limits.nproc"
  case limitsResident = "limits.rss"
  case limitsRealtimePriority = "limits.rtprio"
  case limitsRealtimeTime = "limits.rttime"
  case limitsSignals = "limits.sigpending"
  case limitsStack = "limits.stack"

  case handoverStrategy = "handover.strategy"
  case handoverTrial = "handover.trial"
  case handoverSteering = "handover.steering"
  case handoverMaxDraining = "handover.max-draining"
  case handoverMaxDrainTime = "handover.max-drain-time"
  case handoverUpgradeOnReload = "handover.upgrade-on-reload"

  case trialShare = "trial.share"
  case trialSteps = "trial.steps"
  case trialBatch = "trial.batch"
  case trialFor = "trial.for"
  case trialCheck = "trial.check"
  case trialCheckTimeout = "trial.check-timeout"

  case shutdownTimeout = "shutdown.timeout"
  case shutdownIntake = "shutdown.intake"
  case shutdownEngines = "shutdown.engines"
  case shutdownDatabase = "shutdown.database"
  case shutdownRedis = "shutdown.redis"

  case stageTimeout = "stage.timeout"
  case stageRun = "stage.run"

  case leasesTimeToLive = "leases.ttl"
  case leasesMargin = "leases.margin"
  case leasesPoll = "leases.poll"

  case redisURL = "redis.url"
  case redisURLFile = "redis.url-file"

  case databaseURL = "database.url"
  case databaseURLFile = "database.url-file"

  case deployRepository = "deploy.repository"
  case deployRef = "deploy.ref"
  case deployFetchTimeout = "deploy.fetch-timeout"
  case deployUser = "deploy.user"
  case deployUnit = "deploy.unit"
  case deployActivate = "deploy.activate"
  case deployBuild = "deploy.build"
  case deployBuildTimeout = "deploy.build-timeout"
  case deployBuildMemory = "deploy.build-memory"
  case deployBuildEnvironment = "deploy.build-environment"
  case deployArtifacts = "deploy.artifacts"
  case deployShared = "deploy.shared"
  case deployExclude = "deploy.exclude"
  case deployTree = "deploy.tree"
  case deployKeep = "deploy.keep"
  case deployKeepFor = "deploy.keep-for"
  case deployKeepSize = "deploy.keep-size"
  case deployWindow = "deploy.window"
  case deployRequireAncestor = "deploy.require-ancestor"
  case deployRequireSignature = "deploy.require-signature"
  case deploySecrets = "deploy.secrets"
  case deployHooks = "deploy.hooks"
  case deployChecklist = "deploy.checklist"

  case checklistWhen = "checklist.when"
  case checklistText = "checklist.text"
  case checklistRun = "checklist.run"

  case healthURL = "health.url"
  case healthCheck = "health.check"
  case healthPasses = "health.passes"
  case healthInterval = "health.interval"
  case healthMaxInterval = "health.max-interval"
  case healthDeadline = "health.deadline"

  case checkURL = "check.url"
  case checkMethod = "check.method"
  case checkHeaders = "check.headers"
  case checkStatus = "check.status"
  case checkContains = "check.contains"
  case checkJSON = "check.json"
  case checkConnectTimeout = "check.connect-timeout"
  case checkTimeout = "check.timeout"
  case checkMaxLatency = "check.max-latency"
  case checkFollow = "check.follow"
  case checkCAFile = "check.ca-file"

  case jsonPath = "json.path"
  case jsonEquals = "json.equals"

  case bakeFor = "bake.for"
  case bakeInterval = "bake.interval"
  case bakeMaxRestarts = "bake.max-restarts"
  case bakeMaxErrors = "bake.max-errors"
  case bakeMaxMemory = "bake.max-memory"
  case bakeMaxCPU = "bake.max-cpu"
  case bakeBreaches = "bake.breaches"

  case migrateDirectory = "migrate.directory"
  case migrateCommand = "migrate.command"
  case migrateDatabase = "migrate.database"
  case migrateDatabaseVariable = "migrate.database-variable"
  case migrateLockTimeout = "migrate.lock-timeout"
  case migrateStatementTimeout = "migrate.statement-timeout"
  case migrateTimeout = "migrate.timeout"

  case backupKeep = "backup.keep"
  case backupFormat = "backup.format"
  case backupLevel = "backup.level"
  case backupShared = "backup.shared"

  /// A table of the file in which keys stand.
  package enum Section: String, CaseIterable, Hashable, Sendable {
    case service, socket, engine, prove, ready, watchdog, restart, drain, limits, handover, trial, shutdown, stage
    case leases, redis, database
    case deploy, checklist, health, check, json, bake, migrate, backup

    /// As documentation writes it.
    package var title: String {
      switch self {
      case .service, .handover, .shutdown, .leases, .redis, .database, .deploy, .health, .bake, .migrate, .backup:
        "[\(rawValue)]"
      case .socket, .engine: "[\(rawValue).NAME]"
      case .prove, .ready, .watchdog, .restart, .drain, .limits: "[engine.NAME.\(rawValue)]"
      case .trial: "[handover.trial]"
      case .stage: "[shutdown.STAGE]"
      case .checklist: "[[deploy.checklist]]"
      case .check: "[[health.check]]"
      case .json: "[health.check.json]"
      }
    }

    package var keys: [KnownKey] { KnownKey.allCases.filter { $0.section == self } }
  }

  package var section: Section {
    Section(rawValue: String(rawValue.prefix { $0 != "." })) ?? .service
  }

  /// As it stands in the file.
  package var name: String { String(rawValue.drop { $0 != "." }.dropFirst()) }
}

extension KnownKey {
  /// What a value may be.
  package enum Form: Hashable, Sendable {
    case text
    case boolean
    case integer(ClosedRange<Int64>)
    case duration(ClosedRange<Duration>)
    case choice([String])
    case share
    /// Of one processor, so that it may be more than the whole.
    case percent(ClosedRange<Int>)
    case shares
    case octal
    case address
    case path
    case texts
    case command
    case commands
    case url
    case hostPort
    case names(of: String)
    case limit
    /// Free names with texts.
    case environment
    /// The keys of a section.
    case table(Section)
    /// A word, or the keys of a section.
    case choiceOrTable([String], Section)
    case durationOrTable(ClosedRange<Duration>, Section)
    case commandOrExec
    case commandOrURL
    case size(ClosedRange<ByteCount>)
    /// Paths below a directory that is known.
    case innerPaths
    case innerPath
    case windows
    case statuses
    /// What curl may ask.
    case checkedURL
    case databaseURL
    case redisURL
    case postgresURL
    case variable
    /// A text, an integer or a boolean.
    case scalar
    /// Names of hooks, each with commands.
    case hooks
    /// An array of tables.
    case tables(Section)

    /// "… is accepted".
    package var accepted: String {
      switch self {
      case .text: "a text"
      case .boolean: "true or false"
      case .integer(let range): "an integer from \(range.lowerBound) to \(range.upperBound)"
      case .duration(let range): "a duration from \"\(range.lowerBound.text)\" to \"\(range.upperBound.text)\""
      case .choice(let words): words.map { "\"\($0)\"" }.joined(separator: " or ")
      case .share: "a share from \"0%\" to \"100%\""
      case .percent(let range): "a share of one processor from \"\(range.lowerBound)%\" to \"\(range.upperBound)%\""
      case .shares: "a list of rising shares such as \"5%\", the last \"100%\" at most"
      case .octal: "an octal mode from \"0000\" to \"0777\""
      case .address: "an address"
      case .path: "an absolute path"
      case .texts: "a list of texts"
      case .command: "a list of a program and its arguments"
      case .commands: "a list of commands, each a list of a program and its arguments"
      case .url: "an http:// URL on this host"
      case .hostPort: "HOST:PORT on this host"
      case .names(let kind): "a list of \(kind) names"
      case .limit: "a number, \"SOFT:HARD\" or \"unlimited\""
      case .environment: "a table of names and texts"
      case .table(let section): "a table as \(section.title)"
      case .choiceOrTable(let words, let section):
        words.map { "\"\($0)\"" }.joined(separator: " or ") + " or a table as \(section.title)"
      case .durationOrTable(let range, let section): Form.duration(range).accepted + " or a table as \(section.title)"
      case .commandOrExec: "a list of a program and its arguments, or { exec = [...] }"
      case .commandOrURL: "a list of a program and its arguments, or an http:// URL on this host"
      case .size(let range): "a size from \"\(range.lowerBound.text)\" to \"\(range.upperBound.text)\""
      case .innerPaths: "a list of paths without a slash in front, without .. and without wildcards"
      case .innerPath: "a path without a slash in front and without .."
      case .windows: "a list of times such as \"Mon-Fri 02:00-05:00\""
      case .statuses: "a status from 100 to 599, or a list of them"
      case .checkedURL: "an http:// or https:// URL, or \"unix:SOCKET:/PATH\""
      case .redisURL: "\"redis://HOST[:PORT][/DB]\", with USER:PASSWORD@ in front, or \"redis+unix:///PATH\""
      case .postgresURL: "\"postgres://HOST[:PORT]/DATABASE\", with USER:PASSWORD@ in front"
      case .databaseURL: "\"postgres://...\" or \"sqlite:///PATH\""
      case .variable: "a name of letters, digits and _"
      case .scalar: "a text, an integer, true or false"
      case .hooks: "a table of hooks, each a list of commands"
      case .tables(let section): "tables \(section.title)"
      }
    }
  }

  /// What a key means when it is left out.
  package enum Fallback: Hashable, Sendable {
    case required
    /// A value, as TOML.
    case value(String)
    /// What holds instead, in words.
    case words(String)

    package var text: String {
      switch self {
      case .required: "required"
      case .value(let toml): "default \(toml)"
      case .words(let words): "default: \(words)"
      }
    }
  }
}
