internal import Vocabulary

extension TOMLWriter {
  mutating func write(_ deploy: Settings.Deploy) {
    header("deploy")
    pair(.deployRepository, optional: deploy.repository)
    pair(.deployRef, TomlText.quoted(deploy.ref))
    pair(.deployFetchTimeout, duration(deploy.fetchTimeout))
    pair(.deployUser, TomlText.quoted(deploy.user))
    pair(.deployUnit, TomlText.quoted(deploy.unit))
    pair(.deployActivate, TomlText.quoted(deploy.activation.rawValue))
    pair(.deployBuild, commands(deploy.build.commands))
    pair(.deployBuildTimeout, duration(deploy.build.timeout))
    pair(.deployBuildMemory, optional: deploy.build.memoryLimit?.text)
    pair(.deployArtifacts, TomlText.list(deploy.artifacts))
    pair(.deployShared, TomlText.list(deploy.shared))
    pair(.deployExclude, TomlText.list(deploy.exclude))
    pair(.deployTree, optional: deploy.tree)
    pair(.deployKeep, "\(deploy.keep)")
    pair(.deployKeepFor, optional: deploy.keepFor?.exactText)
    pair(.deployKeepSize, optional: deploy.keepSize?.text)
    pair(.deployWindow, TomlText.list(deploy.window.map(\.description)))
    pair(.deployRequireAncestor, optional: deploy.requiredAncestor)
    pair(.deployRequireSignature, optional: deploy.allowedSigners)
    pair(.deploySecrets, TomlText.list(deploy.secrets))
    if deploy.checklist.isEmpty { absent(.deployChecklist) }
    table("build-environment", deploy.build.environment)
    if !deploy.hooks.isEmpty {
      header("deploy", "hooks")
      for name in Settings.Deploy.hookNames {
        if let hook = deploy.hooks[name] { pair(name, commands(hook)) }
      }
    }
    for (index, item) in deploy.checklist.enumerated() {
      element("deploy.checklist", index)
      pair(.checklistWhen, TomlText.quoted(item.when.rawValue))
      pair(.checklistText, TomlText.quoted(item.text))
      if let run = item.run { pair(.checklistRun, TomlText.list(run)) } else { absent(.checklistRun) }
    }
    write(deploy.health)
    write(deploy.bake)
    if let migrate = deploy.migrate { write(migrate) }
    write(deploy.backup)
  }

  /// `[deploy.build-environment]`, `[health.check.headers]`: values may be secrets.
  private mutating func table(_ name: String, _ values: [String: String]) {
    guard !values.isEmpty else { return }
    header("deploy", name)
    for (name, value) in values.sorted(by: { $0.key < $1.key }) {
      pair(name, origins == nil ? TomlText.quoted(value) : "\"…\"")
    }
  }

  private func commands(_ commands: [[String]]) -> String {
    "[" + commands.map { TomlText.list($0) }.joined(separator: ", ") + "]"
  }

  private mutating func write(_ health: Settings.Deploy.Health) {
    guard !health.checks.isEmpty else { return }
    header("health")
    pair(.healthPasses, "\(health.passes)")
    pair(.healthInterval, duration(health.interval))
    pair(.healthMaxInterval, duration(health.maxInterval))
    pair(.healthDeadline, duration(health.deadline))
    for (index, check) in health.checks.enumerated() { write(check, index) }
  }

  private mutating func write(_ check: Settings.Deploy.Health.Check, _ index: Int) {
    element("health.check", index)
    pair(.checkURL, TomlText.quoted(check.url), path: ["health.url"])
    pair(.checkMethod, TomlText.quoted(check.method))
    pair(.checkStatus, "[" + check.statuses.map { "\($0)" }.joined(separator: ", ") + "]")
    pair(.checkContains, optional: check.contains)
    if let member = check.json {
      pair(
        .checkJSON,
        "{ path = \(TomlText.quoted(member.path)), equals = \(TomlText.quoted(member.equals)) }",
        path: ["\(section).json.path"])
    } else {
      absent(.checkJSON)
    }
    pair(.checkConnectTimeout, duration(check.connectTimeout))
    pair(.checkTimeout, duration(check.timeout))
    pair(.checkMaxLatency, optional: check.maxLatency?.exactText)
    pair(.checkFollow, "\(check.redirects)")
    pair(.checkCAFile, optional: check.caFile)
    let headers = check.headers.sorted { $0.key < $1.key }.map {
      "\(TomlText.key($0.key)) = \(origins == nil ? TomlText.quoted($0.value) : "\"…\"")"
    }
    pair(
      .checkHeaders, headers.isEmpty ? "{}" : "{ \(headers.joined(separator: ", ")) }",
      path: check.headers.keys.sorted().map { "\(section).headers.\($0)" })
  }

  private mutating func write(_ bake: Settings.Deploy.Bake) {
    header("bake")
    pair(.bakeFor, duration(bake.duration))
    pair(.bakeInterval, duration(bake.interval))
    pair(.bakeMaxRestarts, "\(bake.maxRestarts)")
    pair(.bakeMaxErrors, "\(bake.maxErrors)")
    pair(.bakeMaxMemory, optional: bake.maxMemory?.text)
    pair(.bakeMaxCPU, optional: bake.maxCPU?.description)
    pair(.bakeBreaches, "\(bake.breaches)")
  }

  private mutating func write(_ migrate: Settings.Deploy.Migrate) {
    header("migrate")
    switch migrate.source {
    case .files(let directory): pair(.migrateDirectory, TomlText.quoted(directory))
    case .command(let command): pair(.migrateCommand, TomlText.list(command))
    }
    if let database = migrate.database {
      // Between the user's name and the host there may be a password.
      pair(.migrateDatabase, origins == nil || !database.contains("@") ? TomlText.quoted(database) : "\"…\"")
    }
    if let variable = migrate.databaseVariable { pair(.migrateDatabaseVariable, TomlText.quoted(variable)) }
    pair(.migrateLockTimeout, duration(migrate.lockTimeout))
    pair(.migrateStatementTimeout, duration(migrate.statementTimeout))
    pair(.migrateTimeout, duration(migrate.timeout))
  }

  private mutating func write(_ backup: Settings.Deploy.Backup) {
    header("backup")
    pair(.backupKeep, "\(backup.keep)")
    pair(.backupFormat, TomlText.quoted(backup.format.rawValue))
    pair(.backupLevel, "\(backup.level)")
    pair(.backupShared, TomlText.list(backup.shared))
  }
}
