package import JSON
package import Vocabulary

/// How a long act ended, for the one who asked: what failed, what holds now, what to do next.
package struct VerdictReport: Hashable, Sendable {
  package var operation: OperationID
  package var act: Act
  package var outcome: Outcome
  /// What was done, or what failed and why; one line.
  package var what: String
  /// Which generation serves now; one line.
  package var holds: String
  /// What a person can do next; nil when nothing has to be done.
  package var next: String?
  /// The last lines of the worker that failed, oldest first; at most ``maximumLines`` of ``maximumLineBytes`` each.
  package var lastLines: [String]
  package var took: Duration
  /// The generation the act was about.
  package var generation: GenerationID?
  package var release: ReleaseID?

  package static let maximumLines = 20
  package static let maximumLineBytes = 512

  package enum Act: String, JSONWord, Hashable, Sendable { case start, reload, restart, stop, scale, upgrade }

  package enum Outcome: String, JSONWord, Hashable, Sendable {
    case done
    /// Begun; the caller did not want to wait.
    case accepted
    /// The old state holds.
    case failed
    /// The old state could not be kept.
    case needsPerson
    /// The settings do not parse or contradict themselves; the old state holds.
    case settingsWrong
  }

  package init(
    operation: OperationID, act: Act, outcome: Outcome, what: String, holds: String, next: String? = nil,
    lastLines: [String] = [], took: Duration, generation: GenerationID? = nil, release: ReleaseID? = nil
  ) {
    self.operation = operation
    self.act = act
    self.outcome = outcome
    self.what = what
    self.holds = holds
    self.next = next
    self.lastLines = lastLines.suffix(Self.maximumLines).map(Self.cut)
    self.took = took
    self.generation = generation
    self.release = release
  }

  /// Whether the act ended as asked, or at least began.
  package var succeeded: Bool {
    switch outcome {
    case .done, .accepted: true
    case .failed, .needsPerson, .settingsWrong: false
    }
  }

  private static func cut(_ line: String) -> String {
    guard line.utf8.count > maximumLineBytes else { return line }
    var kept = ""
    for character in line where kept.utf8.count + character.utf8.count <= maximumLineBytes - 3 {
      kept.append(character)
    }
    return kept + "…"
  }
}

extension VerdictReport: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      operation: try fields.required("operation"), act: try fields.required("act"),
      outcome: try fields.required("outcome"), what: try fields.required("what"),
      holds: try fields.required("holds"), next: try fields.optional("next"),
      lastLines: try fields.required("lastLines"), took: try fields.required("tookMs"),
      generation: try fields.optional("generation"), release: try fields.optional("release"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("operation", operation)
    members.append("act", act)
    members.append("outcome", outcome)
    members.append("exitCode", ExitStatus(outcome).code.json)
    members.append("what", what)
    members.append("holds", holds)
    members.append("next", next)
    members.append("lastLines", lastLines)
    members.append("tookMs", took)
    members.append("generation", generation)
    members.append("release", release)
    return .object(members)
  }
}

/// News of an act under way, for a caller that waits.
package struct Progress: Hashable, Sendable, JSONValue {
  package var operation: OperationID
  /// One line: `generation 4: web 2 of 4 ready`.
  package var text: String
  /// The new generation waits for Commit.
  package var held: Held?

  package struct Held: Hashable, Sendable {
    package var generation: GenerationID
    package var release: ReleaseID
    /// How long it waits.
    package var limit: Duration

    package init(generation: GenerationID, release: ReleaseID, limit: Duration) {
      self.generation = generation
      self.release = release
      self.limit = limit
    }
  }

  package init(operation: OperationID, text: String, held: Held? = nil) {
    self.operation = operation
    self.text = text
    self.held = held
  }

  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      operation: try fields.required("operation"), text: try fields.required("text"),
      held: try fields.optional("held"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("operation", operation)
    members.append("text", text)
    members.append("held", held)
    return .object(members)
  }
}

extension Progress.Held: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      generation: try fields.required("generation"), release: try fields.required("release"),
      limit: try fields.required("forMs"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("generation", generation)
    members.append("release", release)
    members.append("forMs", limit)
    return .object(members)
  }
}
