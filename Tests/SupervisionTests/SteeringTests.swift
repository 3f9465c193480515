import Testing
import Vocabulary

@testable import Supervision

/// A group beside the kernel's own: every sequence of joining, steering, retiring and leaving, up to three generations.
@Suite struct SteeringSearch {
  struct State: Hashable {
    var group: SteeringGroup
    var kernel = FakeKernel()
    /// Bound to a generation, as against idle ones.
    var live: Set<ListenerID>
    /// One went its own way: there may be no cushion any more until the next candidate.
    var isShaken = false

    /// Listeners by their places: names make no difference.
    var shape: [String] {
      let group = group
      return group.members.map { one in
        [
          live.contains(one) ? "live" : "", group.idle.contains(one) ? "idle" : "",
          group.permanent.contains(one) ? "permanent" : "", kernel.groups[one.key]?.published == one ? "public" : "",
        ]
        .joined(separator: " ")
      } + ["\(group.program)", "\(kernel.groups[SocketPlan.http.key]?.program as Any)", "\(isShaken)"]
    }
  }

  enum Move: Hashable {
    case admit
    case steer(SteeringRule)
    case retire(ListenerID)
    case left(ListenerID)
  }

  static let mostGenerations = 3

  @Test(arguments: [SteeringKind.program, .constant, .rename], [false, true])
  func everySequenceKeepsEachPlaceItsMeaning(_ kind: SteeringKind, _ isPermanent: Bool) {
    var queue = [start(kind, isPermanent)]
    var seen = Set(queue.map(\.shape))
    var edges = 0
    var most = 1
    while let state = queue.popLast() {
      for move in moves(state) {
        edges += 1
        var next = state
        if let broken = play(move, &next) {
          Issue.record("\(broken)\nafter \(move)\nin \(state)")
          return
        }
        most = max(most, next.group.members.count)
        if seen.insert(next.shape).inserted { queue.append(next) }
      }
    }
    print(
      "steering \(kind.rawValue)\(isPermanent ? ", from a socket unit" : ""): \(seen.count) states, \(edges) edges, \(most) listeners"
    )
    #expect(seen.count > (kind == .program ? 500 : 15))
    #expect(most <= Self.mostGenerations + 4, "so many generations, and four idle ones")
  }

  @Test func aListenerBetweenOthersStaysOpenRatherThanMoveTheServingOne() {
    // reference: [proving, draining, serving]: closing the middle one would hand clients to the proving one.
    var group = SteeringGroup(kind: .program, first: .http(1))
    let steps = {
      (group: inout SteeringGroup) in
      _ = group.steer(.everyone(.http(1)))
      _ = group.admit(.http(2))
      _ = group.steer(.everyone(.http(2)))
      _ = group.admit(.http(3))
      _ = group.steer(.everyone(.http(3)))
    }
    steps(&group)
    #expect(group.retire(.http(2)).isEmpty && group.idle == [.http(2)])
    // The next generation takes it, and nothing is left over in the end.
    #expect(group.admit(.http(4)) == .http(2))
    _ = group.steer(.everyone(.http(2)))
    #expect(group.retire(.http(3)) == [.close(.http(3))])
    #expect(group.retire(.http(1)) == [.close(.http(1)), .attach(.constant(0), .everyone(.http(2)))])
    #expect(group.members == [.http(2)])
  }

  @Test func aListenerOfASocketUnitIsNeverClosed() {
    var group = SteeringGroup(kind: .program, first: .http(1))
    group.makePermanent(.http(1))
    _ = group.admit(.http(2))
    _ = group.steer(.everyone(.http(2)))
    #expect(group.retire(.http(1)).isEmpty)
    #expect(group.admit(.http(3)) == .http(1), "generations take turns with it")
  }

  // MARK: Moves

  private func start(_ kind: SteeringKind, _ isPermanent: Bool) -> State {
    let first = ListenerID.http(1)
    var state = State(group: SteeringGroup(kind: kind, first: first), live: [first])
    state.kernel.open(first, kind, isPermanent: isPermanent && kind != .rename)
    if isPermanent { state.group.makePermanent(first) }
    _ = run(state.group.steer(.everyone(first)), &state, allowed: [first])
    return state
  }

