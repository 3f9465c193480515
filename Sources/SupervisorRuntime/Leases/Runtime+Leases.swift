import LeaseStores
import Leases
import LinuxSystem
package import Settings
import Supervision
import Vocabulary

extension Runtime {
  func keepLeases(_ action: Action) {
    switch action {
    case .want(let name): if let settings = leaseSettings(name) { leases.want(name, settings) }
    case .unwant(let name): leases.unwant(name)
    case .vacated(let name): leases.vacated(name)
    case .closeLeases: leases.close()
    default: break
    }
  }

  /// Of the generation that serves, or is to.
  private func leaseSettings(_ name: LeaseName) -> Settings.Leases? {
    var ids = [core.serving].compactMap { $0 }
    if case .changing(let change) = core.phase { ids.append(change.candidate) }
    return ids.compactMap { generations[$0]?.settings }.first { settings in
      settings.engines.contains { $0.lease == name }
    }?.leases
  }

  /// What systemd's watchdog leaves open, one sentence; nil where it is short enough or nothing has a lease.
  package static func watchdogWeakness(_ settings: Settings, watchdog: Duration?) -> String? {
    guard settings.engines.contains(where: { $0.lease != nil }) else { return nil }
    let limit = settings.leases.timing.watchdogLimit
    if let watchdog, watchdog <= limit { return nil }
    let has = watchdog.map { "ends a batond that stands still after \($0.text)" } ?? "does not watch batond"
    return "engines with a lease: systemd \(has), and has to within \(limit.text) (WatchdogSec=), or another host may "
      + "start them while they run here"
  }
}
