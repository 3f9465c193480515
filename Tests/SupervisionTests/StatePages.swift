import TestPages
import Testing
import Vocabulary

@testable import Supervision

/// The pages under docs/states say what the code does: they are made by walking it.
@Suite struct StatePages {
  @Test func worker() throws {
    var table = StateTable()
    for engine in Self.engines { walk(engine, &table) }
    let page = table.page(
      title: "Worker",
      about: """
        One place of an engine in one generation. *Wanted* is kept apart: a worker that is told to end is no longer wanted,
        and one that is not wanted is not started again. Each event names the run it is about; news of an earlier run
        changes nothing. It counts as gone only when its whole group or cgroup is empty.
        """,
      order: [
        "idle", "starting", "ready", "stopping: finishing", "stopping: saving", "stopping: leaving",
        "stopping: dumping",
        "clearing", "waiting", "failed",
      ])
    compare("worker", page)
  }

  @Test func change() throws {
    let page = Self.tables.change.page(
      title: "Change",
      about: """
        A generation is put in place of another (*handover*), as the *first*, or after an interruption (*restart*). Until
        a handover is committed to (it leads to *steady* with a new generation) clients meet only the old one, but for the
        share of a trial; every failure before leads over *restoring* to *steady* with the old one.
        """,
      order: [
        "new", "first: loading", "first: opening", "first: starting", "first: proving", "steady", "handover: loading",
        "handover: opening", "handover: starting", "handover: proving", "handover: holding", "handover: trial",
        "handover: swapping, endingOld", "handover: swapping, startingNew", "handover: swapping, provingNew",
        "handover: restoring", "restart: loading", "restart: ending", "restart: starting", "restart: proving",
        "stopping",
      ])
    compare("change", page)
  }

  @Test func shutdown() throws {
    let page = Self.tables.shutdown.page(
      title: "Shutdown",
      about: """
        Stages in their order, each with its slice and what earlier ones left of theirs. *ending*: its engines end, those
        that start last first. *clearing*: what was killed leaves the process table, two seconds at most. *running*: one
        of its commands. *closing*: the ledger writes its last.
        """,
      order: ["running", "intake: quieting"]
        + ["engines", "database", "redis"].flatMap { stage in
          ["ending", "clearing", "running", "closing"].map { "\(stage): \($0)" }
        } + ["ended"])
    compare("shutdown", page)
  }

  @Test func upgrade() throws {
    let page = Upgrades.walk().page(
      title: "Upgrade",
      about: """
        Another image of `batond` is put in this one's place. *Settling*: what comes next waits until nothing else is under
        way. While the new image is asked others may begin, and come to their end before the next step; from *recording* on
        nothing does. *Replacing* has no way out but a failure: the process is another program then.
        """,
      order: [
        "none", "settling before check", "checking", "settling before record", "recording", "settling before replace",
        "replacing",
      ])
    compare("upgrade", page)
  }

  @Test func recovery() throws {
    let page = Self.walk(RecoveryPage.worlds) { RecoveryPage.name($0) }.page(
      title: "Recovery",
      about: """
        After a crash an address came back with two listeners, and clients wait in both. What served is started on the one
        that clients meet; the other is asked for what it holds, and what waits there is served by the same generation
        started *again*, in a handover. An engine that never runs twice first empties the queue it has (*quietingOld*) and
        then changes over. Seen from the address: the steps of the change are those of the page Change.
        """, order: RecoveryPage.order)
    compare("recovery", page)
  }

  @Test func recycling() throws {
    let page = Self.walk(RecyclingPage.worlds) { RecyclingPage.name($0) }.page(
      title: "Recycling",
      about: """
        A worker that is well is replaced, for its memory, its age or its number of requests. In an engine one at a time,
        only while all are at work and nothing else is under way; the successor starts beside the one it relieves, and of an
        engine that never runs twice after it. Seen from the engine of the serving generation.
        """, order: RecyclingPage.order)
    compare("recycling", page)
  }

  @Test func steering() throws {
    compare("steering", SteeringPage.text())
  }

  // MARK: Walks

  /// Those of recycling, recovery and leases change no step of these pages, and are too large to be walked to the end:
  /// smaller ones have pages of their own.
  private static let worlds = Search.worlds.flatMap { (world) -> [Search.World] in
    var limits = world.limits
    guard limits.recycles + limits.recoveries + limits.permits == 0 else { return [] }
    guard limits.pauses > 0 else { return [world] }
    // All that may come in a pause at once takes as long to walk as all other worlds together.
    limits.pauses = 1
    return [(reloads: 2, restarts: 0, scales: 1), (1, 1, 0)].map { most in
      (limits.reloads, limits.restarts, limits.scales) = most
      return Search.World(testDescription: world.testDescription, plans: world.plans, limits: limits)
    }
  }

