import ArgumentParser
import ControlClient
import ControlProtocol
import Glibc
import LinuxSystem
import Vocabulary

struct Reload: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Replaces the running generation by a new one, without refusing a connection, or says why not.",
    discussion: "Waits for the verdict. A new version that is no good leaves the old one serving: exit status 1.")

  @Argument(help: "The service.") var name: String?
  @Flag(help: "Do not wait for the verdict; baton status shows it.") var noWait = false
  @OptionGroup var service: ServiceOptions

  func run() throws { try service.act(.reload(wait: !noWait), on: name) }
}

struct Restart: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Stops all workers in order and starts them from newly read settings. Interrupts the service.",
    discussion: "The sockets stay: connections made meanwhile wait in the queue.")

  @Argument(help: "The service.") var name: String?
  @Flag(help: "Do not wait for the verdict.") var noWait = false
  @OptionGroup var service: ServiceOptions

  func run() throws { try service.act(.restart(wait: !noWait), on: name) }
}

struct Scale: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Changes how many workers an engine has, until the settings are read again.")

  @Argument(help: ArgumentHelp("The service, if it has to be named, and ENGINE=WORKERS.", valueName: "NAME ENGINE=N"))
  var words: [String]
  @Flag(help: "Do not wait until it is done.") var noWait = false
  @OptionGroup var service: ServiceOptions

  func validate() throws {
    guard (1...2).contains(words.count), Self.parse(words.last ?? "") != nil else {
      throw ValidationError("say ENGINE=WORKERS, such as web=4, with the service in front if it has to be named")
    }
  }

  private static func parse(_ text: String) -> (EngineName, Int)? {
    let parts = text.split(separator: "=", omittingEmptySubsequences: false)
    guard parts.count == 2, let engine = EngineName(rawValue: String(parts[0])), let count = Int(parts[1]),
      (0...Request.maximumWorkers).contains(count)
    else { return nil }
    return (engine, count)
  }

  func run() throws {
    guard let (engine, count) = Self.parse(words.last ?? "") else { return }
    try service.act(
      .scale(engine: engine, workers: count, wait: !noWait), on: words.count == 2 ? words[0] : nil)
  }
}

struct Stop: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Ends the service in order: intake, engines, database, Redis, inside its budget.",
    discussion: "A service that runs as a unit is stopped through systemd, so that systemd does not start it again.")

  @Argument(help: "The service.") var name: String?
  @Flag(help: "Cut what was taken instead of finishing it.") var now = false
  @OptionGroup var service: ServiceOptions

  func run() throws {
    let report = try service.status(of: name)
    guard let unit = Self.unit(of: report.supervisor.pid) else {
      return try service.act(.stop(now: now, wait: true), on: name)
    }
    if now { try service.act(.stop(now: true, wait: false), on: name) }
    // From here on it is systemd's: it waits, and its status is ours.
    try Program.become(["systemctl", "stop", unit])
  }

  /// The unit whose main process this is: `0::/system.slice/system-baton.slice/baton@hotgo.service`.
  private static func unit(of pid: Int) -> String? {
    guard let text = try? readFile("/proc/\(pid)/cgroup") else { return nil }
    let parts = String(decoding: text, as: UTF8.self).split { $0 == "/" || $0 == "\n" }
    return parts.first { $0.hasPrefix("baton@") && $0.hasSuffix(".service") }.map(String.init)
  }
}

extension ServiceOptions {
  /// Runs one act to its verdict, with progress on the way. A verdict that is not what was asked for is a ``Failure``.
  func act(_ request: Request, on name: String?) throws {
    let client = try connect(name)
    let verdict: VerdictReport
    do throws(ClientError) {
      verdict = try client.act(request) { news in
        if !json { Terminal.progress(news.text) }
      }
    } catch { throw Failure(error, service: try? self.name(name)) }
    Terminal.endProgress()
    if json { Terminal.print(verdict.json) }
    guard verdict.succeeded else { throw Failure(verdict) }
    if !json { Terminal.print("\(verdict.what); \(verdict.holds)") }
  }
}

/// Another program in place of this one.
enum Program {
  static func become(_ arguments: [String]) throws -> Never {
    var pointers = arguments.map { strdup($0) } + [nil]
    execvp(arguments[0], &pointers)
    throw Failure(.failed, "cannot run \(arguments[0]): \(SystemError("exec", arguments[0], errno: errno))")
  }
}
