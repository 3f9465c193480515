import ArgumentParser
import ControlClient
import ControlProtocol
import JSON
import LinuxSystem

struct Stop: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Ends the service in order: intake, engines, database, Redis, inside its budget.",
    discussion: "A service that runs as a unit is stopped through systemd, so that systemd does not start it again.")

  @OptionGroup var service: NamedService
  @Flag(help: "Cut what was taken instead of finishing it.") var now = false

  func run() throws {
    let choice = try service.choice()
    let report = try choice.ask { (client) throws(ClientError) in try client.status() }
    guard let unit = Self.unit(of: report.supervisor.pid) else {
      return try choice.act(.stop(now: now, wait: true), json: service.json)
    }
    // systemd first: a supervisor that ends by itself would be started again.
    if now {
      guard Program.run(["systemctl", "stop", "--no-block", unit]) == 0 else { throw Self.refused(unit) }
      _ = try choice.ask { (client) throws(ClientError) in
        try client.act(.stop(now: true, wait: false)) { _ in }
      }
    }
    guard Program.run(["systemctl", "stop", unit]) == 0 else { throw Self.refused(unit) }
    if service.json {
      Terminal.print(["unit": unit.json, "stopped": true])
    } else {
      Terminal.print("\(unit) is stopped")
    }
  }

  /// systemctl has said why.
  private static func refused(_ unit: String) -> Failure {
    Failure(
      .failed, "systemd did not stop \(unit)", holds: "see systemctl status \(unit)",
      next: "to stop a service is for root and members of the group baton")
  }

  /// The unit a supervisor is the main process of: `…/system-baton.slice/baton@hotgo.service`. Source: cgroups(7).
  private static func unit(of pid: Int) -> String? {
    do throws(SystemError) {
      let parts = String(decoding: try readFile("/proc/\(pid)/cgroup"), as: UTF8.self).split { $0 == "/" || $0 == "\n" }
      return parts.first { $0.hasPrefix("baton@") && $0.hasSuffix(".service") }.map(String.init)
    } catch { return nil }
  }
}
