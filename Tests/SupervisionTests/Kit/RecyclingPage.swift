import Vocabulary

@testable import Supervision

/// What docs/states/recycling.md shows: an engine with workers that are well and are to be replaced.
enum RecyclingPage {
  static let worlds = [
    Search.World(
      testDescription: "one worker, beside a reload", plans: [.of([.web(restart: once, recycling: plan)])],
      limits: Maze.Limits(reloads: 1, stops: 0, crashes: 0, refusals: 1, recycles: 1, ticks: 2)),
    Search.World(
      testDescription: "one worker that may crash, a scaling", plans: [.of([.web(restart: once, recycling: plan)])],
      limits: Maze.Limits(reloads: 0, scales: 1, stops: 0, crashes: 1, refusals: 0, recycles: 1, ticks: 3)),
    Search.World(
      testDescription: "two workers, a stop", plans: [.of([.web(workers: 2, restart: once, recycling: plan)])],
      limits: Maze.Limits(reloads: 0, stops: 1, crashes: 0, refusals: 0, recycles: 2, ticks: 2)),
    Search.World(
      testDescription: "exclusive",
      plans: [
        .of(
          [EnginePlan(name: Names.web, workers: 1, restart: once, handover: .exclusive, recycling: plan)], sockets: [])
      ],
      limits: Maze.Limits(reloads: 1, stops: 0, crashes: 1, refusals: 0, recycles: 1, ticks: 3)),
  ]

  private static let plan = RecyclingPlan(requests: 10)
  private static let once = RestartPolicy(giveUpAfter: 2, healthyAfter: .seconds(100_000))

  static let order = [
    "nothing serves", "at work", "due, and it waits", "the successor starts", "the successor is gone",
    "the one it relieves ends", "it ends first", "not all at work", "ending",
  ]

  static func name(_ core: Supervisor) -> String {
    if core.isStopping { return "ending" }
    guard let engine = core.serving.flatMap({ core.generations[$0]?.engine(Names.web) }) else {
      return "nothing serves"
    }
    if engine.phase == .ending { return "ending" }
    if let successor = engine.workers.first(where: { $0.part == .successor }) {
      return successor.isGone ? "the successor is gone" : "the successor starts"
    }
    if engine.workers.contains(where: { $0.part == .leaving }) {
      return engine.plan.handover == .exclusive ? "it ends first" : "the one it relieves ends"
    }
    if engine.workers.contains(where: { $0.due != nil && $0.isReady }) { return "due, and it waits" }
    return engine.workers.allSatisfy(\.isReady) ? "at work" : "not all at work"
  }
}
