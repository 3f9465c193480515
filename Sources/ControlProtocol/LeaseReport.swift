package import JSON
package import Vocabulary

extension StatusReport {
  /// How this host stands to a lease that engines of the service need.
  package struct Lease: Hashable, Sendable {
    package var name: LeaseName
    package var state: LeaseState
    /// When `state` was entered.
    package var since: WallTime
    package var engines: [EngineName]
    /// Whether a worker of them is ready here.
    package var works: Bool
    /// Of this host's grant.
    package var token: Int?
    /// For how long that is proven.
    package var remaining: Duration?
    /// Who has it, where that is another, as far as it is known here.
    package var holder: String?
    package var holderToken: Int?
    /// How long until the store lets that expire, unless it is renewed; and when the store said so last.
    package var holderRemaining: Duration?
    package var holderSeen: WallTime?
    /// Whether it renewed when that was due; nil where nobody knows.
    package var holderAlive: Bool?
    /// How long it lasts.
    package var timeToLive: Duration?
    /// Where it lies.
    package var store: String
    /// Why that could not be asked just now.
    package var storeError: String?

    package init(
      name: LeaseName, state: LeaseState, since: WallTime, engines: [EngineName], works: Bool, token: Int?,
      remaining: Duration?, holder: String?, holderToken: Int?, holderRemaining: Duration? = nil,
      holderSeen: WallTime? = nil, holderAlive: Bool? = nil, timeToLive: Duration? = nil, store: String,
      storeError: String?
    ) {
      self.name = name
      self.state = state
      self.since = since
      self.engines = engines
      self.works = works
      self.token = token
      self.remaining = remaining
      self.holder = holder
      self.holderToken = holderToken
      self.holderRemaining = holderRemaining
      self.holderSeen = holderSeen
      self.holderAlive = holderAlive
      self.timeToLive = timeToLive
      self.store = store
      self.storeError = storeError
    }
  }

  package enum LeaseState: String, JSONWord, Hashable, Sendable {
    case held, waiting
    /// What ran under it is being ended, or it is being given back.
    case ending
  }
}

extension StatusReport.Lease: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      name: try fields.required("name"), state: try fields.required("state"), since: try fields.required("sinceUsec"),
      engines: try fields.required("engines"), works: try fields.required("works"),
      token: try fields.optional("token"), remaining: try fields.optional("remainingMs"),
      holder: try fields.optional("holder"), holderToken: try fields.optional("holderToken"),
      holderRemaining: try fields.optional("holderRemainingMs"), holderSeen: try fields.optional("holderSeenUsec"),
      holderAlive: try fields.optional("holderAlive"), timeToLive: try fields.optional("ttlMs"),
      store: try fields.required("store"), storeError: try fields.optional("storeError"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("name", name)
    members.append("state", state)
    members.append("sinceUsec", since)
    members.append("engines", engines)
    members.append("works", works)
    members.append("token", token)
    members.append("remainingMs", remaining)
    members.append("holder", holder)
    members.append("holderToken", holderToken)
    members.append("holderRemainingMs", holderRemaining)
    members.append("holderSeenUsec", holderSeen)
    members.append("holderAlive", holderAlive)
    members.append("ttlMs", timeToLive)
    members.append("store", store)
    members.append("storeError", storeError)
    return .object(members)
  }
}
