import ArgumentParser
import ControlProtocol
import Deployment
import DeploymentRuntime
import Glibc
import LinuxSystem
import Settings
import Vocabulary

/// What every command about releases takes.
struct DeployedServiceOptions: ParsableArguments {
  @Argument(
    help: "The service; may be left out when only one is known here.",
    completion: .custom { _, _, _ in ServiceChoice.known })
  var name: String?
  @Option(
    help: ArgumentHelp("The settings file, if it is not /etc/baton/NAME.toml.", valueName: "file"),
    completion: .file(extensions: ["toml"]))
  var settings: String?
  @Flag(help: "Print JSON, a stable contract, instead of text.") var json = false

  func service() throws -> DeployedService { try DeployedService(name, settings: settings) }
}

/// A service with `[deploy]`, and where its releases lie.
struct DeployedService {
  let name: ServiceName
  /// The settings file, absolute.
  let path: String
  let settings: Settings
  let deploy: Settings.Deploy

  var layout: Layout { Layout(directory: settings.service.directory) }

  init(_ given: String?, settings file: String?) throws {
    let stem = file?.split(separator: "/").last.map { $0.hasSuffix(".toml") ? String($0.dropLast(5)) : String($0) }
    let name = try ServiceName(checking: given ?? stem ?? ServiceChoice.named())
    let path = try Self.absolute(file ?? "/etc/baton/\(name).toml")
    switch SettingsReader.read(file: path, for: .deploy) {
    case .success(let settings):
      guard let deploy = settings.deploy else {
        throw Failure(
          .settingsWrong, "\(path) has no [deploy], which says how releases of \(name) are made",
          holds: "nothing was begun", next: "baton.toml(5) describes it; an empty [deploy] takes every default")
      }
      self.name = name
      self.path = path
      self.settings = settings
      self.deploy = deploy
    case .failure(let errors):
      let isThere = access(path, F_OK) == 0 || errno != ENOENT
      if let only = errors.errors.first, errors.errors.count == 1 {
        throw Failure(
          .settingsWrong, "\(only)", holds: "nothing was begun",
          next: isThere || file != nil ? "baton check \(path)" : "baton init \(name) writes one to begin with")
      }
      Terminal.say(errors.text, indent: 2)
      throw Failure(
        .settingsWrong, "\(errors.errors.count) errors in \(path)", holds: "nothing was begun",
        next: "correct the file; baton check \(path) reads it")
    }
  }

  static func absolute(_ path: String) throws -> String {
    if path.hasPrefix("/") { return path }
    guard let directory = getcwd(nil, 0) else {
      throw Failure(.failed, "\(SystemError("find the working directory", errno: errno))", holds: "nothing was begun")
    }
    defer { free(directory) }
    let folder = String(cString: directory)
    return folder == "/" ? "/\(path)" : "\(folder)/\(path)"
  }

  /// Knows the values of the secrets files, and what else of the settings nobody is to read over a shoulder.
  func masker(_ secrets: Secrets) -> Masker {
    var values = Array(secrets.variables.values) + Array(deploy.build.environment.values.filter { $0.utf8.count >= 8 })
    values += deploy.health.checks.flatMap { $0.headers.values }
    if let url = deploy.migrate?.database, let at = url.firstIndex(of: "@"), let start = url.firstRange(of: "://") {
      let parts = url[start.upperBound..<at].split(separator: ":", maxSplits: 1)
      if parts.count == 2 { values.append(String(parts[1])) }
    }
    return Masker(values)
  }

  /// Read as the deploy user, who must be able to.
  func secrets() throws -> Secrets {
    do throws(StepFailure) { return try Secrets.read(deploy.secrets, in: layout.directory) } catch {
      throw Failure(.failed, error.what, holds: "nothing was changed", next: error.next)
    }
  }

  /// Behind a command in a message.
  var mention: String {
    path == "/etc/baton/\(name).toml" ? "\(name)" : "\(name) --settings \(path)"
  }
}

/// Who asked, for the history: who logged in, or where the kernel does not know it the person behind sudo, if that is
/// somebody else than this process is.
enum Person {
  static var name: String {
    let login = (try? readFile("/proc/self/loginuid", limit: 32)).map { String(decoding: $0, as: UTF8.self) }
    return name(user: getuid(), sudo: Host.variable("SUDO_USER"), login: login) { Users.name(of: $0) }
  }

  /// `login` is what /proc/self/loginuid says, which unlike a variable nobody can make up; 4294967295 is nobody.
  /// Source: proc(5).
  static func name(user: UInt32, sudo: String?, login: String?, known: (UInt32) -> String?) -> String {
    let own = known(user) ?? "uid \(user)"
    let number = login.flatMap { UInt32($0.split(separator: "\n").first ?? "") }.flatMap { $0 == ~0 ? nil : $0 }
    let behind = number.map { known($0) ?? "uid \($0)" } ?? (sudo?.isEmpty == false ? sudo : nil)
    guard let behind, behind != own else { return own }
    return "\(behind) as \(own)"
  }
}
