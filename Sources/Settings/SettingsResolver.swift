internal import Glibc
internal import LinuxSystem
internal import Vocabulary

/// Decides what a file leaves open and checks what one key cannot know of another. Everything wrong goes to `findings`.
struct SettingsResolver {
  let raw: RawSettings
  /// As the file is called, without `.toml`.
  let serviceName: String
  let purpose: SettingsReader.Purpose
  /// Whether batond would run as root.
  let isRoot: Bool
  let findings: Findings
  let values: ValueReader
  /// Where a generation would run: `directory/current`, else `directory`; nil when that is not known.
  private(set) var workingDirectory: String?
  /// Where the values of environment files come from.
  private(set) var environmentOrigins: [String: Origin] = [:]

  init(
    _ raw: RawSettings, name: String, for purpose: SettingsReader.Purpose, isRoot: Bool, _ findings: Findings
  ) {
    self.raw = raw
    serviceName = name
    self.purpose = purpose
    self.isRoot = isRoot
    self.findings = findings
    values = ValueReader(findings: findings)
  }

  /// Complete even if `findings` has errors, when it must not be used.
  mutating func resolve() -> Settings {
    let service = service()
    let sockets = raw.sockets.compactMap { socket($0) }
    var engines: [Settings.Engine] = []
    for engine in raw.engines {
      if let engine = self.engine(engine, service) { engines.append(engine) }
    }
    checkEngines()
    let settings = Settings(
      service: service, sockets: sockets, engines: engines, handover: handover(service), shutdown: shutdown(service),
      leases: leases(), deploy: deploy(service))
    CrossReferences(raw: raw, settings: settings, findings: findings).check()
    return settings
  }

  /// Without engines there is nothing to supervise; such a service can be deployed nevertheless, to another's unit.
  private func checkEngines() {
    guard raw.engines.isEmpty, !findings.refused.contains("engine") else { return }
    let isDeployed = raw.deploy != nil && purpose != .supervisor
    guard !isDeployed else {
      if raw.deploy?.unit == nil, !findings.refused.contains("deploy.unit") {
        findings.error(
          "[deploy] has no unit, and no engine is described that baton@\(serviceName).service would run",
          at: raw.deploy?.position ?? .start, hint: "write unit = \"NAME.service\"")
      }
      return
    }
    findings.error("no engine is described; at least one [engine.NAME] is required", at: .start)
  }

  // MARK: [service]

  private mutating func service() -> Settings.Service {
    guard let service = raw.service else {
      if !findings.refused.contains("service") {
        findings.error("[service] is missing; it says at least the directory", at: .start)
      }
      return Settings.Service(description: "", user: nil, group: nil, directory: "/", environment: [:])
    }
    if isRoot, service.user == nil, !raw.engines.isEmpty, !findings.refused.contains("service.user") {
      findings.error(
        "[service] has no user; as root batond starts nothing without being told as whom", at: service.position,
        hint: "write user = \"NAME\", or user = \"root\" if that is meant")
    }
    let directory = directory(service)
    var environment = values.environment(service.environment)
    for file in service.environmentFiles { readEnvironment(file, directory, &environment) }
    return Settings.Service(
      description: service.description?.value ?? "", user: runner(service.user, .serviceUser),
      group: values.group(service.group, .serviceGroup), directory: directory ?? "/", environment: environment)
  }

  /// Who programs run as; only root can start them as somebody else.
  func runner(_ raw: Located<String>?, _ key: KnownKey) -> String? {
    guard let name = values.user(raw, key), let raw else { return nil }
    if purpose == .supervisor, !isRoot, let id = Users.user(named: name)?.id, id != geteuid() {
      let own = Users.name(of: geteuid()) ?? "uid \(geteuid())"
      findings.error(
        "\(key.name) is \(values.quoted(name)), and batond runs as \(own), who may not start programs as others",
        at: raw.position, hint: "start batond as root, or leave user out")
    }
    return name
  }

