package import Systemd

/// Whether a unit waits at boot for `baton-recover.service`: one that does not may start from what a power cut left of a
/// deploy, before that is put right. `baton@.service` waits; others need a drop-in.
package enum BootOrder {
  package struct Gap: Hashable, Sendable {
    package var what: String
    package var remedy: String
  }

  private static let recovery = "baton-recover.service"

  /// nil where the order is right, or there is no recovery at boot to wait for.
  package static func gap(_ name: String, _ unit: UnitPath, _ bus: SystemBus) throws(BusError) -> Gap? {
    guard try !bus.strings(.unit("After"), of: unit).contains(recovery) else { return nil }
    guard try bus.string(.unit("LoadState"), of: try bus.loadUnit(recovery)) == "loaded" else {
      return Gap(
        what: "\(recovery) is not installed: what a power cut leaves of a deploy is not put right at boot",
        remedy: "scripts/install puts it in place")
    }
    return gap(name)
  }

  /// Of a unit that was seen not to wait.
  package static func gap(_ name: String) -> Gap {
    Gap(
      what:
        "\(name) does not wait at boot for \(recovery), and may start from a deploy that a power cut left half-done",
      remedy: "systemctl edit \(name), and there: [Unit] Wants=\(recovery) After=\(recovery)")
  }
}
