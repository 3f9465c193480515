import TestPages
import Testing
import Vocabulary

@testable import Supervision

/// Every event in every state that an upgrade can get into, and its promises on each edge.
@Suite struct Upgrades {
  /// The core with a world around it that pauses, looks and answers.
  struct World: Hashable {
    var core = Upgrading()
    var now = Instant.zero
    var paused: OperationID?
    /// Operations without a verdict.
    var open: Set<OperationID> = []
    var isStopping = false
    /// What was seen last when the core looked.
    var isAtRest = false
    var isChecking = false
    var replaced = false

    /// What the step broke, or nil.
    mutating func go(_ event: Upgrading.Event) -> String? {
      if case .asked(let operation, _) = event { open.insert(operation) }
      if event == .stopping { isStopping = true }
      if case .looked(let unrest) = event { isAtRest = unrest == nil }
      if case .tick = event, let deadline = core.nextDeadline { now = max(now, deadline) }
      if case .checked = event { isChecking = false }
      if case .failed = event { isChecking = false }
      replaced = false
      for action in core.handle(event, at: now) {
        if let broken = follow(action) { return "\(broken), after \(event)" }
      }
      if (core.run == nil) != open.isEmpty { return "\(open) without a verdict in \(core.phase)" }
      if core.run == nil, paused != nil { return "nothing goes on after \(event)" }
      switch core.phase {
      case .recording, .replacing: if paused == nil { return "something else may begin in \(core.phase)" }
      case .none, .settling, .checking: break
      }
      if isStopping, core.run != nil { return "goes on in a stop" }
      if isChecking, core.run == nil { return "asks for nobody" }
      return nil
    }

    private mutating func follow(_ action: Upgrading.Action) -> String? {
      switch action {
      case .pause(let operation):
        if let paused, paused != operation { return "paused for another" }
        paused = operation
      case .resume: paused = nil
      case .look: break
      case .check:
        if !isAtRest { return "the state is not that of a rest" }
        isChecking = true
      case .cancelCheck: isChecking = false
      case .record: if !isAtRest || paused == nil { return "recorded while something is under way" }
      case .replace:
        if !isAtRest || paused == nil || isStopping { return "replaced while something is under way" }
        replaced = true
      case .waits: if isAtRest { return "waits for nothing" }
      case .refuse(let run, _): if open.remove(run.operation) == nil { return "a second verdict" }
      case .busy(let operation, _): if open.remove(operation) == nil { return "a second verdict" }
      }
      return nil
    }
  }

  private static func events(_ world: World) -> [Upgrading.Event] {
    let more: [Upgrading.Event] =
      world.open.count < 2
      ? [
        .asked(OperationID(world.open.contains("a") ? "b" : "a"), isForReload: false),
        .asked(OperationID(world.open.contains("r") ? "s" : "r"), isForReload: true),
      ] : []
    return more + [
      .looked(nil), .looked("a handover"), .looked("a deploy"), .checked(failure: nil), .checked(failure: "no"),
      .recorded, .failed("ENOMEM"), .stopping, .tick,
    ]
  }

  @Test func everyEventInEveryState() { _ = Self.walk() }

  static func walk() -> StateTable {
    var table = StateTable()
    var queue = [World()]
    var seen = Set(queue)
    var edges = 0
    while let world = queue.popLast() {
      for event in events(world) {
        edges += 1
        var after = world
        if let broken = after.go(event) {
          Issue.record("\(broken)\nin \(world.core.phase)")
          return table
        }
        table.saw(world.core.phase.name, event.name, after.core.phase.name)
        guard after.now < .zero + .milliseconds(50), seen.insert(after).inserted else { continue }
        queue.append(after)
      }
    }
    print("upgrade: \(seen.count) states, \(edges) edges")
    #expect(seen.count > 50)
    return table
  }

  @Test func whatIsUnderWayIsWaitedForAndToldOnce() {
    var core = Upgrading()
    #expect(core.handle(.asked("a", isForReload: false), at: .zero) == [.pause("a"), .look])
    #expect(core.handle(.looked("a handover"), at: .zero) == [.waits(for: "a handover")])
    let later = Instant.zero + Upgrading.interval
    #expect(core.nextDeadline == later)
    #expect(core.handle(.tick, at: later) == [.look])
    #expect(core.handle(.looked("a handover"), at: later).isEmpty)
    #expect(core.handle(.tick, at: later + Upgrading.interval) == [.look])
    #expect(core.handle(.looked(nil), at: later) == [.check, .resume], "others may begin while the other is asked")
  }

  @Test func itIsNotWaitedForEver() {
    var core = Upgrading()
    _ = core.handle(.asked("a", isForReload: true), at: .zero)
    let late = Instant.zero + Upgrading.patience
    #expect(core.handle(.looked("a handover"), at: late) == [.busy("a", with: "a handover"), .resume])
    #expect(core.phase == .none)
  }

  @Test func aReloadThatWaitsForItIsNotLetInBefore() {
    var core = Upgrading()
    _ = core.handle(.asked("a", isForReload: true), at: .zero)
    #expect(core.handle(.looked(nil), at: .zero) == [.check])
    #expect(core.handle(.asked("b", isForReload: false), at: .zero) == [.busy("b", with: "a")])
    #expect(core.handle(.checked(failure: nil), at: .zero) == [.pause("a"), .look])
    #expect(core.handle(.looked(nil), at: .zero) == [.record])
    #expect(core.handle(.recorded, at: .zero) == [.look])
    #expect(core.handle(.looked(nil), at: .zero) == [.replace])
  }

  @Test func aStopEndsItAndNoneBeginsAfter() {
    var core = Upgrading()
    _ = core.handle(.asked("a", isForReload: false), at: .zero)
    _ = core.handle(.looked(nil), at: .zero)
    let ended = core.handle(.stopping, at: .zero)
    #expect(ended.first == .cancelCheck && ended.last == .resume && ended.count == 3)
    #expect(core.handle(.checked(failure: nil), at: .zero).isEmpty, "late")
    let refused = core.handle(.asked("b", isForReload: false), at: .zero)
    #expect(refused.count == 1 && core.run == nil)
  }
}

extension Upgrading.Phase {
  fileprivate var name: String {
    switch self {
    case .none: "none"
    case .settling(_, let act, _): "settling before \(act.rawValue)"
    case .checking: "checking"
    case .recording: "recording"
    case .replacing: "replacing"
    }
  }
}

extension Upgrading.Event {
  fileprivate var name: String {
    switch self {
    case .asked(_, let isForReload): isForReload ? "asked, for a reload" : "asked"
    case .looked(let unrest): unrest == nil ? "looked: at rest" : "looked: something is under way"
    case .checked(let failure): failure == nil ? "checked: yes" : "checked: no"
    case .recorded: "recorded"
    case .failed: "failed"
    case .stopping: "stop"
    case .tick: "time is up"
    }
  }
}
