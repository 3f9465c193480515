package import Deployment
package import JSON
internal import Vocabulary

/// One line of a step log.
package struct LogLine: Hashable, Sendable {
  /// From 1, rising.
  package var number: Int
  package var time: RecordTime
  package var entry: Entry

  package var json: JSON {
    var members: JSON.Members = ["n": number.json, "at": time.wall.json]
    if let boot = time.boot {
      members.append("bootId", boot.id)
      members.append("up", boot.instant.nanoseconds / 1_000)
    }
    entry.write(to: &members)
    return .object(members)
  }

  package init(number: Int, time: RecordTime, entry: Entry) {
    self.number = number
    self.time = time
    self.entry = entry
  }

  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    number = try fields.required("n")
    time = RecordTime(wall: try fields.required("at"))
    if let id: String = try fields.optional("bootId"), let up: Int64 = try fields.optional("up"), up >= 0 {
      time.boot = RecordTime.Boot(id: id, instant: .zero + .microseconds(up))
    }
    entry = try Entry(&fields)
  }
}

extension Entry {
  /// The word that tells it apart, in a log and in the call log.
  package var word: String {
    switch self {
    case .began: "began"
    case .intends: "intends"
    case .knows: "knows"
    case .did: "did"
    case .turned: "turned"
    case .undid: "undid"
    case .couldNotUndo: "could-not-undo"
    case .resumed: "resumed"
    case .ended: "ended"
    }
  }

  /// The step it is about.
  package var step: Step? {
    switch self {
    case .intends(let step), .did(let step, _), .undid(let step), .couldNotUndo(let step, _): step
    case .turned(let step, _, _): step
    case .began, .knows, .resumed, .ended: nil
    }
  }

  fileprivate func write(to members: inout JSON.Members) {
    members.append("entry", word)
    members.append("step", step)
    switch self {
    case .began(let intent): members.append("intent", intent)
    case .intends, .undid: break
    case .knows(let facts), .did(_, let facts): members.append("facts", facts)
    case .turned(_, let failure, let facts):
      members.append("failure", failure)
      members.append("facts", facts)
    case .couldNotUndo(_, let failure): members.append("failure", failure)
    case .resumed(let atBoot): members.append("boot", atBoot)
    case .ended(let outcome): members.append("outcome", outcome)
    }
  }

  fileprivate init(_ fields: inout Fields) throws(ShapeError) {
    let word: String = try fields.required("entry")
    switch word {
    case "began": self = .began(try fields.required("intent"))
    case "intends": self = .intends(try fields.required("step"))
    case "knows": self = .knows(try fields.required("facts"))
    case "did": self = .did(try fields.required("step"), try fields.required("facts"))
    case "turned":
      self = .turned(try fields.optional("step"), try fields.required("failure"), try fields.required("facts"))
    case "undid": self = .undid(try fields.required("step"))
    case "could-not-undo": self = .couldNotUndo(try fields.required("step"), try fields.required("failure"))
    case "resumed": self = .resumed(atBoot: try fields.required("boot"))
    case "ended": self = .ended(try fields.required("outcome"))
    default: throw ShapeError(field: "entry", problem: "\"\(word)\" is not known")
    }
  }
}

extension Step: JSONWord {}
extension Outcome: JSONWord {}
extension StepFailure.Kind: JSONWord {}
extension Intent.Kind: JSONWord {}
extension ReleaseVerdict: JSONWord {}

extension StepFailure.Kind: CaseIterable {
  package static var allCases: [Self] { [.refused, .failed, .aborted, .busy, .stuck] }
}

extension StepFailure: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      try fields.required("kind"), try fields.required("what"), next: try fields.optional("next"),
      lines: try fields.optional("lines") ?? [])
  }

  package var json: JSON {
    var members: JSON.Members = ["kind": kind.json, "what": .string(what)]
    members.append("next", next)
    if !lines.isEmpty { members.append("lines", lines) }
    return .object(members)
  }
}

extension Intent: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(operation: try fields.required("operation"), kind: try fields.required("kind"))
    isQuick = try fields.optional("quick") ?? false
    noRollback = try fields.optional("noRollback") ?? false
    detachesBake = try fields.optional("detachBake") ?? false
    isSteered = try fields.optional("steered") ?? false
    target = try fields.optional("target")
    who = try fields.optional("who") ?? ""
  }

  package var json: JSON {
    var members: JSON.Members = ["operation": operation.json, "kind": kind.json]
    if isQuick { members.append("quick", true) }
    if noRollback { members.append("noRollback", true) }
    if detachesBake { members.append("detachBake", true) }
    if isSteered { members.append("steered", true) }
    members.append("target", target)
    members.append("who", who)
    return .object(members)
  }
}

extension OperationFacts: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init()
    release = try fields.optional("release")
    previous = try fields.optional("previous")
    commit = try fields.optional("commit")
    backup = try fields.optional("backup")
    migrations = try fields.optional("migrations") ?? []
    generation = try fields.optional("generation")
    isExposed = try fields.optional("exposed") ?? false
    sequence = try fields.optional("sequence") ?? 0
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("release", release)
    members.append("previous", previous)
    members.append("commit", commit)
    members.append("backup", backup)
    if !migrations.isEmpty { members.append("migrations", migrations) }
    members.append("generation", generation)
    if isExposed { members.append("exposed", true) }
    if sequence > 0 { members.append("sequence", sequence) }
    return .object(members)
  }
}
