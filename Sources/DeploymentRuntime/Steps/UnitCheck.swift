internal import Deployment
internal import LinuxSystem
internal import Settings
internal import Systemd
internal import Vocabulary

/// Whether systemd has the unit, and how long a replacement of it may interrupt the service.
package struct UnitCheck {
  /// Whether batond answers on its socket: then the unit may as well not be one of systemd's.
  private let isAnswering: () -> Bool

  package init(isAnswering: @escaping () -> Bool) { self.isAnswering = isAnswering }

  package func look(_ operation: Operation) -> PreflightStep.Finding {
    let name = operation.deploy.unit
    do throws(BusError) {
      let bus = try SystemBus()
      let unit = try bus.loadUnit(name)
      let state = try bus.string(.unit("LoadState"), of: unit)
      guard state == "loaded" else {
        if isAnswering() { return .fine("the supervisor answers") }
        return .refusal(
          StepFailure(
            .refused, "systemd has no unit \(name) (\(state))",
            next: "unit in [deploy] names the one that runs the service; systemctl status \(name)"))
      }
      return try judge(operation, name, unit, bus)
    } catch {
      if isAnswering() { return .fine("the supervisor answers; systemd does not") }
      return .refusal(
        StepFailure(
          .refused,
          "nothing runs the service: batond does not answer, and of \(name) systemd cannot be asked: \(error.message)",
          next: error.remedy ?? "systemctl status \(name)"))
    }
  }

  private func judge(
    _ operation: Operation, _ name: String, _ unit: UnitPath, _ bus: SystemBus
  ) throws(BusError) -> PreflightStep.Finding {
    var doubts: [String] = []
    if try bus.boolean(.unit("NeedDaemonReload"), of: unit) {
      doubts.append("\(name) was changed on the disk since systemd read it: systemctl daemon-reload")
    }
    if let gap = try BootOrder.gap(name, unit, bus) { doubts.append("\(gap.what): \(gap.remedy)") }
    let active = try bus.string(.unit("ActiveState"), of: unit)
    let budget = try bus.long(.service("TimeoutStopUSec"), of: unit)
    let stop = budget == .max ? "as long as it likes" : "\(budget / 1_000_000) s at most"
    if budget == .max, operation.deploy.activation == .restart {
      doubts.append("\(name) is \(active) and may stop \(stop): a restart may hang (TimeoutStopSec=)")
    }
    // None of them hides another.
    guard doubts.isEmpty else { return .weak(doubts.joined(separator: "; ")) }
    return .fine("\(name) is \(active), and stops in \(stop)")
  }
}
