import ControlProtocol
import JSON
import Leases
import LinuxSystem
import Settings
import Supervision
import SupervisorRuntime
import Vocabulary

extension StatusReport.Lease {
  /// nil where nothing is under a lease.
  static func all(of runtime: Runtime, _ clock: StatusReport.Clock) -> [StatusReport.Lease]? {
    let views = runtime.leases.views
    return views.isEmpty ? nil : views.map { StatusReport.Lease($0, runtime, clock) }
  }

  private init(_ view: ServiceLeases.View, _ runtime: Runtime, _ clock: StatusReport.Clock) {
    let core = runtime.core
    let engines = core.generations.values.sorted { $0.id > $1.id }.flatMap(\.engines).filter {
      $0.plan.lease == view.name
    }
    var names: [EngineName] = []
    for engine in engines where !names.contains(engine.plan.name) { names.append(engine.plan.name) }
    let state: StatusReport.LeaseState =
      switch view.state {
      case .held: .held
      case .waiting: .waiting
      case .ending: .ending
      }
    self.init(
      name: view.name, state: state, since: clock.wall(view.since), engines: names,
      works: view.state == .held && engines.contains { $0.workers.contains(where: \.isReady) },
      token: view.token.map { Int(clamping: $0.number) },
      remaining: view.provenUntil.map { max(.zero, $0 - .now()) }, holder: view.holder?.label,
      holderToken: view.holder.map { Int(clamping: $0.token.number) },
      holderRemaining: view.holder.map { max(.zero, $0.remaining - (BootInstant.now() - view.heardAt)) },
      holderSeen: view.holder.map { _ in
        WallTime(microseconds: clock.wallNow - (BootInstant.now() - view.heardAt).microseconds)
      },
      holderAlive: runtime.leases.isHolderAlive(view), timeToLive: runtime.leases.settings?.timeToLive,
      store: runtime.leases.settings?.store.shown ?? "-", storeError: runtime.leases.trouble?.why)
  }
}
