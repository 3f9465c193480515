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

  package init(of name: String, _ bus: SystemBus) throws(BusError) {
    let unit = try bus.loadUnit(name)
    load = try bus.string(.unit("LoadState"), of: unit)
    active = try bus.string(.unit("ActiveState"), of: unit)
    sub = try bus.string(.unit("SubState"), of: unit)
    guard load == "loaded", name.hasSuffix(".service") else {
      (mainPID, invocation, restarts, result, type, cgroup) = (0, [], 0, "", "", "")
      return
    }
    mainPID = try bus.unsigned(.service("MainPID"), of: unit)
    invocation = try bus.bytes(.unit("InvocationID"), of: unit)
    restarts = try bus.unsigned(.service("NRestarts"), of: unit)
    result = try bus.string(.service("Result"), of: unit)
    type = try bus.string(.service("Type"), of: unit)
    cgroup = try bus.string(.service("ControlGroup"), of: unit)
  }

  /// Something of it runs, or is about to.
  package var isUp: Bool { ["active", "reloading", "activating"].contains(active) }

  /// `failed (exit-code)`
  package var text: String {
    let reason = result.isEmpty || result == "success" ? "" : " (\(result))"
    return sub.isEmpty || sub == active ? active + reason : "\(active), \(sub)\(reason)"
  }
}
