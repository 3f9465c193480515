import LinuxSystem
import Settings
import Supervision
package import Vocabulary

/// Connections that end because their worker is killed: counted before, and told with its name.
extension Runtime {
  func countCut(_ id: WorkerID) {
    let pids = workers.pids(of: id)
    guard !pids.isEmpty else { return }
    let count = openConnections().count(heldBy: pids)
    guard count > 0 else { return }
    connectionsCut += count
    var happening = Happening(
      .connectionsCut,
      "\(id.label) of generation \(id.generation) is killed with \(count) open connection\(count == 1 ? "" : "s")")
    happening.engine = id.engine
    happening.worker = id
    happening.generation = id.generation
    happening.pid = workers.pid(of: id)
    happening.reason = "\(count)"
    history.add(happening)
  }

  /// As of the first kill that an event leads to: the kernel walks through all its connections for it.
  private func openConnections() -> ConnectionCensus {
    if let census { return census }
    let taken = ConnectionCensus(of: addresses)
    census = taken
    return taken
  }

  /// Also of listeners that are closed already.
  private var addresses: [SocketAddress] {
    listeners.addresses + generations.values.flatMap { $0.settings.sockets.map(\.address) }
  }

  /// What old generations still do, oldest first. For status.
  package var drains: [Drain] {
    let draining = core.generations.values.filter { $0.draining != nil }.sorted { $0.id < $1.id }
    guard !draining.isEmpty else { return [] }
    let census = ConnectionCensus(of: addresses)
    return draining.compactMap { generation in
      guard let state = generation.draining else { return nil }
      let workers = generation.engines.flatMap(\.workers).filter { !$0.isGone }
      return Drain(
        generation: generation.id, release: generation.plan.release, since: state.since, cutAt: state.cutAt,
        workers: workers.count, connections: census.count(heldBy: workers.flatMap { self.workers.pids(of: $0.id) }))
    }
  }

  package struct Drain {
    package let generation: GenerationID
    package let release: ReleaseID
    package let since: Instant
    /// Whatever is left then is killed.
    package let cutAt: Instant
    package let workers: Int
    package let connections: Int
  }
}
