import Vocabulary

@testable import Supervision

/// The names and plans that the tests speak of.
enum Names {
  static let web = EngineName(unchecked: "web")
  static let robots = EngineName(unchecked: "robots")
  static let store = EngineName(unchecked: "store")
  static let cache = EngineName(unchecked: "cache")
  static let lease = LeaseName(unchecked: "robots")
  static let http = SocketName(unchecked: "http")
  static let admin = SocketName(unchecked: "admin")
}

extension SocketPlan {
  static let http = SocketPlan(name: Names.http, key: SocketKey("tcp:0.0.0.0:80"), steering: .program)
  static let admin = SocketPlan(name: Names.admin, key: SocketKey("tcp:127.0.0.1:81"), steering: .program)
}

extension ListenerID {
  static func http(_ number: UInt64) -> ListenerID { ListenerID(key: SocketPlan.http.key, number: number) }
  static func admin(_ number: UInt64) -> ListenerID { ListenerID(key: SocketPlan.admin.key, number: number) }
}

extension EnginePlan {
  static func web(
    workers: Int = 1, sockets: [SocketName] = [Names.http], restart: RestartPolicy = RestartPolicy(),
    liveness: LivenessPlan? = nil, readiness: ReadinessPlan = .told, passes: Int = 1, recycling: RecyclingPlan? = nil
  ) -> EnginePlan {
    EnginePlan(
      name: Names.web, workers: workers, sockets: sockets, readiness: readiness, liveness: liveness, restart: restart,
      proof: sockets.first.map { ProofPlan(socket: $0, passes: passes) }, recycling: recycling)
  }

  static func robots(
    after: [EngineName] = [Names.web], asksPending: Bool = false, saves: Bool = false, recycling: RecyclingPlan? = nil,
    restart: RestartPolicy = RestartPolicy(), lease: LeaseName? = nil, isWarm: Bool = false
  ) -> EnginePlan {
    EnginePlan(
      name: Names.robots, workers: 1, after: after, restart: restart, handover: .exclusive, asksPending: asksPending,
      saves: saves, recycling: recycling, lease: lease, isWarm: isWarm)
  }

  static let leasedWarm = EnginePlan(
    name: Names.cache, workers: 1, lease: LeaseName(unchecked: "warm"), isWarm: true)

  static let store = EnginePlan(name: Names.store, workers: 1, stage: .database)
  static let cache = EnginePlan(name: Names.cache, workers: 1, stage: .redis)
}

extension ShutdownPlan {
  static let sample = ShutdownPlan(
    timeout: .seconds(30),
    slices: [.intake: .seconds(2), .engines: .seconds(22), .database: .seconds(3), .redis: .seconds(3)])
}

extension GenerationPlan {
  /// Numbered anew for the generation that asks for it.
  func numbered(_ id: GenerationID) -> GenerationPlan {
    GenerationPlan(
      id: id, release: release, engines: engines, sockets: sockets, trial: trial, maxDraining: maxDraining,
      maxDrainTime: maxDrainTime, shutdown: shutdown)
  }

  static func of(
    _ engines: [EnginePlan], sockets: [SocketPlan] = [.http], trial: TrialPlan? = nil, maxDraining: Int = 2,
    maxDrainTime: Duration = .seconds(60), shutdown: ShutdownPlan = .sample
  ) -> GenerationPlan {
    GenerationPlan(
      id: GenerationID(0), release: ReleaseID("-"), engines: engines, sockets: sockets, trial: trial,
      maxDraining: maxDraining, maxDrainTime: maxDrainTime, shutdown: shutdown)
  }
}

extension GenerationID: ExpressibleByIntegerLiteral {
  package init(integerLiteral value: UInt64) { self.init(value) }
}

extension OperationID: ExpressibleByStringLiteral {
  package init(stringLiteral value: String) { self.init(value) }
}

extension SteeringGroup {
  /// Two listeners that came back, nobody's yet.
  static func recovered(serving: ListenerID) -> SteeringGroup {
    let members = [ListenerID.http(1), .http(2)]
    guard
      let group = SteeringGroup(
        kind: .program, members: members, rule: .everyone(serving), idle: Set(members), permanent: [],
        unserved: Set(members).subtracting([serving]), isInForce: true)
    else { return SteeringGroup(kind: .program, first: serving) }
    return group
  }
}
