import Vocabulary

@testable import Deployment

/// A host with one service, as far as an operation can change it, and the process that works on the operation. Steps are
/// taken apart where a kill leaves something between.
struct World: Hashable {
  enum Side: Hashable { case none, old, new }
  enum Tree: Hashable { case absent, partial, complete }

  let kind: Kind
  var machine: Deploy?
  /// What the machine waits for an answer to.
  var owed: DeployAction?
  /// On the disk.
  private(set) var log: [Entry] = []
  /// Of all its records: cheaper than to look at each.
  private var logHash = 0
  /// A record whose writing failed: on the disk or not, until another takes its place.
  var unsure: Entry?
  var current: Side
  var running: Side
  var tree: Tree
  var isBooting = false
  var finished: Outcome?
  /// Outcomes of all processes that came to an end.
  var budget: Budget
  var breach: String?

  struct Kind: Hashable {
    var intent: Intent
    var name: String
    /// The release lies there already: a rollback's.
    var isThere = false
    var isFirst = false
  }

  struct Budget: Hashable {
    var faults: Int
    var crashes: Int
    var wishes: Int
  }

  static let old = ReleaseID("old")
  static let new = ReleaseID("new")

  init(_ kind: Kind, _ budget: Budget) {
    self.kind = kind
    self.budget = budget
    current = kind.isFirst ? .none : .old
    running = current
    tree = kind.isThere ? .complete : .absent
    var machine = Deploy(kind.intent)
    let actions = machine.handle(.begin, at: .zero)
    self.machine = machine
    take(actions)
  }

  mutating func append(_ entry: Entry) {
    log.append(entry)
    var hasher = Hasher()
    hasher.combine(logHash)
    hasher.combine(entry)
    logHash = hasher.finalize()
  }

  /// Cheap: worlds that differ in nothing of this are few.
  func hash(into hasher: inout Hasher) {
    hasher.combine(logHash)
    hasher.combine(machine?.state)
    hasher.combine(current)
    hasher.combine(running)
    hasher.combine(tree)
    hasher.combine(isBooting)
    hasher.combine(unsure == nil)
    hasher.combine(budget.faults * 100 + budget.crashes * 10 + budget.wishes)
  }

  /// What recovery finds, whatever led there.
  struct Remains: Hashable {
    let log: Int
    let current: Side
    let running: Side
    let tree: Tree
    let isBooting: Bool
  }

  var remains: Remains {
    Remains(log: logHash, current: current, running: running, tree: tree, isBooting: isBooting)
  }

  var base: Side { kind.isFirst ? .none : .old }

  // MARK: What the machine says

  mutating func tell(_ event: DeployEvent) {
    guard var machine else { return }
    let actions = machine.handle(event, at: .zero)
    self.machine = machine
    take(actions)
  }

  mutating func take(_ actions: [DeployAction]) {
    for action in actions {
      switch action {
      case .announce, .interrupt: break
      case .finish(let outcome):
        if finished != nil { fail("it finished twice") }
        finished = outcome
        judge(outcome)
      case .record(let entry): owe(.record(entry))
      case .run(let step):
        if log.last != .intends(step) { fail("\(step) runs, and that is not the last record") }
        if finished != nil { fail("\(step) runs after the end") }
        if machine?.isBooting == true, step == .bake { fail("a bake before the units are there") }
        owe(.run(step))
      case .undo(let step):
        if log.contains(where: { if case .did(.markGood, _) = $0 { true } else { false } }), !hasTurned {
          fail("\(step) is undone though the release is good")
        }
        if step == .fetch, current == .new || running == .new { fail("the release is taken from under the service") }
        owe(.undo(step))
      case .restore: owe(.restore)
      }
    }
  }

  private var hasTurned: Bool {
    log.contains { if case .turned = $0 { true } else { false } } || machine?.turn != nil
  }

  private mutating func owe(_ action: DeployAction) {
    if owed != nil { fail("two things are asked for at once") }
    owed = action
  }

  mutating func fail(_ text: String) { if breach == nil { breach = text } }

  // MARK: What must hold

  /// At every instant.
  mutating func check() {
    if current == .new, tree != .complete { fail("`current` names a release that is not whole") }
    if running == .new, tree != .complete { fail("a release runs that is not whole") }
    if !kind.isFirst, current == .none { fail("`current` names nothing") }
    if let summary, summary.verdicts.contains(where: { $0.release == Self.old && $0.verdict == .bad }),
      kind.intent.kind == .deploy
    {
      fail("a deploy says that the last good release is bad")
    }
  }

  var summary: OperationSummary? { OperationSummary(log.map { (RecordTime(wall: 0), $0) }) }

  /// At the end of a process that came to an end.
  private mutating func judge(_ outcome: Outcome) {
    let verdict = summary?.verdicts.first { $0.release == Self.new }?.verdict ?? .new
    switch outcome {
    case .good, .baking:
      if current != .new { fail("\(outcome), and `current` does not name it") }
      if running != .new, !isBooting { fail("\(outcome), and it does not run") }
      if !log.contains(where: { if case .did(.healthCheck, _) = $0 { true } else { false } }) {
        fail("\(outcome), and its health was never checked")
      }
      if outcome == .good, verdict != .good { fail("good, and no record says so") }
      if outcome == .baking, verdict == .good { fail("marked good before its bake") }
    case .refused, .busy, .failed, .aborted:
      if current != base { fail("\(outcome), and `current` does not name the old release") }
      if running != base, !isBooting { fail("\(outcome), and the old release does not run") }
      if verdict == .good { fail("\(outcome), and the release is marked good") }
      if outcome == .refused, tree == .partial { fail("refused, and something was begun") }
    case .stuck:
      if verdict == .good { fail("stuck, and the release is marked good") }
    }
  }
}
