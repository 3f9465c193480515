import Deployment
import DeploymentRuntime
import Glibc
import LinuxSystem
import Settings
import Systemd
import Vocabulary

/// What the process that worked does when the outcome is decided: fetch the unit's latest words for a failure, and leave
/// a bake to somebody else. Both are best effort and change nothing of the outcome.
enum Aftermath {
  /// Steps whose failure the unit may explain.
  private static let explained: Set<Step> = [.activate, .healthCheck, .bake]
  private static let lines = 20

  /// The unit's latest lines since the operation began.
  static func journal(_ outcome: OperationOutcome, _ operation: Operation, since begin: Instant) -> [String] {
    guard outcome.exitStatus != 0, let step = outcome.step, explained.contains(step),
      access("/run/systemd/journal/socket", F_OK) == 0
    else { return [] }
    return UnitJournal(operation, operation.deploy.unit).lines(since: begin, atMost: lines)
  }

  /// Lets `baton-bake@NAME.service` end the bake.
  static func leaveBake(_ outcome: OperationOutcome, _ service: DeployedService, _ news: OperationNewsLog) {
    guard outcome.outcome == .baking else { return }
    let unit = "baton-bake@\(service.name).service"
    do throws(BusError) {
      guard try SystemBus().perform(.start, unit, within: .seconds(30)) == .done else {
        throw BusError("start \(unit)", message: "systemd says no")
      }
      news.note("\(unit) ends the bake")
    } catch {
      news.warn(
        "\(unit) could not be started (\(error.message)): baton recover \(service.mention) --bake ends the bake")
    }
  }
}
