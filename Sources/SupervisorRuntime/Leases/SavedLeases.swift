package import JSON
package import Leases
package import Settings
import Supervision
import Vocabulary

/// What of the leases outlives a program image: who asks, where, what is held, and what is waited for.
package struct SavedLeases: Hashable, Sendable {
  package var owner: String
  package var settings: Settings.Leases
  package var grants: [Grant]
  package var waits: [Wait]

  package init(owner: String, settings: Settings.Leases, grants: [Grant], waits: [Wait] = []) {
    self.owner = owner
    self.settings = settings
    self.grants = grants
    self.waits = waits
  }
}

extension SavedLeases: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let grants: [GrantState] = try fields.required("grants")
    self.init(
      owner: try fields.required("owner"), settings: try fields.required("settings"), grants: grants.map(\.grant),
      waits: try fields.optional("waits") ?? [])
  }

  package var json: JSON {
    .record([
      "owner": owner.json, "settings": settings.json, "grants": grants.map { GrantState(grant: $0) }.json,
      "waits": waits.isEmpty ? JSON?.none : waits.json,
    ])
  }
}

extension Wait: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let since: Int64 = try fields.required("since")
    self.init(
      lease: try fields.required("lease"), since: BootInstant(nanoseconds: since),
      isTold: try fields.required("isTold"))
  }

  package var json: JSON { ["lease": lease.json, "since": .integer(since.nanoseconds), "isTold": isTold.json] }
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
