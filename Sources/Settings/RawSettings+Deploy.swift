/// `[deploy]`, `[health]`, `[bake]`, `[migrate]` and `[backup]` as they are written.
extension RawSettings {
  struct Deploy {
    var position: Position
    var repository: Text?
    var ref: Text?
    var fetchTimeout: Text?
    var user: Text?
    var unit: Text?
    var activate: Text?
    var build: [Command]
    var buildTimeout: Text?
    var buildMemory: Text?
    var buildEnvironment: Environment
    var artifacts: [Text]
    var shared: [Text]
    var exclude: [Text]
    var keep: Number?
    var tree: Text?
    var keepFor: Text?
    var keepSize: Text?
    var window: [Text]
    var requireAncestor: Text?
    var requireSignature: Text?
    var secrets: [Text]
    var hooks: [(name: Text, commands: [Command])]
    var checklist: [ChecklistItem]
  }

  struct ChecklistItem {
    var position: Position
    var when: Text?
    var text: Text?
    var run: Command?
  }

  struct Health {
    var position: Position
    var url: Text?
    var checks: [HealthCheck]
    var passes: Number?
    var interval: Text?
    var maxInterval: Text?
    var deadline: Text?
  }

  struct HealthCheck {
    var position: Position
    var url: Text?
    var method: Text?
    var headers: Environment = []
    var statuses: [Number]?
    var contains: Text?
    var json: (position: Position, path: Text?, equals: Text?)?
    var connectTimeout: Text?
    var timeout: Text?
    var maxLatency: Text?
    var follow: Number?
    var caFile: Text?
  }

  struct Bake {
    var position: Position
    var duration: Text?
    var interval: Text?
    var maxRestarts: Number?
    var maxErrors: Number?
    var maxMemory: Text?
    var maxCPU: Text?
    var breaches: Number?
  }

  struct Migrate {
    var position: Position
    var directory: Text?
    var command: Command?
    var database: Text?
    var databaseVariable: Text?
    var lockTimeout: Text?
    var statementTimeout: Text?
    var timeout: Text?
  }

  struct Backup {
    var position: Position
    var keep: Number?
    var format: Text?
    var level: Number?
    var shared: [Text]
  }
}

extension RawSettings.Deploy {
  init(_ table: TableReader) {
    var table = table
    position = table.position
    repository = table.text(.deployRepository)
    ref = table.text(.deployRef)
    fetchTimeout = table.text(.deployFetchTimeout)
    user = table.text(.deployUser)
    unit = table.text(.deployUnit)
    activate = table.text(.deployActivate)
    build = table.commands(.deployBuild)
    buildTimeout = table.text(.deployBuildTimeout)
    buildMemory = table.text(.deployBuildMemory)
    buildEnvironment = table.environment(.deployBuildEnvironment)
    artifacts = table.texts(.deployArtifacts) ?? []
    shared = table.texts(.deployShared) ?? []
    exclude = table.texts(.deployExclude) ?? []
    tree = table.text(.deployTree)
    keep = table.integer(.deployKeep)
    keepFor = table.text(.deployKeepFor)
    keepSize = table.text(.deployKeepSize)
    window = table.texts(.deployWindow) ?? []
    requireAncestor = table.text(.deployRequireAncestor)
    requireSignature = table.text(.deployRequireSignature)
    secrets = table.texts(.deploySecrets) ?? []
    hooks = table.hooks(.deployHooks)
    checklist = table.tables(.deployChecklist, .checklist).map { RawSettings.ChecklistItem($0) }
    table.finish()
  }
}

extension RawSettings.ChecklistItem {
  fileprivate init(_ table: TableReader) {
    var table = table
    position = table.position
    when = table.text(.checklistWhen)
    text = table.text(.checklistText)
    run = table.command(.checklistRun)
    table.finish()
  }
}

extension RawSettings.Health {
  init(_ table: TableReader) {
    var table = table
    position = table.position
    url = table.text(.healthURL)
    checks = table.tables(.healthCheck, .check).map { RawSettings.HealthCheck($0) }
    passes = table.integer(.healthPasses)
    interval = table.text(.healthInterval)
    maxInterval = table.text(.healthMaxInterval)
    deadline = table.text(.healthDeadline)
    table.finish()
  }
}

extension RawSettings.HealthCheck {
  fileprivate init(_ table: TableReader) {
    var table = table
    position = table.position
    url = table.text(.checkURL)
    method = table.text(.checkMethod)
    headers = table.environment(.checkHeaders)
    statuses = table.integers(.checkStatus)
    contains = table.text(.checkContains)
    if var member = table.table(.checkJSON, .json) {
      json = (member.position, member.text(.jsonPath), member.scalar(.jsonEquals))
      member.finish()
    }
    connectTimeout = table.text(.checkConnectTimeout)
    timeout = table.text(.checkTimeout)
    maxLatency = table.text(.checkMaxLatency)
    follow = table.integer(.checkFollow)
    caFile = table.text(.checkCAFile)
    table.finish()
  }
}

extension RawSettings.Bake {
  init(_ table: TableReader) {
    var table = table
    position = table.position
    duration = table.text(.bakeFor)
    interval = table.text(.bakeInterval)
    maxRestarts = table.integer(.bakeMaxRestarts)
    maxErrors = table.integer(.bakeMaxErrors)
    maxMemory = table.text(.bakeMaxMemory)
    maxCPU = table.text(.bakeMaxCPU)
    breaches = table.integer(.bakeBreaches)
    table.finish()
  }
}

extension RawSettings.Migrate {
  init(_ table: TableReader) {
    var table = table
    position = table.position
    directory = table.text(.migrateDirectory)
    command = table.command(.migrateCommand)
    database = table.text(.migrateDatabase)
    databaseVariable = table.text(.migrateDatabaseVariable)
    lockTimeout = table.text(.migrateLockTimeout)
    statementTimeout = table.text(.migrateStatementTimeout)
    timeout = table.text(.migrateTimeout)
    table.finish()
  }
}

extension RawSettings.Backup {
  init(_ table: TableReader) {
    var table = table
    position = table.position
    keep = table.integer(.backupKeep)
    format = table.text(.backupFormat)
    level = table.integer(.backupLevel)
    shared = table.texts(.backupShared) ?? []
    table.finish()
  }
}
