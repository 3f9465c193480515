import LinuxSystem
import Settings
import Supervision
package import Vocabulary

/// Connections that end because their worker is killed: counted before, and told with its name.
extension Runtime {
  func countCut(_ id: WorkerID) {
    let pids = workers.pids(of: id)
    guard !pids.isEmpty else { return }
    let census = openConnections()
    let count = census.count(heldBy: pids)
    guard count != 0 else { return }
    cuts += count.map { Cuts(connections: $0) } ?? Cuts(uncounted: 1)
    let what =
      count.map { "with \($0) open connection\($0 == 1 ? "" : "s")" }
      ?? "; its open connections were not counted: \(census.failure.map { "\($0)" } ?? "unknown")"
    var happening = Happening(
      .connectionsCut, "\(id.label) of generation \(id.generation) is killed\(count == nil ? "" : " ")\(what)")
    happening.engine = id.engine
    happening.worker = id
    happening.generation = id.generation
    happening.pid = workers.pid(of: id)
    happening.reason = count.map { "\($0)" }
    history.add(happening)
  }

  /// Clients that waited in it are lost with it: it is about to be closed.
  func countGivenUp(_ listener: ListenerID, _ happening: inout Happening) {
    let count = listeners.waiting(in: listener)
    cuts += Cuts(connections: count)
    happening.text += " (\(count) connection\(count == 1 ? "" : "s"))"
    happening.reason = "\(count)"
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

  /// How many connections the end of an earlier life cut, by whoever could look. Said once.
  package func tellEnd(_ found: EndedConnections) {
    guard let end = uncountedEnd else { return }
    uncountedEnd = nil
    var happening: Happening
    switch found {
    case .about(0): return
    case .about(let count):
      cuts += Cuts(connections: count)
      happening = Happening(
        .connectionsCut,
        "about \(count) connection\(count == 1 ? " was" : "s were") cut when batond ended without notice")
      happening.reason = "\(count)"
    case .unknown(let why):
      cuts += Cuts(uncounted: end.workers)
      happening = Happening(
        .connectionsCut, "how many connections were cut when batond ended without notice was not counted: \(why)")
    }
    happening.generation = end.generation
    history.add(happening)
    // The next crash may come before the next decision.
    writeDown()
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
    /// nil: nobody can say.
    package let connections: Int?
  }
}
