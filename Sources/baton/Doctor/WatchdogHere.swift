import Leases
import Settings
import Vocabulary

/// Whether systemd ends a batond that stands still before another host may start its engines.
enum WatchdogHere {
  /// Of the unit that comes with baton. Source: units/baton@.service.
  private static let packaged = Duration.seconds(15)

  /// `found`: what systemd has for `unit` as it runs, zero where it watches nothing; nil where nobody knows.
  static func warnings(_ read: ReadSettings, file: String, unit: String, found: Duration?) -> [SettingsWarning] {
    guard let engine = read.settings.engines.first(where: { $0.lease != nil }) else { return [] }
    let limit = read.settings.leases.timing.watchdogLimit
    guard let what = problem(limit, unit, found) else { return [] }
    let origin = read.origins["leases.ttl"] ?? read.origins["engine.\(engine.name).lease"]
    return [
      SettingsWarning(
        file: origin?.file ?? file, line: origin?.line ?? 1, column: 1,
        message: "with ttl \(read.settings.leases.timeToLive.text) systemd must end a batond that stands still within "
          + "\(limit.text), or another host may start what runs here: \(what)")
    ]
  }

  private static func problem(_ limit: Duration, _ unit: String, _ found: Duration?) -> String? {
    switch found {
    case .zero: "WatchdogSec= of \(unit) is not set"
    case let found?: found > limit ? "WatchdogSec= of \(unit) is \(found.text)" : nil
    case nil:
      packaged > limit
        ? "the unit that comes with baton has WatchdogSec=\(packaged.text), and \(unit) does not run here, so that its "
          + "drop-ins are not known; baton doctor looks at it when it runs" : nil
    }
  }
}
