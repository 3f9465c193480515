import TestPages
import Testing
import Vocabulary

@testable import Supervision

/// Every event in every state of worker, generation, change and shutdown, whether it is to be expected there or not. What
/// comes too late, twice, or from nobody that is known keeps every promise like anything else, and what is about nobody
/// that is known changes nothing.
@Suite struct Matrix {
  private static let once = RestartPolicy(giveUpAfter: 2, healthyAfter: .seconds(100_000))

  private static let worlds: [Maze] = [
    Maze(
      plans: [.of([.web(), .robots()])],
      limits: Maze.Limits(stops: 0, crashes: 0, refusals: 1, ticks: 4)),
    Maze(
      plans: [.of([.web(restart: RestartPolicy(giveUpAfter: 4))])],
      limits: Maze.Limits(reloads: 0, stops: 0, crashes: 3, refusals: 0, ticks: 4)),
    Maze(
      plans: [
        .of(
          [
            .web(workers: 2, restart: once, recycling: RecyclingPlan(requests: 10)),
            .robots(asksPending: true, saves: true),
          ],
          trial: TrialPlan(batch: 1, duration: .seconds(1)))
      ], limits: Maze.Limits(stops: 1, crashes: 0, refusals: 0, recycles: 1, ticks: 6)),
    Maze(
      plans: [
        .of(
          [.web(restart: once)],
          trial: TrialPlan(shares: [Share(clamping: 500)], duration: .seconds(1), isChecked: true))
      ],
      limits: Maze.Limits(reloads: 0, holds: 1, words: 1, restarts: 1, stops: 0, crashes: 1, refusals: 1, ticks: 6)),
    Maze(
      plans: [
        .of(
          [.web(), .store, .cache],
          shutdown: ShutdownPlan(
            timeout: .seconds(30), slices: [.intake: .seconds(2), .engines: .seconds(22), .database: .seconds(3)],
            commands: [.database: 1]))
      ], limits: Maze.Limits(reloads: 0, scales: 1, stops: 2, crashes: 0, refusals: 0, ticks: 8)),
    Maze(
      plans: [.of([.web(restart: once)])],
      limits: Maze.Limits(reloads: 1, stops: 0, crashes: 0, refusals: 1, recoveries: 1, ticks: 4)),
    Maze(
      plans: [.of([.web(workers: 2, restart: once)], trial: TrialPlan(batch: 1, duration: .seconds(1)))],
      limits: Maze.Limits(stops: 0, crashes: 1, refusals: 1, ticks: 6)),
    // As deep as its second batch.
    Maze(
      plans: [.of([.web(workers: 2, restart: once)], trial: TrialPlan(batch: 1, duration: .seconds(1)))],
      limits: Maze.Limits(stops: 0, crashes: 0, refusals: 0, ticks: 6)),
    Maze(
      plans: [
        .of(
          [.robots(after: [], restart: once, lease: Names.lease), .leasedWarm], sockets: [])
      ],
      limits: Maze.Limits(restarts: 1, stops: 1, crashes: 0, refusals: 0, permits: 2, withdrawals: 1, ticks: 4)),
  ]

  /// About nobody that is known.
  private static let strangers: [Event] = {
    let worker = WorkerID(generation: 999, engine: Names.web, slot: 1, run: 1)
    let listener = ListenerID(key: SocketKey("nowhere"), number: 999)
    let about: [Event] = [
      .spawned(worker), .spawnFailed(worker, "ENOENT"), .ready(worker), .showedLife(worker),
      .livenessAnswered(worker, isAlive: true), .livenessAnswered(worker, isAlive: false), .exited(worker, .exited(1)),
      .emptied(worker), .nothingPending(worker), .saved(worker), .measured(worker, memory: ByteCount(9)),
      .served(worker, requests: 99), .proofAnswered(999, Names.web, number: 1, failure: nil),
      .proofAnswered(999, Names.web, number: 1, failure: "500"), .trialChecked(999, round: 1, failure: nil),
      .trialChecked(999, round: 1, failure: "no"), .listenerOpened(listener), .listenerRefused(listener, "EMFILE"),
      .listenerMustBeShared(listener), .listenerLeft(listener), .quiet(listener, unfinished: 0),
      .quiet(listener, unfinished: 3), .settingsRefused("nobody", "line 1"), .releaseRefused("nobody", "not there"),
      .holdReleased("nobody", .commit), .holdReleased("nobody", .abort(.asked)),
      .holdReleased("nobody", .abort(.callerLeft)),
    ]
    return about
  }()

