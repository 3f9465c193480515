package import Deployment
package import JSON
package import Vocabulary

/// One line of `deploys/OPERATION/output.log`: what those who follow an operation see, as JSON. For people and
/// programs that watch; recovery reads the step log alone.
package struct OperationNews: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable, CaseIterable, JSONWord {
    /// A step began, is done, and so on.
    case step
    case note, warning, output, progress
    /// The last one.
    case outcome
  }

  /// What became of a step.
  package enum Phase: String, Hashable, Sendable, CaseIterable, JSONWord {
    case began, done, failed, undoing, undone
    case notUndone = "not-undone"
    case restoring
    case leftOut = "left-out"
    case abortWaits = "abort-waits"
    case abortTooLate = "abort-too-late"
  }

  /// Microseconds since 1970.
  package var at: Int64
  package var kind: Kind
  package var step: Step?
  package var phase: Phase?
  package var text: String?
  package var took: Duration?
  package var done: Int64?
  package var total: Int64?
  package var verdict: OperationVerdict?

  package init(_ kind: Kind, at: Int64, step: Step? = nil, text: String? = nil) {
    self.at = at
    self.kind = kind
    self.step = step
    self.text = text
  }
}

/// How an operation ended, as it is told.
package struct OperationVerdict: Hashable, Sendable, JSONValue {
  package var operation: OperationID
  package var outcome: Outcome
  package var exitStatus: Int
  package var release: ReleaseID?
  package var previous: ReleaseID?
  package var commit: String?
  package var step: Step?
  package var what: String
  package var holds: String
  package var next: String?
  /// Of the program that failed.
  package var lines: [String] = []
  /// The unit's latest words in the journal.
  package var journal: [String] = []
  package var took: Duration = .zero

  package init(_ outcome: OperationOutcome) {
    operation = outcome.operation
    self.outcome = outcome.outcome
    exitStatus = Int(outcome.exitStatus)
    release = outcome.facts.release
    previous = outcome.facts.previous
    commit = outcome.facts.commit
    step = outcome.step
    holds = outcome.holds
    next = outcome.next
    lines = outcome.failure?.lines ?? []
    what = outcome.what ?? outcome.holds
  }

  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    operation = try fields.required("operation")
    outcome = try fields.required("outcome")
    exitStatus = try fields.required("exitCode")
    release = try fields.optional("release")
    previous = try fields.optional("previous")
    commit = try fields.optional("commit")
    step = try fields.optional("step")
    what = try fields.required("what")
    holds = try fields.required("holds")
    next = try fields.optional("next")
    lines = try fields.optional("lastLines") ?? []
    journal = try fields.optional("journal") ?? []
    took = try fields.optional("tookMs") ?? .zero
  }

  package var json: JSON {
    var members: JSON.Members = ["operation": operation.json, "outcome": outcome.json, "exitCode": exitStatus.json]
    members.append("release", release)
    members.append("previous", previous)
    members.append("commit", commit)
    members.append("step", step)
    members.append("what", what)
    members.append("holds", holds)
    members.append("next", next)
    members.append("lastLines", lines)
    members.append("journal", journal)
    members.append("tookMs", took)
    return .object(members)
  }
}

extension OperationNews {
  package init(_ announcement: Announcement, at: Int64) {
    self.init(.step, at: at)
    switch announcement {
    case .began(let step): (phase, self.step) = (.began, step)
    case .done(let step, let took): (phase, self.step, self.took) = (.done, step, took)
    case .turning(let step, let failure): (phase, self.step, text) = (.failed, step, failure.what)
    case .undoing(let step): (phase, self.step) = (.undoing, step)
    case .undone(let step): (phase, self.step) = (.undone, step)
    case .couldNotUndo(let step, let failure): (phase, self.step, text) = (.notUndone, step, failure.what)
    case .restoring: phase = .restoring
    case .leftOut(let step, let failure): (phase, self.step, text) = (.leftOut, step, failure.what)
    case .abortWaits(let step): (phase, self.step) = (.abortWaits, step)
    case .abortTooLate: phase = .abortTooLate
    }
  }
}

extension OperationOutcome {
  /// An operation that came to nothing before its first step.
  package init(_ operation: OperationID, refusedBy failure: StepFailure) {
    self.init(
      operation: operation, outcome: failure.kind == .busy ? .busy : .refused, facts: OperationFacts(),
      failure: failure, residue: [:])
  }
}

extension OperationNews: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      try fields.required("kind"), at: try fields.required("atUsec"), step: try fields.optional("step"),
      text: try fields.optional("text"))
    phase = try fields.optional("phase")
    took = try fields.optional("tookMs")
    done = try fields.optional("done")
    total = try fields.optional("total")
    verdict = try fields.optional("verdict")
  }

  package var json: JSON {
    var members: JSON.Members = ["atUsec": at.json, "kind": kind.json]
    members.append("step", step)
    members.append("phase", phase)
    members.append("text", text)
    members.append("tookMs", took)
    members.append("done", done)
    members.append("total", total)
    members.append("verdict", verdict)
    return .object(members)
  }
}
