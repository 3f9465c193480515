import ControlClient
import ControlProtocol
import Glibc
import LinuxSystem
import Settings
import Vocabulary

/// The service a command is about, and where its supervisor answers.
struct ServiceChoice {
  /// nil when only its socket is known.
  let name: String?
  let path: String

  /// The service named on the command line, or by BATON_SERVICE, or the only one known here; `control`, or
  /// BATON_CONTROL, is the socket itself and needs no name.
  init(_ given: String?, control: String?) throws {
    if let control = control ?? Host.variable("BATON_CONTROL") {
      path = control
      name = given
      return
    }
    let name = try ServiceName(checking: given ?? Host.variable("BATON_SERVICE") ?? Self.only()).rawValue
    self.name = name
    let paths = Self.roots.map { "\($0)/\(name)/control" }
    path = paths.first { access($0, F_OK) == 0 } ?? paths[0]
  }

  /// The name where nobody gives one and no socket is needed.
  static func named() throws -> String { try Host.variable("BATON_SERVICE") ?? only() }

  /// Asks the supervisor for the name where only its socket is known.
  func nameOfService() throws -> String {
    try name ?? ask { (client) throws(ClientError) in try client.status() }.service.rawValue
  }

  /// Behind a command in a message: the name, where one is needed.
  var mention: String { name.map { " \($0)" } ?? "" }

  private func connect() throws -> ControlClient {
    do throws(ClientError) {
      return try ControlClient(path: path)
    } catch { throw Failure(error, about: self) }
  }

  /// Runs `body` with failures of the call put into words.
  func ask<Answer>(_ body: (ControlClient) throws(ClientError) -> Answer) throws -> Answer {
    let client = try connect()
    do throws(ClientError) {
      return try body(client)
    } catch { throw Failure(error, about: self) }
  }

  // MARK: What is known here

  /// Where runtime directories of services lie: those of the host, then those of this user.
  private static var roots: [String] {
    ["/run/baton"]
      + [Host.variable("XDG_RUNTIME_DIR").map { "\($0)/baton" }, "/tmp/baton-\(geteuid())"].compactMap { $0 }
  }

  /// Services with a settings file in /etc/baton.
  static var configured: [String] {
    entries("/etc/baton").filter { $0.hasSuffix(".toml") }.map { String($0.dropLast(5)) }
  }

  /// Services whose supervisor answers, by name; a socket left over by one that was killed does not.
  static var answering: [ServiceChoice] {
    roots.flatMap { root in entries(root).sorted().map { ServiceChoice(name: $0, path: "\(root)/\($0)/control") } }
      .filter { ControlClient.isAnswering($0.path) }
  }

  private init(name: String, path: String) { (self.name, self.path) = (name, path) }

  static var running: [String] { answering.compactMap(\.name) }

  static var known: [String] { Set(configured + running).filter { ServiceName(rawValue: $0) != nil }.sorted() }

  private static func entries(_ directory: String) -> [String] {
    do throws(SystemError) { return try directoryEntries(directory) } catch { return [] }
  }

  /// With two services known none goes without saying, whichever of them runs.
  private static func only() throws -> String {
    let known = known
    guard known.count <= 1 else {
      throw Failure(.usage, "which service? Known here: \(known.joined(separator: ", "))", next: "or set BATON_SERVICE")
    }
    guard let only = known.first else {
      throw Failure(
        .unreachable, "no service is known here: none runs, and /etc/baton has no settings file",
        holds: "nothing", next: "baton init NAME writes a starting file; --control PATH names a socket")
    }
    return only
  }

  // MARK: Nobody answers

  func unreachable(_ error: ClientError, _ cause: SystemError) -> Failure {
    guard let name else {
      return Failure(
        error.exitStatus, error.what, holds: "not known from here",
        next: "batond --settings FILE --runtime-directory DIR makes the socket DIR/control")
    }
    let isConfigured = Self.configured.contains(name)
    let holds =
      switch cause.errno {
      case ENOENT: "no supervisor of \(name) runs"
      case ECONNREFUSED: "the supervisor of \(name) is gone; its socket was left over"
      case EAGAIN: "a supervisor has the socket and takes no connections: it hangs or is flooded"
      default: "not known from here"
      }
    if isConfigured || cause.errno != ENOENT {
      return Failure(
        error.exitStatus, error.what, holds: holds,
        next: "systemctl status baton@\(name) says why; systemctl start baton@\(name) starts it")
    }
    let hint = NearestWord.hint(name, among: Self.known).map { " (\($0))" } ?? ""
    return Failure(
      error.exitStatus, error.what, holds: holds + ", and there is no /etc/baton/\(name).toml\(hint)",
      next: "baton init \(name) writes a starting file; --control PATH names a socket")
  }
}

/// The few questions baton has for the host.
enum Host {
  /// nil also for one that is empty.
  static func variable(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
  }
}

extension ServiceName {
  init(checking text: String) throws {
    do throws(NameError) { self = try ServiceName(text) } catch { throw Failure(.usage, "\(error)") }
  }
}
