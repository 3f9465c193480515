import ControlProtocol
import JSON

/// Something that will bite: what is so, why it bites, and what a person can do. A stable id for programs.
struct Finding: Hashable {
  enum Severity: String, Hashable, CaseIterable {
    /// A promise of baton does not hold.
    case error
    /// A promise holds less well than it could.
    case warning
    /// Worth knowing.
    case note
  }

  let id: String
  let severity: Severity
  let what: String
  let why: String
  let remedy: String

  var json: JSON {
    var members = JSON.Members()
    members.append("id", id.json)
    members.append("severity", severity.rawValue.json)
    members.append("what", what.json)
    members.append("why", why.json)
    members.append("remedy", remedy.json)
    return .object(members)
  }
}
