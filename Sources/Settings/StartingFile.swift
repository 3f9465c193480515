internal import Glibc
internal import LinuxSystem

/// The commented file `baton init` writes. It passes ``SettingsReader`` as it is if its directory and program exist; each
/// key that is left out stands in it as a comment with its default, taken from the table of ``KnownKey``.
package struct StartingFile: Sendable {
  package var name: String
  /// Absolute.
  package var directory: String
  package var command: [String]
  /// The engine listens on it at every address of the host.
  package var port: UInt16
  /// Required when batond is to run as root; see ``suggestedUser(directory:)``.
  package var user: String?

  package init(name: String, directory: String, command: [String], port: UInt16, user: String?) {
    self.name = name
    self.directory = directory
    self.command = command
    self.port = port
    self.user = user
  }

  /// For a service root will run: who owns the directory, unless that is root, else `nobody`. nil for other users, who
  /// can only start engines as themselves.
  package static func suggestedUser(directory: String) -> String? {
    guard geteuid() == 0 else { return nil }
    var status = stat()
    guard stat(directory, &status) == 0, status.st_uid != 0 else { return "nobody" }
    return Users.name(of: status.st_uid) ?? "nobody"
  }

  package var text: String {
    let values: [KnownKey: String] = [
      .serviceDescription: TomlText.quoted(name),
      .serviceDirectory: TomlText.quoted(directory),
      .socketListen: "\"*:\(port)\"",
      .engineCommand: TomlText.list(command),
      .engineSockets: "[\"http\"]",
      .engineReady: "\"notify\"",
      .engineProve: "{ socket = \"http\", path = \"/\" }",
      .serviceUser: user.map { TomlText.quoted($0) } ?? "",
    ].filter { !$0.value.isEmpty }
    return Self.wrapped(
      """
      # How batond keeps \(name) answering; see baton.toml(5). A # before a key means that it is left out, and shows
      # what holds then or an example. Check this file with: baton check \(name)

      \(section("service", .service, values))
      # mode, owner and group are for sockets at a path.
      \(section("socket.http", .socket, values, without: [.socketMode, .socketOwner, .socketGroup]))
      \(section("engine.web", .engine, values, without: [.engineLease, .engineStandby]))
      \(section("handover", .handover, values))
      \(section("shutdown", .shutdown, values))
      # What runs on one host of several has a lease: see lease, [leases] and [redis] in baton.toml(5).
      # How baton deploy brings new releases here; take the # from [deploy] and from what shall hold.
      \(section("deploy", .deploy, [:], isUsed: false))
      \(section("health", .health, [:], without: [.healthCheck], isUsed: false))
      \(section("bake", .bake, [:], isUsed: false))
      \(section("backup", .backup, [:], isUsed: false))
      """)
  }

  /// Comments in words, no line of theirs wider than a terminal.
  private static func wrapped(_ text: String) -> String {
    var lines: [String] = []
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      guard line.hasPrefix("# "), line.utf8.count > width else {
        lines.append(String(line))
        continue
      }
      var current = "#"
      for word in line.dropFirst(2).split(separator: " ") {
        if current.count > 1, current.count + 1 + word.count > width {
          lines.append(current)
          current = "#"
        }
        current += " \(word)"
      }
      lines.append(current)
    }
    return lines.joined(separator: "\n")
  }

  private static let width = 80

  private func section(
    _ title: String, _ section: KnownKey.Section, _ values: [KnownKey: String], without omitted: Set<KnownKey> = [],
    isUsed: Bool = true
  ) -> String {
    var text = "\(isUsed ? "" : "#")[\(title)]\n"
    for key in section.keys where !omitted.contains(key) {
      text += "# \(key.entry.summary) \(explanation(key))\n"
      if let value = values[key] {
        text += "\(key.name) = \(value)\n"
      } else {
        text += "#\(key.name) = \(example(key))\n"
      }
    }
    return text
  }

  private func explanation(_ key: KnownKey) -> String {
    let form = key.entry.form.accepted
    return "(\(form); \(key.entry.fallback.text))"
  }

  /// A value that may stand for a key that is left out: its default, where that is a value.
  private func example(_ key: KnownKey) -> String {
    if case .value(let toml) = key.entry.fallback { return toml }
    switch key {
    case .engineRestart: return Self.defaults(of: .restart)
    case .engineDrain: return "{ save = \(TomlText.list(command + ["save"])) }"
    case .engineLimits: return "{ nofile = 65536 }"
    case .engineMemoryMax: return "\"1G\""
    case .engineCPUMax: return "\"200%\""
    case .enginePidsMax: return "512"
    case .engineMemoryLimit: return "\"512M\""
    case .engineMaxAge: return "\"7d\""
    case .engineMaxRequests: return "1000000"
    case .engineWatchdog: return "\"10s\""
    case .handoverTrial: return "{ share = \"5%\", for = \"10s\" }"
    case .shutdownIntake: return "\"2s\""
    case .shutdownEngines: return "\"22s\""
    case .shutdownDatabase, .shutdownRedis: return "\"3s\""
    case .deployRepository: return TomlText.quoted("https://git.example.org/\(name).git")
    case .deployTree: return TomlText.quoted("/opt/\(name)/server")
    case .deployUnit: return TomlText.quoted("baton@\(name).service")
    case .deployBuildMemory: return "\"4G\""
    case .deployKeepFor: return "\"30d\""
    case .deployKeepSize: return "\"20G\""
    case .deployRequireAncestor: return "\"main\""
    case .deployRequireSignature: return TomlText.quoted("/etc/baton/\(name).signers")
    case .deployChecklist: return "[{ text = \"the team knows\" }]"
    case .healthURL: return "\"http://127.0.0.1:\(port)/\""
    case .bakeMaxMemory: return "\"1G\""
    case .bakeMaxCPU: return "\"80%\""
    case .backupLevel: return "3"
    default: return TomlText.quoted(user ?? "nobody")
    }
  }

  private static func defaults(of section: KnownKey.Section) -> String {
    let pairs = section.keys.compactMap { key in
      if case .value(let toml) = key.entry.fallback { "\(key.name) = \(toml)" } else { nil }
    }
    return "{ \(pairs.joined(separator: ", ")) }"
  }
}