  private mutating func directory(_ service: RawSettings.Service) -> String? {
    guard let directory = service.directory else {
      if findings.refused.contains("service.directory") { return nil }
      findings.error("[service] has no directory; an absolute path is required", at: service.position)
      return nil
    }
    let shown = values.quoted(directory.value)
    guard directory.value.hasPrefix("/"), !directory.value.utf8.contains(0) else {
      findings.error("directory is \(shown); an absolute path is accepted", at: directory.position)
      return nil
    }
    var path = directory.value
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    if let reason = HostFiles.whyNoDirectory(path) {
      let owner = raw.deploy.map { "-o \($0.user?.value ?? KnownKey.deployUser.defaultText) " } ?? ""
      findings.error(
        "directory is \(shown), which is no directory: \(reason)", at: directory.position,
        hint: access(path, F_OK) == 0 ? nil : "install -d \(owner)\(path) makes it")
      return nil
    }
    let current = path + "/current"
    workingDirectory = HostFiles.whyNoDirectory(current) == nil ? current : path
    return path
  }

  private mutating func readEnvironment(
    _ file: Located<String>, _ directory: String?, _ environment: inout [String: String]
  ) {
    let isAbsolute = file.value.hasPrefix("/")
    guard !file.value.isEmpty else {
      findings.error("environment-files holds an empty text; a path is accepted", at: file.position)
      return
    }
    // A deploy starts no engine, and may not be allowed to read what they get.
    if purpose == .deploy { return }
    // Without a directory there is already an error.
    guard isAbsolute || directory != nil else { return }
    let path = isAbsolute ? file.value : "\(directory ?? "")/\(file.value)"
    do {
      let (assignments, errors) = EnvironmentFile.parse(try HostFiles.read(path), file: path)
      errors.forEach { findings.add($0) }
      for (name, value, line) in assignments {
        environment[name] = value
        environmentOrigins["service.environment.\(name)"] = Origin(file: path, line: line)
      }
    } catch {
      findings.error("environment file \(values.quoted(path)) cannot be read: \(error.reason)", at: file.position)
    }
  }

  // MARK: [socket.NAME]

  private func socket(_ socket: RawSettings.Socket) -> Settings.Socket? {
    let name = name(socket.name, SocketName.self)
    let address = address(socket)
    let backlog = values.integer(socket.backlog, .socketBacklog)
    let mode = values.octal(socket.mode, .socketMode)
    let owner = values.user(socket.owner, .socketOwner)
    let group = values.group(socket.group, .socketGroup)
    guard let name, let address else { return nil }
    if case .unix = address {
    } else {
      for (value, key) in [
        (socket.mode, KnownKey.socketMode), (socket.owner, .socketOwner), (socket.group, .socketGroup),
      ] {
        guard let value else { continue }
        findings.error("\(key.name) is for sockets at a path, and \(name) listens on \(address)", at: value.position)
      }
    }
    return Settings.Socket(
      name: name, address: address, backlog: backlog, nonblocking: socket.nonblocking?.value ?? false, mode: mode,
      owner: owner, group: group)
  }

  private func address(_ socket: RawSettings.Socket) -> SocketAddress? {
    guard let listen = socket.listen else {
      let path = "socket.\(TomlText.key(socket.name.value))"
      if findings.refused.contains("\(path).listen") { return nil }
      findings.error(
        "[\(path)] has no listen; \(SocketAddressError.accepted) is required",
        at: socket.name.position)
      return nil
    }
    do {
      return try SocketAddress(text: listen.value)
    } catch {
      findings.error(
        "listen is \(values.quoted(listen.value)): \(error.reason); \(SocketAddressError.accepted) is accepted",
        at: listen.position)
      return nil
    }
  }

  func name<N: Name>(_ raw: Located<String>, _ type: N.Type) -> N? {
    do {
      return try N(raw.value)
    } catch {
      let lower = raw.value.lowercased()
      findings.error(
        "\(values.quoted(raw.value)) is no \(N.kind) name; 1 to 64 of a-z 0-9 - _ are accepted, a letter or digit first",
        at: raw.position, hint: N(rawValue: lower).map { "write \($0)" })
      return nil
    }
  }

  // MARK: [shutdown]

