internal import Vocabulary

/// `[deploy]` with the sections that go with it. Nothing is asked of the host here: a file is checked where it is written
/// as well as where it is used, and what a deploy needs of the host its preflight asks.
extension SettingsResolver {
  func deploy(_ service: Settings.Service) -> Settings.Deploy? {
    guard let deploy = raw.deploy else {
      for (name, position) in [
        ("health", raw.health?.position), ("bake", raw.bake?.position), ("migrate", raw.migrate?.position),
        ("backup", raw.backup?.position),
      ] {
        guard let position, !findings.refused.contains("deploy") else { continue }
        findings.error("[\(name)] is about deploys, and there is no [deploy]", at: position, hint: "write [deploy]")
      }
      return nil
    }
    let shared = values.innerPaths(deploy.shared, .deployShared)
    let exclude = values.innerPaths(deploy.exclude, .deployExclude)
    checkApart(shared, exclude, deploy)
    return Settings.Deploy(
      repository: values.word(deploy.repository, .deployRepository),
      ref: values.word(deploy.ref, .deployRef) ?? KnownKey.deployRef.defaultText,
      fetchTimeout: values.duration(deploy.fetchTimeout, .deployFetchTimeout),
      user: values.word(deploy.user, .deployUser) ?? KnownKey.deployUser.defaultText, unit: unit(deploy.unit),
      activation: values.choice(deploy.activate, .deployActivate, .reload), build: build(deploy),
      artifacts: values.innerPaths(deploy.artifacts, .deployArtifacts), shared: shared, exclude: exclude,
      tree: values.path(deploy.tree, .deployTree), keep: values.integer(deploy.keep, .deployKeep),
      keepFor: deploy.keepFor.map { values.duration($0, .deployKeepFor, else: .seconds(3_600)) },
      keepSize: values.size(deploy.keepSize, .deployKeepSize), window: values.windows(deploy.window, .deployWindow),
      requiredAncestor: values.word(deploy.requireAncestor, .deployRequireAncestor),
      allowedSigners: values.path(deploy.requireSignature, .deployRequireSignature), hooks: hooks(deploy),
      checklist: deploy.checklist.compactMap { item($0) }, secrets: secrets(deploy, service),
      health: health(raw.health), bake: bake(raw.bake), migrate: raw.migrate.flatMap { migrate($0) },
      backup: backup(raw.backup))
  }

  private func checkApart(_ shared: [String], _ exclude: [String], _ deploy: RawSettings.Deploy) {
    for text in deploy.exclude {
      guard let path = values.innerPathQuietly(text.value), exclude.contains(path),
        let other = shared.first(where: { $0 == path || path.hasPrefix($0 + "/") || $0.hasPrefix(path + "/") })
      else { continue }
      findings.error(
        "exclude names \(values.quoted(path)) and shared \(values.quoted(other)); a path is the one or the other",
        at: text.position)
    }
  }