  /// About those that are there, whatever they are doing, and from people.
  private static func events(_ maze: Maze) -> [Event] {
    let core = maze.core
    let new = OperationID("op\(maze.operations)")
    var events: [Event] = [
      .start(new), .reload(new), .reload(new, ReloadWish(hold: .seconds(5))), .restart(new),
      .scale(Names.web, to: 2, new), .scale(EngineName(unchecked: "none"), to: 2, new), .pause("upgrade"), .resume,
      .stop(.stop), .stop(.restart), .stop(.failure), .stopNow, .wasAway(.seconds(5)), .tick,
    ]
    // Once it has exited nobody sees anything of workers and listeners.
    if core.phase == .ended { return events }
    events += Stage.allCases.map { .stageWorkDone($0) }
    // From whoever decides about leases, also about one that nobody asked for.
    for lease in core.leases.keys.sorted() + [LeaseName(unchecked: "nobody's")] {
      events += [.permitted(lease), .withdrawn(lease), .leaseIsUp(lease)]
    }
    for operation in maze.held {
      events += [
        .holdReleased(operation, .commit), .holdReleased(operation, .abort(.asked)),
        .holdReleased(operation, .abort(.callerLeft)),
      ]
    }
    for id in maze.witness.processes.keys.sorted() {
      events += [
        .spawned(id), .ready(id), .showedLife(id), .livenessAnswered(id, isAlive: true),
        .livenessAnswered(id, isAlive: false), .nothingPending(id), .saved(id), .measured(id, memory: ByteCount(9)),
        .served(id, requests: 99),
      ]
      events +=
        core.worker(id)?.mainIsGone == true ? [.emptied(id)] : [.exited(id, .exited(1)), .exited(id, .signalled(9))]
    }
    for (id, generation) in core.generations.sorted(by: { $0.key < $1.key }) {
      for engine in generation.engines {
        for number in [0, engine.proof?.firstNumber ?? 1] {
          events += [nil, "500"].map { .proofAnswered(id, engine.plan.name, number: number, failure: $0) }
        }
      }
      for round in 0...2 { events += [nil, "no"].map { .trialChecked(id, round: round, failure: $0) } }
      // A worker of it that is no more.
      let late = WorkerID(generation: id, engine: Names.web, slot: 1, run: 0)
      events += [.ready(late), .exited(late, .exited(1)), .emptied(late), .spawnFailed(late, "ENOENT")]
    }
    for listener in core.groups.values.flatMap(\.members).sorted() where maze.witness.holds(listener) {
      events.append(.listenerLeft(listener))
    }
    for event in maze.owed {
      if case .quiet(let listener, _) = event { events.append(.quiet(listener, unfinished: 2)) }
    }
    return events
  }

  @Test func everyEventInEveryState() {
    var visited: Set<String> = []
    var states: Set<String> = []
    var edges = 0
    for world in Self.worlds {
      var level = [world]
      var seen = Set([world.look])
      while !level.isEmpty, seen.count < Self.most {
        var next: [Maze] = []
        for state in level {
          let names = Self.names(state.core)
          states.formUnion(names)
          // What is asked of the host is answered before anything else.
          let isAsked = !state.opens.isEmpty || state.core.phase == .new
          for event in isAsked ? [] : Self.strangers {
            edges += 1
            var core = state.core
            let actions = core.handle(event, at: state.now)
            var same = state.core
            let due = same.handle(.resume, at: state.now)
            if core != state.core, core != same || actions != due {
              Issue.record("\(event) changes something in \(state.core.phase)")
            }
            visited.formUnion(names.map { "\($0) × \(event.name), of nobody" })
          }
          for event in isAsked ? [] : Self.events(state) {
            edges += 1
            var after = state
            if let broken = after.go(event), !broken.hasPrefix("woken for nothing") {
              Issue.record("\(broken)\nafter \(event) in \(state.core.phase)")
              return
            }
            visited.formUnion(names.map { "\($0) × \(event.name)" })
          }
          for event in state.moves {
            var after = state
            if after.go(event) == nil, seen.insert(after.look).inserted { next.append(after) }
          }
        }
        level = next
      }
    }
    print("matrix: \(states.count) states, \(visited.count) of their events, \(edges) edges")
    if Self.most >= 800 { #expect(states.isSuperset(of: Self.wanted), "\(Self.wanted.subtracting(states))") }
  }

  /// Of each world.
  private static let most = Surroundings.number("BATON_STATES").map { Int($0) } ?? 800

  /// Those of the whole, and of everything in it.
  private static func names(_ core: Supervisor) -> Set<String> {
    var names: Set<String> = [core.phase.name]
    if case .changing(let change) = core.phase, change.roll != nil { names.insert("roll: \(change.step.name)") }
    for lease in core.leases.values { names.insert("lease \(lease.state.rawValue)") }
    for generation in core.generations.values {
      names.insert("generation " + generation.role.name)
      for worker in generation.engines.flatMap(\.workers) { names.insert("worker " + worker.state.name) }
    }
    return names
  }

  private static let wanted: Set<String> = [
    "steady", "ended", "first: loading", "first: starting", "first: proving", "handover: loading", "handover: starting",
    "handover: proving", "handover: holding", "handover: trial", "handover: swapping, endingOld",
    "handover: swapping, startingNew", "handover: restoring", "restart: ending", "intake: quieting", "engines: ending",
    "database: ending", "database: running", "database: closing", "redis: clearing", "generation candidate",
    "generation serving", "generation draining, not quiet", "generation draining", "generation cut", "worker idle",
    "roll: trial", "roll: starting", "roll: proving", "roll: restoring", "lease apart",
    "lease permitted", "lease leaving", "worker waiting", "worker starting", "worker ready",
    "worker stopping: finishing",
    "worker clearing",
  ]
}

extension Generation.Role {
  fileprivate var name: String {
    switch self {
    case .candidate: "candidate"
    case .serving: "serving"
    case .draining(let draining):
      draining.isCut ? "cut" : draining.unquiet.isEmpty ? "draining" : "draining, not quiet"
    }
  }
}
