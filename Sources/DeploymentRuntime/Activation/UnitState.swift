package import Systemd
import Vocabulary

/// What systemd says of a unit at one moment.
package struct UnitState: Hashable, Sendable {
  /// `loaded`, `not-found`, `masked`, `bad-setting`, `error`
  package let load: String
  /// `active`, `reloading`, `activating`, `deactivating`, `inactive`, `failed`
  package let active: String
  package let sub: String
  package let mainPID: UInt32
  /// Another one with each start.
  package let invocation: [UInt8]
  package let restarts: UInt32
  /// How the last run ended: `success`, `exit-code`, `signal`, `oom-kill`, …
  package let result: String
  /// `exec`, `notify`, …
  package let type: String
  /// `/system.slice/x.service`; empty while it has none.
  package let cgroup: String

  /// How long it may take to stop and then to start, by its own settings, in microseconds each.
  package let stopTime: UInt64
  package let startTime: UInt64

  package init(of name: String, _ bus: SystemBus) throws(BusError) {
    let unit = try bus.loadUnit(name)
    let common = try bus.values(
      [.string(.unit("LoadState")), .string(.unit("ActiveState")), .string(.unit("SubState"))]
        + (name.hasSuffix(".service") ? Self.ofServices : []), of: unit)
    (load, active, sub) = (common[0].string, common[1].string, common[2].string)
    let service = Array(common.dropFirst(3))
    guard load == "loaded", service.count == Self.ofServices.count else {
      (mainPID, invocation, restarts, result, type, cgroup) = (0, [], 0, "", "", "")
      (stopTime, startTime) = (90_000_000, 90_000_000)
      return
    }
    (mainPID, invocation, restarts) = (service[0].unsigned, service[1].bytes, service[2].unsigned)
    (result, type, cgroup) = (service[3].string, service[4].string, service[5].string)
    (stopTime, startTime) = (service[6].long, service[7].long)
  }

  private static let ofServices: [PropertyQuestion] = [
    .unsigned(.service("MainPID")), .bytes(.unit("InvocationID")), .unsigned(.service("NRestarts")),
    .string(.service("Result")), .string(.service("Type")), .string(.service("ControlGroup")),
    .long(.service("TimeoutStopUSec")), .long(.service("TimeoutStartUSec")),
  ]

  /// Something of it runs, or is about to.
  package var isUp: Bool { ["active", "reloading", "activating"].contains(active) }

  /// `failed (exit-code)`
  package var text: String {
    let reason = result.isEmpty || result == "success" ? "" : " (\(result))"
    return sub.isEmpty || sub == active ? active + reason : "\(active), \(sub)\(reason)"
  }
}
