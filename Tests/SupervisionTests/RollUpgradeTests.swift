import Testing
import Vocabulary

@testable import Supervision

/// Another image is asked for in every state of a reload that comes in batches: it waits for it, and comes right after.
@Suite struct UpgradesInARoll {
  /// The decisions about both, wired as the program wires them.
  private struct Both {
    var maze: Maze
    var upgrading = Upgrading()
    /// Comes later.
    var answer: Upgrading.Event?
    var waited = false
    var isReplaced = false
    var broken: String?

    mutating func upgrade(_ event: Upgrading.Event) {
      for action in upgrading.handle(event, at: maze.now) {
        switch action {
        case .pause(let operation): broken = broken ?? maze.go(.pause(operation))
        case .resume: broken = broken ?? maze.go(.resume)
        case .look: upgrade(.looked(maze.core.unrest.map { "\($0)" }))
        case .check: answer = .checked(failure: nil)
        case .record: answer = .recorded
        case .replace: isReplaced = true
        case .waits: waited = true
        case .cancelCheck, .refuse, .busy: broken = broken ?? "given up"
        }
      }
    }

    /// What the host owes is done, one thing after the other, and then time passes.
    mutating func goOn() {
      let next = maze.opens.first.map { Event.listenerOpened($0) } ?? maze.owed.min { "\($0)" < "\($1)" }
      if let next {
        broken = broken ?? maze.go(next)
      } else if maze.core.nextDeadline != nil {
        broken = broken ?? maze.go(.tick)
      }
      if let event = answer {
        answer = nil
        upgrade(event)
      }
      if let deadline = upgrading.nextDeadline {
        maze.now = max(maze.now, deadline)
        upgrade(.tick)
      }
    }
  }

  @Test func itComesAfterTheRoll() {
    var level = [
      Maze(
        plans: [
          .of(
            [.web(workers: 2, restart: RestartPolicy(giveUpAfter: 2))],
            trial: TrialPlan(batch: 1, duration: .seconds(1)))
        ],
        limits: Maze.Limits(stops: 0, crashes: 1, refusals: 1, ticks: 6))
    ]
    var seen = Set(level.map(\.look))
    var asked: [String: Int] = [:]
    while !level.isEmpty, seen.count < 1_500 {
      var next: [Maze] = []
      for state in level {
        if case .changing(let change) = state.core.phase, change.kind == .handover, state.opens.isEmpty,
          asked[Self.name(change), default: 0] < 20
        {
          asked[Self.name(change), default: 0] += 1
          check(state)
        }
        for event in state.movesInOrder {
          var after = state
          if after.go(event) == nil, seen.insert(after.look).inserted { next.append(after) }
        }
      }
      level = next
    }
    print(
      "upgrade in a roll: \(asked.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))")
    let wanted: Set = [
      "loading", "starting", "proving", "batch 1: trial", "batch 2: starting", "batch 2: proving", "restoring",
    ]
    #expect(Set(asked.keys).isSuperset(of: wanted), "\(wanted.subtracting(asked.keys))")
  }

  private static func name(_ change: Change) -> String {
    let step = change.step.name
    guard let roll = change.roll, step != "restoring" else { return step }
    return "batch \(roll.batches): \(step)"
  }

  private func check(_ state: Maze) {
    var both = Both(maze: state)
    both.upgrade(.asked("upgrade", isForReload: false))
    for _ in 0..<300 where !both.isReplaced && both.broken == nil { both.goOn() }
    #expect(both.broken == nil, "in \(state.core.phase)")
    #expect(both.isReplaced && both.waited, "in \(state.core.phase), and then \(both.maze.core.phase)")
    // The roll came to its end before, with its verdict, and nothing was begun.
    #expect(both.maze.witness.open.isEmpty && both.maze.core.unrest == nil && both.maze.core.paused == "upgrade")
  }
}