  private func shutdown(_ service: Settings.Service) -> Settings.Shutdown {
    let shutdown = raw.shutdown ?? RawSettings.Shutdown()
    let whole = values.duration(shutdown.timeout, .shutdownTimeout)
    func slice(_ text: Located<String>?, _ key: KnownKey, _ part: (Int, Int)) -> Duration {
      let slice = values.duration(text, key, else: .milliseconds(whole.milliseconds * Int64(part.0) / Int64(part.1)))
      if let text, slice > whole {
        findings.error(
          "\(key.section == .stage ? "a stage's timeout" : key.name) is \(values.quoted(text.value)), "
            + "and the whole shutdown has \(whole.text); at most that is accepted", at: text.position)
      }
      return slice
    }
    func commands(_ stage: RawSettings.Stage?) -> [[String]] {
      (stage?.run ?? []).compactMap { command($0, .stageRun, path: searchPath(service, nil)) }
    }
    let isTable = { (stage: RawSettings.Stage?) in stage?.run.isEmpty == false }
    let resolved = Settings.Shutdown(
      timeout: whole, intake: slice(shutdown.intake, .shutdownIntake, (1, 15)),
      engines: slice(shutdown.engines, .shutdownEngines, (11, 15)),
      database: slice(
        shutdown.database?.timeout, isTable(shutdown.database) ? .stageTimeout : .shutdownDatabase, (1, 10)),
      redis: slice(shutdown.redis?.timeout, isTable(shutdown.redis) ? .stageTimeout : .shutdownRedis, (1, 10)),
      databaseCommands: commands(shutdown.database), redisCommands: commands(shutdown.redis))
    let sum = resolved.intake + resolved.engines + resolved.database + resolved.redis
    if sum > whole, let timeout = shutdown.timeout ?? shutdown.engines ?? shutdown.intake {
      findings.warn(
        "the stages may take \(sum.text) together and the whole has \(whole.text): the last ones get what is left",
        at: timeout.position)
    }
    return resolved
  }

  // MARK: Commands

  /// Where a command without a slash is looked for: workers get PATH of batond unless the settings have one.
  func searchPath(_ service: Settings.Service, _ engine: [String: String]?) -> String {
    engine?["PATH"] ?? service.environment["PATH"] ?? getenv("PATH").map { String(cString: $0) }
      ?? Settings.defaultSearchPath
  }

  /// The texts of a command whose program exists.
  func command(_ raw: RawSettings.Command?, _ key: KnownKey, path: String) -> [String]? {
    guard let raw, let command = values.command(raw, key), let program = raw.value.first else { return nil }
    // The first release brings it.
    if purpose == .deploy { return command }
    let shown = values.quoted(program.value)
    if !program.value.contains("/") {
      if findProgram(program.value, in: workingDirectory ?? "/", path: path) != nil { return command }
      let local = workingDirectory.map { HostFiles.whyNoProgram("\($0)/\(program.value)") == nil } ?? false
      findings.error(
        "\(key.name) names \(shown), which is no program in PATH (\(path))", at: program.position,
        hint: local ? "write \"./\(program.value)\" for the one in the service's directory" : nil)
      return command
    }
    let file: String
    if program.value.hasPrefix("/") {
      file = program.value
    } else if let workingDirectory {
      file = "\(workingDirectory)/\(program.value.hasPrefix("./") ? String(program.value.dropFirst(2)) : program.value)"
    } else {
      return command
    }
    if let reason = HostFiles.whyNoProgram(file) {
      let isFirst =
        purpose == .examination && self.raw.deploy != nil && workingDirectory?.hasSuffix("/current") == false
      if isFirst, !program.value.hasPrefix("/") {
        findings.warn(
          "no release is there yet, which brings \(shown): baton deploy makes the first", at: program.position)
        return command
      }
      findings.error("\(key.name) names \(shown), and \(file) is no program: \(reason)", at: program.position)
    }
    return command
  }
}

extension Settings {
  /// PATH of workers and of the look-up of their programs when neither the settings nor batond have one.
  /// Source: systemd.exec(5).
  package static let defaultSearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}