  private func unit(_ raw: Located<String>?) -> String {
    let fallback = "baton@\(serviceName).service"
    guard let raw else { return fallback }
    let isUnit =
      (9...255).contains(raw.value.utf8.count) && raw.value.hasSuffix(".service")
      && raw.value.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
          || ":-_.@\\".utf8.contains($0)
      }
    if isUnit { return raw.value }
    let hint = raw.value.contains(".") ? nil : "write unit = \(TomlText.quoted(raw.value + ".service", limit: 80))"
    findings.error(
      "unit is \(values.quoted(raw.value)); the name of a .service unit is accepted", at: raw.position, hint: hint)
    return fallback
  }

  private func build(_ deploy: RawSettings.Deploy) -> Settings.Deploy.Build {
    Settings.Deploy.Build(
      commands: deploy.build.compactMap { values.command($0, .deployBuild) },
      timeout: values.duration(deploy.buildTimeout, .deployBuildTimeout),
      memoryLimit: values.size(deploy.buildMemory, .deployBuildMemory),
      environment: values.environment(deploy.buildEnvironment))
  }

  private func hooks(_ deploy: RawSettings.Deploy) -> [String: [[String]]] {
    var result: [String: [[String]]] = [:]
    let known = Settings.Deploy.hookNames
    for (name, commands) in deploy.hooks {
      guard known.contains(name.value) else {
        findings.error(
          "\(values.quoted(name.value)) is no hook; before-STEP, after-STEP and failed are, and steps are "
            + Settings.Deploy.stepNames.joined(separator: ", "), at: name.position,
          hint: NearestWord.hint(name.value, among: known))
        continue
      }
      result[name.value] = commands.compactMap { values.command($0, .deployHooks) }
    }
    return result
  }

  private func item(_ item: RawSettings.ChecklistItem) -> Settings.Deploy.ChecklistItem? {
    guard let text = item.text, !text.value.isEmpty else {
      if item.text != nil || !findings.refused.contains(where: { $0.hasSuffix(".text") }) {
        findings.error("[[deploy.checklist]] has no text, which says what is checked", at: item.position)
      }
      return nil
    }
    return Settings.Deploy.ChecklistItem(
      when: values.choice(item.when, .checklistWhen, .before), text: text.value,
      run: item.run.flatMap { values.command($0, .checklistRun) })
  }

  private func secrets(_ deploy: RawSettings.Deploy, _ service: Settings.Service) -> [String] {
    deploy.secrets.compactMap { file in
      guard !file.value.isEmpty, !file.value.utf8.contains(0) else {
        findings.error("secrets holds \(values.quoted(file.value)); a path is accepted", at: file.position)
        return nil
      }
      return file.value.hasPrefix("/") ? file.value : "\(service.directory)/\(file.value)"
    }
  }

  // MARK: [bake], [backup]

  private func bake(_ bake: RawSettings.Bake?) -> Settings.Deploy.Bake {
    let resolved = Settings.Deploy.Bake(
      duration: values.duration(bake?.duration, .bakeFor), interval: values.duration(bake?.interval, .bakeInterval),
      maxRestarts: values.integer(bake?.maxRestarts, .bakeMaxRestarts),
      maxErrors: values.integer(bake?.maxErrors, .bakeMaxErrors),
      maxMemory: values.size(bake?.maxMemory, .bakeMaxMemory),
      maxCPU: bake?.maxCPU.map { values.share($0, .bakeMaxCPU) },
      breaches: values.integer(bake?.breaches, .bakeBreaches))
    if resolved.duration > .zero, let culprit = bake?.duration ?? bake?.interval,
      resolved.interval * resolved.breaches > resolved.duration
    {
      findings.error(
        "for is \"\(resolved.duration.text)\", which has no room for \(resolved.breaches) looks of interval "
          + "\"\(resolved.interval.text)\": no breach could ever be seen", at: culprit.position)
    }
    return resolved
  }

  private func backup(_ backup: RawSettings.Backup?) -> Settings.Deploy.Backup {
    let format = values.choice(backup?.format, .backupFormat, Settings.Deploy.Backup.Format.zst)
    let fallback = format == .gz ? 6 : 3
    let level = backup?.level == nil ? fallback : values.integer(backup?.level, .backupLevel)
    if let raw = backup?.level, format == .gz, level > 9 {
      findings.error("level is \(raw.value), and gz has 1 to 9", at: raw.position)
    }
    return Settings.Deploy.Backup(
      keep: values.integer(backup?.keep, .backupKeep), format: format, level: level,
      shared: values.innerPaths(backup?.shared ?? [], .backupShared))
  }
}

extension ValueReader {
  /// As ``innerPath(_:_:wildcards:)`` has it, for a text that had its error already.
  fileprivate func innerPathQuietly(_ text: String) -> String? {
    var path = text[...]
    while path.hasPrefix("./") { path = path.dropFirst(2) }
    while path.hasSuffix("/") { path = path.dropLast() }
    return path.isEmpty ? nil : String(path)
  }
}

extension Settings.Deploy {
  /// The steps that may have hooks, in their order.
  package static let stepNames = [
    "preflight", "lock", "backup", "fetch", "build", "verify", "migrate", "activate", "health-check", "bake",
    "mark-good", "prune",
  ]

  /// Every name `[deploy.hooks]` may hold.
  package static let hookNames = stepNames.flatMap { ["before-\($0)", "after-\($0)"] } + ["failed"]
}