  private func moves(_ state: State) -> [Move] {
    let live = state.live.sorted()
    var moves: [Move] = live.map { .steer(.everyone($0)) }
    if live.count < Self.mostGenerations { moves.append(.admit) }
    for one in live where one != state.group.serving {
      moves.append(.steer(.probes(candidate: one, serving: state.group.serving)))
      moves.append(.steer(.share(Share(clamping: 500), candidate: one, serving: state.group.serving)))
      if !state.group.rule.listeners.contains(one) { moves.append(.retire(one)) }
    }
    // A worker can shut down only what it was given; who serves clients takes what it was to answer with it.
    return moves + live.map { .left($0) }
  }

  /// What is broken by the move, or nil.
  private func play(_ move: Move, _ state: inout State) -> String? {
    let before = met(by: state.group.rule)
    switch move {
    case .admit:
      let fresh = unused(state)
      let taken = state.group.admit(fresh)
      state.live.insert(taken)
      if taken == fresh { state.kernel.open(fresh, state.group.kind) }
      if state.group.needsCushion(for: taken) {
        let cushion = unused(state)
        state.group.addCushion(cushion)
        state.kernel.open(cushion, state.group.kind)
      }
      return check(state, allowed: before)
    case .steer(let rule):
      let steps = state.group.steer(rule)
      return run(steps, &state, allowed: before.union(met(by: state.group.rule)))
    case .retire(let one):
      state.live.remove(one)
      let steps = state.group.retire(one)
      return run(steps, &state, allowed: before)
    case .left(let one):
      state.kernel.leave(one)
      if state.group.kind == .program, !before.contains(one), !state.isShaken,
        let broken = check(state, allowed: before)
      {
        return "\(broken) before anybody knows"
      }
      state.isShaken = true
      let steps = state.group.left(one)
      if !state.group.members.contains(one) { state.live.remove(one) }
      // The kernel went its own way before we knew: that harmed nobody the first time. From the first step on nobody goes
      // astray, unless the serving one is the one that is missing.
      return run(steps, &state, allowed: before, except: one == state.group.serving)
    }
  }

  private func unused(_ state: State) -> ListenerID {
    .http((1...20).first { !state.group.members.contains(.http($0)) } ?? 9)
  }

  private func met(by rule: SteeringRule) -> Set<ListenerID> {
    switch rule {
    case .everyone(let one): [one]
    case .probes(_, let serving): [serving]
    case .share(_, let candidate, let serving): [candidate, serving]
    }
  }

  private func run(
    _ steps: [SteeringGroup.Step], _ state: inout State, allowed: Set<ListenerID>, except: Bool = false
  ) -> String? {
    for (index, step) in steps.enumerated() {
      switch step {
      case .attach(let program, let rule): state.kernel.attach(SocketPlan.http.key, program, rule)
      case .close(let one): state.kernel.close(one)
      case .relisten(let one): state.kernel.relisten(one)
      }
      if except && index < steps.count - 1 { continue }
      if let broken = check(state, allowed: allowed) { return "\(broken) after \(step)" }
    }
    if let broken = check(state, allowed: allowed) { return broken }
    guard state.group.kind != .rename else { return nil }
    if state.kernel.members(SocketPlan.http.key) != state.group.members {
      return "the kernel has \(state.kernel.members(SocketPlan.http.key)), the core \(state.group.members)"
    }
    if state.kernel.probes(SocketPlan.http.key) != [state.group.rule.listeners[0]] {
      return "probes meet \(state.kernel.probes(SocketPlan.http.key))"
    }
    if state.kernel.clients(SocketPlan.http.key) != met(by: state.group.rule) {
      return "clients meet \(state.kernel.clients(SocketPlan.http.key)), not those of \(state.group.rule)"
    }
    return nil
  }

  private func check(_ state: State, allowed: Set<ListenerID>) -> String? {
    let met = state.kernel.clients(SocketPlan.http.key)
    return met.isSubset(of: allowed) ? nil : "clients meet \(met), allowed are \(allowed)"
  }
}
