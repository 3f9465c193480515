package import JSON
package import Leases
package import Settings
import Supervision
import Vocabulary

/// What of the leases outlives a program image: who asks, where, and what is held.
package struct SavedLeases: Hashable, Sendable {
  package var owner: String
  package var settings: Settings.Leases
  package var grants: [Grant]

  package init(owner: String, settings: Settings.Leases, grants: [Grant]) {
    self.owner = owner
    self.settings = settings
    self.grants = grants
  }
}

extension SavedLeases: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let grants: [GrantState] = try fields.required("grants")
    self.init(
      owner: try fields.required("owner"), settings: try fields.required("settings"), grants: grants.map(\.grant))
  }

  package var json: JSON {
    ["owner": owner.json, "settings": settings.json, "grants": grants.map { GrantState(grant: $0) }.json]
  }
}

private struct GrantState: JSONValue {
  let grant: Grant

  init(grant: Grant) { self.grant = grant }

  init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let until: Int64 = try fields.required("provenUntil")
    grant = Grant(
      lease: try fields.required("lease"), token: LeaseToken(try fields.wide("token")),
      provenUntil: BootInstant(nanoseconds: until))
  }

  var json: JSON {
    [
      "lease": grant.lease.json, "token": .wide(grant.token.number),
      "provenUntil": .integer(grant.provenUntil.nanoseconds),
    ]
  }
}

/// How the supervisor's core stands to a lease.
struct StandingState: JSONValue {
  let name: LeaseName
  let standing: LeaseStanding

  init(name: LeaseName, standing: LeaseStanding) {
    self.name = name
    self.standing = standing
  }

  init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    name = try fields.required("lease")
    standing = LeaseStanding(isWanted: try fields.required("isWanted"), state: try fields.word("state"))
  }

  var json: JSON {
    ["lease": name.json, "isWanted": standing.isWanted.json, "state": .string(standing.state.rawValue)]
  }
}
