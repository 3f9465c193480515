import Glibc
package import LinuxSystem
package import Settings
import Vocabulary

/// Users of a generation, looked up when it was read: starting a worker waits for no directory service.
package struct Account: Hashable, Sendable {
  package let user: Users.User
  package let identity: Identity
}

extension ResolvedGeneration {
  /// All accounts the settings name. Looks them up: not for the loop's thread.
  static func accounts(of settings: Settings) -> [String: Account] {
    var accounts: [String: Account] = [:]
    let pairs = [(settings.service.user, settings.service.group)] + settings.engines.map { ($0.user, $0.group) }
    for (user, group) in pairs {
      guard let name = user ?? settings.service.user, let found = Users.user(named: name),
        let identity = Users.identity(user: name, group: group ?? settings.service.group)
      else { continue }
      accounts[Self.key(name, group ?? settings.service.group)] = Account(user: found, identity: identity)
    }
    return accounts
  }

  private static func key(_ user: String, _ group: String?) -> String { "\(user):\(group ?? "")" }

  /// The user ids its workers run as.
  package var users: Set<UInt32> { Set(accounts.values.map(\.identity.user)) }

  func account(of engine: Settings.Engine?) -> Account? {
    guard let name = engine?.user ?? settings.service.user else { return nil }
    return accounts[Self.key(name, engine?.group ?? settings.service.group)]
  }

  /// The environment of a program of this generation, from the settings alone: of batond's own it gets PATH, LANG and TZ.
  package func environment(of engine: Settings.Engine?) -> [String: String] {
    var environment: [String: String] = ["PATH": Settings.defaultSearchPath]
    for name in ["PATH", "LANG", "TZ"] {
      if let value = getenv(name) { environment[name] = String(cString: value) }
    }
    if let account = account(of: engine) {
      environment["USER"] = account.user.name
      environment["LOGNAME"] = account.user.name
      environment["HOME"] = account.user.home
    }
    environment.merge(settings.service.environment) { $1 }
    environment.merge(engine?.environment ?? [:]) { $1 }
    return environment
  }

  func spawnRequest(_ arguments: [String], engine: Settings.Engine) throws(WorkerStartError) -> SpawnRequest {
    let environment = environment(of: engine)
    guard let name = arguments.first,
      let program = findProgram(name, in: releaseDirectory, path: environment["PATH"] ?? Settings.defaultSearchPath)
    else {
      throw WorkerStartError(
        "there is no program \(arguments.first ?? "") in \(releaseDirectory) or in PATH, or it is not executable")
    }
    var request = SpawnRequest(program: program, arguments: arguments, environment: environment)
    request.directory = releaseDirectory
    request.umask = engine.umask
    if let name = engine.user ?? settings.service.user {
      guard let account = account(of: engine) else { throw WorkerStartError("there is no user \(name)") }
      // Without root one can only stay who one is.
      if account.identity.user != geteuid() || geteuid() == 0 { request.identity = account.identity }
    }
    request.limits = engine.limits.sorted { $0.key < $1.key }.compactMap { name, limit in
      ResourceLimit.Kind(rawValue: name).map {
        ResourceLimit($0, soft: limit.soft ?? ResourceLimit.unlimited, hard: limit.hard ?? ResourceLimit.unlimited)
      }
    }
    return request
  }

  /// A command beside the workers: readiness, pending, save, shutdown commands.
  func command(_ arguments: [String], engine: Settings.Engine? = nil) -> CommandProbe.Command {
    CommandProbe.Command(
      arguments: arguments, environment: environment(of: engine), directory: releaseDirectory,
      identity: geteuid() == 0 ? account(of: engine)?.identity : nil)
  }
}
