package import Vocabulary

/// What people and the ledger want to know of an operation: its records, added up. The same records give the same
/// summary, whoever adds them.
package struct OperationSummary: Hashable, Sendable {
  package struct StepSummary: Hashable, Sendable {
    package enum State: String, Hashable, Sendable, CaseIterable {
      case running, done, failed, undone
      case notUndone = "not-undone"
    }
    package var step: Step
    /// Microseconds since 1970.
    package var began: Int64 { beganAt.wall }
    package var ended: Int64?
    /// nil while it runs, and where the clock of its beginning is another boot's.
    package var took: Duration?
    package var state: State
    package var what: String?
    fileprivate let beganAt: RecordTime
  }

  package let intent: Intent
  package var started: Int64 { first.wall }
  package private(set) var ended: Int64?
  /// From its first record to its last, those who took it up included.
  package private(set) var took: Duration?
  package private(set) var outcome: Outcome?
  package private(set) var turn: Deploy.Turn?
  package private(set) var facts = OperationFacts()
  package private(set) var steps: [StepSummary] = []
  /// How often another process took it up.
  package private(set) var resumptions = 0
  private var isMarked = false
  private let first: RecordTime

  package var operation: OperationID { intent.operation }

  /// nil without records.
  package init?(_ records: [(at: RecordTime, entry: Entry)]) {
    guard let first = records.first, case .began(let intent) = first.entry else { return nil }
    self.intent = intent
    self.first = first.at
    for record in records.dropFirst() { add(record.entry, record.at) }
  }

  package mutating func add(_ entry: Entry, _ at: RecordTime) {
    switch entry {
    case .began: break
    case .intends(let step):
      (ended, took, outcome) = (nil, nil, nil)
      steps.removeAll { $0.step == step }
      steps.append(StepSummary(step: step, state: .running, beganAt: at))
    case .knows(let facts): self.facts = facts
    case .did(let step, let facts):
      self.facts = facts
      if step == .markGood { isMarked = true }
      set(step, .done, at)
    case .turned(let step, let failure, let facts):
      self.facts = facts
      turn = Deploy.Turn(step: step, failure: failure)
      isMarked = false
      if let step { set(step, .failed, at, failure.what) }
      for index in steps.indices where steps[index].state == .running {
        steps[index].state = .failed
        steps[index].what = failure.what
      }
    case .undid(let step):
      // Going back does not wait for the record that says so.
      isMarked = false
      set(step, .undone, nil)
    case .couldNotUndo(let step, let failure):
      isMarked = false
      set(step, .notUndone, nil, failure.what)
    case .resumed: resumptions += 1
    case .ended(let outcome):
      self.outcome = outcome
      ended = at.wall
      took = at.since(first)
      // What fails after the mark ends the operation without a record of its own.
      for index in steps.indices where steps[index].state == .running { steps[index].state = .failed }
    }
  }

  private mutating func set(_ step: Step, _ state: StepSummary.State, _ at: RecordTime?, _ what: String? = nil) {
    guard let index = steps.firstIndex(where: { $0.step == step }) else { return }
    steps[index].state = state
    if let at {
      steps[index].ended = at.wall
      steps[index].took = at.since(steps[index].beganAt)
    }
    if let what { steps[index].what = what }
  }

  /// What this operation says of releases: the last word on each counts.
  package var verdicts: [(release: ReleaseID, verdict: ReleaseVerdict)] {
    guard let release = facts.release else { return [] }
    if isMarked {
      // Whoever goes back from a release says that it is bad.
      let left = intent.kind == .rollback ? facts.previous : nil
      return [(release, .good)] + (left.map { $0 == release ? [] : [($0, .bad)] } ?? [])
    }
    switch turn?.step {
    case .activate, .healthCheck, .bake:
      // A release that was good once is not bad because going back to it failed today.
      return turn?.failure.kind == .failed && intent.kind == .deploy ? [(release, .bad)] : []
    case .preflight, .lock, .backup, .fetch, .build, .verify, .migrate, .markGood, .prune, nil: return []
    }
  }
}

/// What is known of a release: `new → good | bad`.
package enum ReleaseVerdict: String, Hashable, Sendable, CaseIterable {
  case new, good, bad
}

/// One release, as the ledger has it.
package struct ReleaseRecord: Hashable, Sendable {
  package let id: ReleaseID
  package var verdict: ReleaseVerdict
  /// The operation that said so last; 0: none did.
  package var sequence: Int64
  package var commit: String?
  /// The operation that made it.
  package var operation: OperationID?
  /// Microseconds since 1970, for people: nothing is decided by it.
  package var made: Int64?
  package var who: String?

  package init(
    id: ReleaseID, verdict: ReleaseVerdict = .new, sequence: Int64 = 0, commit: String? = nil,
    operation: OperationID? = nil, made: Int64? = nil, who: String? = nil
  ) {
    self.id = id
    self.verdict = verdict
    self.sequence = sequence
    self.commit = commit
    self.operation = operation
    self.made = made
    self.who = who
  }
}
