import ArgumentParser
import ControlClient
import ControlProtocol
import Glibc
import LinuxSystem
import Vocabulary

/// Which service a command is about, and how to reach its supervisor.
struct ServiceOptions: ParsableArguments {
  @Option(help: "The control socket itself, for a service that was started by hand; BATON_CONTROL says it too.")
  var control: String?

  @Flag(help: "Print JSON, a stable contract, instead of text.")
  var json = false

  /// The socket of `name`, or of the only service there is.
  func socket(of name: String?) throws -> String {
    if let control = control ?? Host.variable("BATON_CONTROL") { return control }
    if let name = name ?? Host.variable("BATON_SERVICE") { return try Self.path(of: ServiceName(checking: name)) }
    let running = Self.roots.flatMap { root in
      ((try? directoryEntries(root)) ?? []).filter { access("\(root)/\($0)/control", F_OK) == 0 }.map {
        "\(root)/\($0)"
      }
    }
    guard running.count <= 1 else {
      let names = running.compactMap { $0.split(separator: "/").last }.sorted().joined(separator: ", ")
      throw Failure(.usage, "which service? \(names) run here; name one, or set BATON_SERVICE")
    }
    if let only = running.first { return "\(only)/control" }
    let known = Self.configured
    guard known.count <= 1 else {
      throw Failure(.usage, "which service? \(known.joined(separator: ", ")) are in /etc/baton; name one")
    }
    guard let only = known.first else {
      throw Failure(
        .unreachable, "no service runs here, and /etc/baton has no settings",
        next: "baton init NAME writes a starting file")
    }
    return try Self.path(of: ServiceName(checking: only))
  }

  /// The name for messages and for systemd's unit.
  func name(_ given: String?) throws -> String {
    if let given = given ?? Host.variable("BATON_SERVICE") { return given }
    let parts = try socket(of: nil).split(separator: "/")
    return parts.dropLast().last.map(String.init) ?? "?"
  }

  func connect(_ name: String?) throws -> ControlClient {
    let path = try socket(of: name)
    do throws(ClientError) {
      return try ControlClient(path: path)
    } catch { throw Failure(error, service: try? self.name(name)) }
  }

  private static func path(of name: ServiceName) -> String {
    let paths = roots.map { "\($0)/\(name)/control" }
    return paths.first { access($0, F_OK) == 0 } ?? paths[0]
  }

  private static var roots: [String] {
    ["/run/baton"]
      + [Host.variable("XDG_RUNTIME_DIR").map { "\($0)/baton" }, "/tmp/baton-\(geteuid())"].compactMap { $0 }
  }

  static var configured: [String] {
    ((try? directoryEntries("/etc/baton")) ?? []).filter { $0.hasSuffix(".toml") }.map { String($0.dropLast(5)) }
      .sorted()
  }
}

/// The few questions baton has for the host.
enum Host {
  static func variable(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
  }
}

extension ServiceName {
  init(checking text: String) throws {
    do { self = try ServiceName(text) } catch { throw Failure(.usage, "\(error)") }
  }
}