  private static let engines: [EnginePlan] = {
    let once = RestartPolicy(giveUpAfter: 3, healthyAfter: .seconds(100_000))
    return [
      EnginePlan(name: Names.web, workers: 1, liveness: .told(every: .seconds(60)), restart: once),
      EnginePlan(
        name: Names.web, workers: 1, readiness: .asked, liveness: .asked(every: .seconds(1), failures: 1), restart: once
      ),
      EnginePlan(
        name: Names.web, workers: 1, readiness: .after(.seconds(1)), restart: once, asksPending: true, saves: true),
      EnginePlan(
        name: Names.web, workers: 1, restart: once, handover: .exclusive,
        recycling: RecyclingPlan(memory: ByteCount(5), age: .seconds(50), requests: 10)),
    ]
  }()

  private struct Key: Hashable {
    let phase: String
    let worker: Worker.State
    let crashes: Int
    let isWanted: Bool
  }

  /// One worker alone, with all that may happen to it.
  private func walk(_ engine: EnginePlan, _ table: inout StateTable) {
    var start = Supervisor(seed: 1)
    _ = start.handle(.start("start"), at: .zero)
    let plan = GenerationPlan.of([engine], sockets: []).numbered(1)
    _ = start.handle(.settingsLoaded("start", plan), at: .zero)
    var queue = [(start, Instant.zero)]
    var seen: Set<Key> = []
    while let (core, now) = queue.popLast() {
      guard let worker = core.generations[1]?.engine(Names.web)?.workers.first else { continue }
      for event in events(worker.id, core) {
        let time = event == .tick ? core.nextDeadline ?? now : now
        var next = core
        _ = next.handle(event, at: time)
        guard let after = next.generations[1]?.engine(Names.web)?.workers.first else { continue }
        table.saw(worker.state.name, event.name, after.state.name)
        let key = Key(phase: next.phase.name, worker: after.state, crashes: after.crashes, isWanted: after.isWanted)
        if seen.insert(key).inserted, time < .zero + .seconds(200) { queue.append((next, time)) }
      }
    }
  }

  private func events(_ id: WorkerID, _ core: Supervisor) -> [Event] {
    let all: [Event] = [
      .spawned(id), .spawnFailed(id, "ENOENT"), .ready(id), .showedLife(id), .livenessAnswered(id, isAlive: true),
      .livenessAnswered(id, isAlive: false), .served(id, requests: 10), .measured(id, memory: ByteCount(9)),
      .exited(id, .exited(1)), .emptied(id), .nothingPending(id), .saved(id),
      .stop(.restart), .stopNow,
    ]
    return core.nextDeadline == nil ? all : all + [.tick]
  }

  /// Both from one walk: it is the longest of all.
  private static let tables: (change: StateTable, shutdown: StateTable) = {
    var change = StateTable()
    var shutdown = StateTable()
    for world in worlds {
      walk(world) { before, event, after in
        change.saw(changeName(before), event.name, changeName(after))
        if world.limits.stops > 0 { shutdown.saw(shutdownName(before), event.name, shutdownName(after)) }
      }
    }
    return (change, shutdown)
  }()

  private static func changeName(_ core: Supervisor) -> String {
    switch core.phase {
    case .new, .steady, .changing: core.phase.name
    case .stopping, .ended: "stopping"
    }
  }

  private static func shutdownName(_ core: Supervisor) -> String {
    switch core.phase {
    case .new, .steady, .changing: "running"
    case .stopping, .ended: core.phase.name
    }
  }

  private static func walk(_ worlds: [Search.World], _ name: (Supervisor) -> String) -> StateTable {
    var table = StateTable()
    for world in worlds {
      walk(world) { before, event, after in table.saw(name(before), event.name, name(after)) }
    }
    return table
  }

  /// To the end. Of states that look alike to a reader one is walked on from.
  private static func walk(_ world: Search.World, saw: (Supervisor, Event, Supervisor) -> Void) {
    var level = [Maze(plans: world.plans, limits: world.limits)]
    var seen = Set(level.map(\.look))
    while !level.isEmpty {
      var next: [Maze] = []
      for state in level {
        for event in state.movesInOrder {
          var after = state
          guard after.go(event) == nil else { continue }
          saw(state.core, event, after.core)
          if seen.insert(after.look).inserted { next.append(after) }
        }
      }
      level = next
    }
  }

  private func compare(_ name: String, _ page: String) {
    if Page.isUpdating { #expect(Page.write(name, page), "cannot write \(Page.path(name))") }
    #expect(
      Page.read(name) == page,
      "docs/states/\(name).md is not what the code does: BATON_UPDATE_DOCS=1 swift test --disable-xctest --filter StatePages"
    )
  }
}

extension Maze {
  /// The same in every run.
  var movesInOrder: [Event] { moves.map { ("\($0)", $0) }.sorted { $0.0 < $1.0 }.map(\.1) }

  /// What a reader of the pages tells apart.
  struct Look: Hashable {
    let phase: String
    let workers: [String]
    let owed: [String]
    let limits: Limits
  }

  var look: Look {
    var limits = limits
    limits.ticks = 0
    let workers = core.generations.keys.sorted().flatMap { id in
      (core.generations[id]?.engines.flatMap(\.workers) ?? []).map { "\(id) \($0.id.engine) \($0.state.name)" }
    }
    return Look(phase: core.phase.name, workers: workers, owed: owed.map(\.name).sorted(), limits: limits)
  }
}
