import TestPages
import Testing
import Vocabulary

@testable import Supervision

/// Breadth first through every state that small services can get into, with every event that may come there. The
/// promises are checked on each edge.
@Suite struct Search {
  struct World: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let plans: [GenerationPlan]
    let limits: Maze.Limits
  }

  static let worlds = [
    World(
      testDescription: "one engine, one socket: start, reload, stop",
      plans: [.of([.web(restart: once)])], limits: Maze.Limits()),
    World(
      testDescription: "a trial",
      plans: [.of([.web(restart: once)], trial: TrialPlan(shares: [Share(clamping: 500)], duration: .seconds(2)))],
      limits: Maze.Limits(stops: 0)),
    World(
      testDescription: "a trial of two steps with a check",
      plans: [
        .of(
          [.web(restart: once)],
          trial: TrialPlan(
            shares: [Share(clamping: 100), Share(clamping: 2_500)], duration: .seconds(1), isChecked: true))
      ],
      limits: Maze.Limits(stops: 0, crashes: 0)),
    World(
      testDescription: "two workers come one by one",
      plans: [.of([.web(workers: 2, restart: once)], trial: TrialPlan(batch: 1, duration: .seconds(1)))],
      limits: Maze.Limits(stops: 0, crashes: 1, refusals: 1, ticks: 8)),
    World(
      testDescription: "two workers come one by one, with a word to wait for and a stop",
      plans: [.of([.web(workers: 2, restart: once)], trial: TrialPlan(batch: 1, duration: .seconds(1)))],
      limits: Maze.Limits(reloads: 0, holds: 1, words: 2, stops: 1, crashes: 0, refusals: 0, ticks: 6)),
    World(
      testDescription: "a reload that is held",
      plans: [.of([.web(restart: once)])],
      limits: Maze.Limits(reloads: 1, holds: 1, words: 2, stops: 1, crashes: 0, refusals: 1, ticks: 4)),
    World(
      testDescription: "a hold, then a trial",
      plans: [.of([.web(restart: once)], trial: TrialPlan(shares: [Share(clamping: 500)], duration: .seconds(2)))],
      limits: Maze.Limits(reloads: 0, holds: 1, words: 2, stops: 0, refusals: 0, ticks: 6)),
    World(
      testDescription: "a worker shuts its listener down",
      plans: [.of([.web(restart: once)])], limits: Maze.Limits(stops: 0, crashes: 0, refusals: 0, leaves: 2)),
    World(
      testDescription: "an exclusive engine beside another",
      plans: [.of([.web(restart: once), .robots()])],
      limits: Maze.Limits(stops: 0, refusals: 1, ticks: 6)),
    World(
      testDescription: "two reloads, the second one without the socket",
      plans: [.of([.web(restart: once)]), .of([.web(sockets: [Names.admin])], sockets: [.admin]), .of([.web()])],
      limits: Maze.Limits(reloads: 2, stops: 0, crashes: 0, ticks: 6)),
    World(
      testDescription: "two listeners come back after a crash",
      plans: [.of([.web(restart: once)])],
      limits: Maze.Limits(reloads: 1, stops: 1, crashes: 0, refusals: 2, recoveries: 1, ticks: 4)),
    World(
      testDescription: "two listeners of an exclusive engine come back",
      plans: [.of([EnginePlan(name: Names.robots, workers: 1, sockets: [Names.http], handover: .exclusive)])],
      limits: Maze.Limits(reloads: 1, stops: 0, crashes: 0, refusals: 2, leaves: 1, recoveries: 1, ticks: 4)),
    World(
      testDescription: "two listeners of an engine under a lease come back",
      plans: [.of([EnginePlan(name: Names.robots, workers: 1, sockets: [Names.http], lease: Names.lease)])],
      limits: Maze.Limits(
        reloads: 0, stops: 0, crashes: 1, refusals: 1, recoveries: 1, permits: 2, withdrawals: 1, ticks: 4)),
    World(
      testDescription: "two listeners come back that an exclusive engine shares with another",
      plans: [
        .of([
          .web(restart: once), EnginePlan(name: Names.robots, workers: 1, sockets: [Names.http], handover: .exclusive),
        ])
      ],
      limits: Maze.Limits(reloads: 0, stops: 0, crashes: 1, refusals: 1, recoveries: 1, ticks: 4)),
    World(
      testDescription: "restart and scale",
      plans: [.of([.web(restart: once)])],
      limits: Maze.Limits(reloads: 0, restarts: 1, scales: 1, crashes: 1, refusals: 0, ticks: 6)),
    World(
      testDescription: "nothing new is begun for a while",
      plans: [.of([.web(restart: once)])],
      limits: Maze.Limits(
        reloads: 2, restarts: 1, scales: 1, pauses: 2, stops: 1, crashes: 0, refusals: 0, ticks: 4)),
    World(
      testDescription: "a worker that is well is replaced, beside a reload and a scaling",
      plans: [.of([.web(restart: once, recycling: RecyclingPlan(requests: 10))])],
      limits: Maze.Limits(scales: 1, stops: 0, crashes: 1, refusals: 1, recycles: 2, aways: 1, ticks: 5)),
    World(
      testDescription: "two workers that are well are replaced, one after the other, and a stop",
      plans: [.of([.web(workers: 2, restart: once, recycling: RecyclingPlan(requests: 10))])],
      limits: Maze.Limits(reloads: 0, pauses: 1, crashes: 1, refusals: 0, recycles: 2, ticks: 5)),
    World(
      testDescription: "an exclusive engine's worker is replaced",
      plans: [.of([.web(restart: once), .robots(recycling: RecyclingPlan(requests: 10))])],
      limits: Maze.Limits(scales: 1, stops: 0, crashes: 1, refusals: 0, recycles: 2, ticks: 5)),
    World(
      testDescription: "an engine under a lease: permitted, withdrawn, a reload",
      plans: [.of([.web(restart: once), .robots(restart: once, lease: Names.lease)])],
      limits: Maze.Limits(stops: 0, refusals: 0, permits: 2, withdrawals: 1, ticks: 5)),
    World(
      testDescription: "an engine under a lease, warm: permitted, withdrawn, a reload",
      plans: [.of([.robots(after: [], restart: once, lease: Names.lease, isWarm: true)])],
      limits: Maze.Limits(stops: 0, refusals: 0, permits: 2, withdrawals: 2, ticks: 5)),
    World(
      testDescription: "a lease, a restart and a stop",
      plans: [.of([.robots(after: [], restart: once, lease: Names.lease)], sockets: [])],
      limits: Maze.Limits(reloads: 0, restarts: 1, stops: 1, crashes: 1, permits: 2, withdrawals: 1, ticks: 6)),
    World(
      testDescription: "the lease is another one, or none, in the next generation",
      plans: [
        .of([.robots(after: [], restart: once, lease: Names.lease)], sockets: []),
        .of([.robots(after: [], restart: once, lease: LeaseName(unchecked: "other"))], sockets: []),
        .of([.robots(after: [], restart: once)], sockets: []),
      ],
      limits: Maze.Limits(reloads: 2, stops: 0, crashes: 0, refusals: 1, permits: 2, withdrawals: 1, ticks: 4)),
    World(
      testDescription: "a lease beside scaling and recycling",
      plans: [
        .of(
          [
            EnginePlan(
              name: Names.web, workers: 1, restart: once, recycling: RecyclingPlan(requests: 10), lease: Names.lease)
          ],
          sockets: [])
      ],
      limits: Maze.Limits(
        reloads: 0, scales: 1, stops: 1, crashes: 1, refusals: 0, recycles: 1, permits: 2, withdrawals: 1, ticks: 4)),
    World(
      testDescription: "a stop through all stages",
      plans: [
        .of(
          [.web(), .robots(asksPending: true, saves: true), .store],
          shutdown: ShutdownPlan(
            timeout: .seconds(30),
            slices: [.intake: .seconds(2), .engines: .seconds(22), .database: .seconds(3), .redis: .seconds(3)],
            commands: [.database: 1]))
      ], limits: Maze.Limits(reloads: 0, crashes: 0, refusals: 0, ticks: 12)),
  ]

  private static let once = RestartPolicy(giveUpAfter: 2, healthyAfter: .seconds(100_000))

  /// Beyond this many a world is too large for a test that runs all the time. scripts/soak goes further (BATON_STATES).
  static let mostStates = Surroundings.number("BATON_STATES").map { Int($0) } ?? 3_000

  @Test(arguments: worlds) func everyStateAndEventKeepsThePromises(_ world: World) {
    var level = [Maze(plans: world.plans, limits: world.limits)]
    var seen = Set(level)
    seen.reserveCapacity(Self.mostStates)
    var edges = 0
    var depth = 0
    while !level.isEmpty, seen.count < Self.mostStates {
      var next: [Maze] = []
      for state in level where seen.count < Self.mostStates {
        for event in state.moves {
          edges += 1
          var after = state
          if let broken = after.go(event) {
            Issue.record("\(broken)\nafter \(event), \(depth) steps from the start\n\(state.core.phase)")
            return
          }
          if seen.insert(after).inserted { next.append(after) }
        }
      }
      level = next
      depth += 1
    }
    let isWhole = level.isEmpty ? "all of it" : "to depth \(depth)"
    print("search, \(world.testDescription): \(seen.count) states, \(edges) edges, \(isWhole)")
    #expect(depth > 8 || Self.mostStates < 3_000)
  }
}
