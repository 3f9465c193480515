import TestPages
import Testing
import Vocabulary

@testable import Deployment

/// Every state that operations can get into with a few faults, kills and wishes, and what must hold in each.
@Suite struct SearchTests {
  static let kinds: [World.Kind] = {
    let id = OperationID("op")
    let plain = Intent(operation: id, kind: .deploy)
    var quick = Intent(operation: id, kind: .deploy)
    (quick.isQuick, quick.isSteered) = (true, true)
    var detached = plain
    (detached.detachesBake, detached.isSteered) = (true, true)
    return [
      World.Kind(intent: plain, name: "plain"),
      World.Kind(intent: quick, name: "quick, steered"),
      World.Kind(intent: detached, name: "detached bake, steered"),
      World.Kind(intent: plain, name: "first", isFirst: true),
      World.Kind(intent: Intent(operation: id, kind: .rollback), name: "rollback", isThere: true),
    ]
  }()

  struct Case: CustomTestStringConvertible, Sendable {
    let kind: World.Kind
    let faults: Int
    let crashes: Int
    let wishes: Int
    var testDescription: String { "\(kind.name): \(faults) faults, \(crashes) crashes, \(wishes) wishes" }
  }

  /// BATON_DEEP=1 takes the larger ones as well: half a minute.
  static let cases: [Case] = {
    let small = kinds.map { Case(kind: $0, faults: 1, crashes: 1, wishes: 0) }
    guard Surroundings.text("BATON_DEEP") == "1" else { return small }
    return small + kinds.map { Case(kind: $0, faults: 1, crashes: 1, wishes: 1) }
      + kinds.map { Case(kind: $0, faults: 1, crashes: 2, wishes: 0) }
      + kinds.filter { $0.name == "quick, steered" }.map { Case(kind: $0, faults: 3, crashes: 0, wishes: 0) }
  }()

  @Test(arguments: cases) func everyStateKeepsThePromises(_ one: Case) {
    let walk = Walk(World(one.kind, World.Budget(faults: one.faults, crashes: one.crashes, wishes: one.wishes)))
    for breach in walk.breaches.prefix(3) { Issue.record("\(breach)") }
    print("search, \(one.testDescription): \(walk.states) states, \(walk.edges) edges")
    #expect(walk.states > 1_000)
  }

  /// Whole operations with whatever happens, from a seed: BATON_SEED=N repeats one, BATON_SEEDS=N makes N.
  @Test func everyLifeKeepsThePromises() {
    let seeds = Surroundings.number("BATON_SEED").map { [$0] } ?? Array(1...(Surroundings.number("BATON_SEEDS") ?? 400))
    var outcomes: [Outcome: Int] = [:]
    for seed in seeds {
      var random = SplitMix64(seed: seed)
      let kind = Self.kinds[Int(random.next() % UInt64(Self.kinds.count))]
      var world = World(kind, World.Budget(faults: 6, crashes: 4, wishes: 2))
      var way: [String] = []
      while world.breach == nil, way.count < 2_000 {
        let moves = world.moves + (world.budget.wishes > 0 && world.owed != nil ? [.deadline] : [])
        guard !moves.isEmpty else { break }
        // Mostly it goes well, or nothing would get anywhere.
        let isCalm = random.next() % 20 != 0
        let move = isCalm ? moves[0] : moves[Int(random.next() % UInt64(moves.count))]
        world.go(move)
        if move != .go { way.append("\(move)") }
      }
      if let breach = world.breach { Issue.record("seed \(seed), \(kind.name): \(breach) [\(way)]") }
      if let outcome = world.finished { outcomes[outcome, default: 0] += 1 }
    }
    print("lives: \(seeds.count) seeds, \(outcomes.map { "\($0.value) \($0.key.rawValue)" }.sorted())")
    // A model that never gets somewhere proves nothing about it.
    if seeds.count >= 400 { #expect(Set(outcomes.keys).isSuperset(of: [.good, .failed, .aborted, .stuck])) }
  }
}

/// A breadth-first walk: what it finds first is the shortest way there.
struct Walk {
  private(set) var states = 0
  private(set) var edges = 0
  private(set) var breaches: [String] = []
  private var trail: [(parent: Int, move: World.Move?)] = []
  private var atRest: Set<World.Remains> = []

  init(_ start: World, states limit: Int = 400_000, saw: ((World, World.Move, World) -> Void)? = nil) {
    var queue = [start]
    var seen: Set<World> = [start]
    trail = [(-1, nil)]
    var next = 0
    while next < queue.count, seen.count < limit, breaches.count < 5 {
      let world = queue[next]
      if let problem = lookAtRest(world) { found(problem, at: next, world) }
      for move in world.moves {
        var after = world
        after.go(move)
        edges += 1
        saw?(world, move, after)
        guard seen.insert(after).inserted else { continue }
        queue.append(after)
        trail.append((next, move))
        if let breach = after.breach { found(breach, at: queue.count - 1, after) }
      }
      next += 1
    }
    states = seen.count
    if seen.count >= limit { breaches.append("more than \(limit) states") }
  }

  /// Whether a process that is gone leaves something that recovery brings to a good end, without any more faults.
  private mutating func lookAtRest(_ world: World) -> String? {
    guard world.machine == nil || world.owed == nil else { return nil }
    if world.machine == nil, !atRest.insert(world.remains).inserted { return nil }
    var world = world
    var moves = 0
    if world.machine != nil {
      // It came to an end: whoever comes next finds nothing to do.
      guard let finished = world.finished else { return "it waits for nothing, and has not ended" }
      if finished.isFinal, !world.isBooting, Recovery.isHalfDone(world.log) { return recovered(world) }
      return nil
    }
    while world.owed != nil || world.machine == nil {
      world.go(world.machine == nil ? .recover(.now) : .go)
      moves += 1
      if let breach = world.breach { return "recovered without faults: \(breach)" }
      if moves > 80 { return "recovery does not come to an end" }
    }
    if world.finished == .stuck { return "recovery without faults is stuck" }
    return nil
  }

  /// The last record could not be written: recovery must find the same.
  private func recovered(_ world: World) -> String? {
    var again = world
    again.machine = nil
    again.go(.recover(.now))
    var moves = 0
    while again.owed != nil, moves < 80 {
      again.go(.go)
      moves += 1
    }
    if let breach = again.breach { return "taken up after its end: \(breach)" }
    if again.current != world.current || again.running != world.running { return "recovery changed a finished one" }
    return nil
  }

  private mutating func found(_ problem: String, at index: Int, _ world: World) {
    var way: [String] = []
    var place = index
    while place > 0 {
      if let move = trail[place].move, move != .go || place == index { way.append("\(move)") } else { way.append(".") }
      place = trail[place].parent
    }
    let log = world.log.map(\.short).joined(separator: "; ")
    breaches.append("\(problem) [\(way.reversed().joined(separator: " "))] \(log)")
  }
}

extension Entry {
  fileprivate var short: String {
    switch self {
    case .began: "began"
    case .intends(let step): "> \(step.rawValue)"
    case .knows: "knows"
    case .did(let step, _): "\(step.rawValue)"
    case .turned(let step, let failure, _): "TURNED \(step?.rawValue ?? "") \(failure.what)"
    case .undid(let step): "undid \(step.rawValue)"
    case .couldNotUndo(let step, _): "could not undo \(step.rawValue)"
    case .resumed: "resumed"
    case .ended(let outcome): "ENDED \(outcome.rawValue)"
    }
  }
}

extension World.Kind: CustomTestStringConvertible {
  var testDescription: String { name }
}
