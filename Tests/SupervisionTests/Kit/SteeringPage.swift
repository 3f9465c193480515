import Vocabulary

@testable import Supervision

/// docs/states/steering.md: every order of the listeners of up to three generations, and what each move does to it.
enum SteeringPage {
  private struct State: Hashable {
    var group: SteeringGroup
    var bound: Set<ListenerID>
  }

  static func text() -> String {
    var rows: [String: [String: String]] = [:]
    var queue = [start()]
    var seen = Set(queue.map(layout))
    while !queue.isEmpty {
      let state = queue.removeFirst()
      for (move, next, steps) in moves(state) {
        rows[layout(state), default: [:]][move] = row(steps, state, next)
        if seen.insert(layout(next)).inserted { queue.append(next) }
      }
    }
    return page(rows)
  }

  private static func page(_ rows: [String: [String: String]]) -> String {
    var text = """
      # Steering

      <!-- Made by the tests from the code: BATON_UPDATE_DOCS=1 swift test --disable-xctest --filter StatePages -->

      The listeners of one address in the kernel's order, from place 0 on: `S` serves, `C` is a candidate's with its
      questions or its share, `d` belongs to another generation (one that drains, or a candidate before it is asked),
      `i` is idle: nobody's, met by nobody, closed as soon as that moves no listener in use. The kernel moves the last
      one into a gap. With the third one an idle one joins behind it, the cushion: whoever leaves by itself, the kernel
      moves that one. Steps are done in this order with nothing in between; numbers are places. Before and after each of
      them clients meet only whom the rule names.

      ```mermaid
      stateDiagram-v2
        alone: S alone
        joined: others joined
        asked: C is asked
        shared: C has a share
        alone --> joined: join
        joined --> asked: ask
        asked --> shared: share
        shared --> joined: commit, abort
        asked --> joined: commit, abort
        joined --> alone: retire
      ```

      """
    for (layout, moves) in rows.sorted(by: { ($0.key.count, $0.key) < ($1.key.count, $1.key) }) {
      text += "\n## \(layout)\n\n| move | steps | leads to |\n|---|---|---|\n"
      for (move, row) in moves.sorted(by: { $0.key < $1.key }) { text += "| \(move) | \(row) |\n" }
    }
    return text
  }

  private static func start() -> State {
    let first = ListenerID.http(1)
    var group = SteeringGroup(kind: .program, first: first)
    _ = group.steer(.everyone(first))
    return State(group: group, bound: [first])
  }

  private static func moves(_ state: State) -> [(String, State, [SteeringGroup.Step])] {
    var all: [(String, State, [SteeringGroup.Step])] = []
    func add(_ name: String, _ change: (inout State) -> [SteeringGroup.Step]) {
      var next = state
      let steps = change(&next)
      let group = next.group
      let isShown = group.members.count <= 3 || group.members.count == 4 && group.idle.count == 1
      if isShown && next.bound.count <= 3 { all.append((name, next, steps)) }
    }
    add("join") { next in
      let candidate = next.group.admit(unused(next))
      next.bound.insert(candidate)
      if next.group.needsCushion(for: candidate) { next.group.addCushion(unused(next)) }
      return []
    }
    for (place, one) in state.group.members.enumerated() where state.bound.contains(one) {
      if one != state.group.serving {
        add("ask \(place)") { $0.group.steer(.probes(candidate: one, serving: state.group.serving)) }
        add("share with \(place)") {
          $0.group.steer(.share(Share(clamping: 500), candidate: one, serving: state.group.serving))
        }
      }
      add("everyone to \(place)") { $0.group.steer(.everyone(one)) }
      if !state.group.rule.listeners.contains(one) {
        add("retire \(place)") { next in
          next.bound.remove(one)
          return next.group.retire(one)
        }
      }
      add("\(place) left by itself") { next in
        let steps = next.group.left(one)
        if !next.group.members.contains(one) { next.bound.remove(one) }
        return steps
      }
    }
    return all
  }

  private static func unused(_ state: State) -> ListenerID {
    .http((1...9).first { !state.group.members.contains(.http($0)) } ?? 9)
  }

  private static func layout(_ state: State) -> String {
    let letters = state.group.members.map { one -> String in
      if one == state.group.serving { return "S" }
      if state.group.rule.listeners.contains(one) { return "C" }
      return state.group.idle.contains(one) ? "i" : "d"
    }
    let rule =
      switch state.group.rule {
      case .everyone: ""
      case .probes: ", asked"
      case .share: ", share"
      }
    return letters.joined(separator: " ") + rule
  }

  private static func row(_ steps: [SteeringGroup.Step], _ from: State, _ to: State) -> String {
    let texts = steps.map { step in
      switch step {
      case .attach(.constant(let place), _): "all to \(place)"
      case .attach(.probes(let candidate, let serving), _): "questions to \(candidate), all others to \(serving)"
      case .attach(.share(_, let candidate, let serving), _):
        "questions and a share to \(candidate), others to \(serving)"
      case .close(let one): "close the one at \(from.group.members.firstIndex(of: one) ?? -1)"
      case .relisten(let one): "listen again on the one that was at \(from.group.members.firstIndex(of: one) ?? -1)"
      }
    }
    return "\(texts.isEmpty ? "–" : texts.joined(separator: "; ")) | \(layout(to))"
  }
}
