import Vocabulary

@testable import Supervision

/// What docs/states/recovery.md shows: an address that came back with two listeners.
enum RecoveryPage {
  static let worlds = [
    Search.World(
      testDescription: "overlapping", plans: [.of([.web(restart: once)])],
      limits: Maze.Limits(reloads: 0, stops: 0, crashes: 0, refusals: 1, recoveries: 1, ticks: 2)),
    Search.World(
      testDescription: "exclusive",
      plans: [
        .of([EnginePlan(name: Names.robots, workers: 1, sockets: [Names.http], restart: once, handover: .exclusive)])
      ],
      limits: Maze.Limits(reloads: 0, stops: 0, crashes: 0, refusals: 2, recoveries: 1, ticks: 2)),
    Search.World(
      testDescription: "leased",
      plans: [
        .of([EnginePlan(name: Names.robots, workers: 1, sockets: [Names.http], restart: once, lease: Names.lease)])
      ],
      limits: Maze.Limits(
        reloads: 0, stops: 0, crashes: 0, refusals: 1, recoveries: 1, permits: 2, withdrawals: 1, ticks: 2)),
    Search.World(
      testDescription: "scaled to nothing", plans: [.of([.web(workers: 0, restart: once)])],
      limits: Maze.Limits(reloads: 0, scales: 1, stops: 0, crashes: 0, refusals: 1, recoveries: 1, ticks: 2)),
  ]

  private static let once = RestartPolicy(giveUpAfter: 2, healthyAfter: .seconds(100_000))

  static let order = [
    "nothing known", "first: loading", "first: opening", "first: starting", "first: proving", "the other is asked",
    "it waits for a worker", "its turn is next", "again: loading", "again: opening", "again: starting",
    "again: proving",
    "again: swapping, quietingOld", "again: swapping, endingOld", "again: swapping, startingNew",
    "again: swapping, provingNew", "again: restoring", "it waits for a reload", "one queue", "the start failed",
  ]

  static func name(_ core: Supervisor) -> String {
    switch core.phase {
    case .new: return "nothing known"
    case .stopping, .ended: return "the start failed"
    case .changing(let change) where change.isRepeat: return "again: \(change.step.name)"
    case .changing(let change) where change.kind == .first: return "first: \(change.step.name)"
    case .changing: return "another change"
    case .steady:
      guard core.groups.values.contains(where: { !$0.unserved.isEmpty }) else { return "one queue" }
      if core.hasQueuesToServe { return "its turn is next" }
      if !core.unservedQueues.isEmpty { return "it waits for a worker" }
      return core.nextGeneration == 2 ? "the other is asked" : "it waits for a reload"
    }
  }
}
