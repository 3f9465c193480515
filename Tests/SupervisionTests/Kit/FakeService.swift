import Vocabulary

@testable import Supervision

/// A service whose settings change from generation to generation, as a seed will have it.
struct FakeService {
  static let names = [Names.web, Names.robots, Names.store, Names.cache]

  private let readiness: [EngineName: ReadinessPlan]
  private let sockets: [SocketPlan]
  private let trialShares: [Share]
  /// Workers come in batches instead.
  private let batch: Int?
  /// The first listener comes from systemd.
  let hasSocketUnit: Bool

  init(random: inout SplitMix64) {
    var readiness: [EngineName: ReadinessPlan] = [:]
    for name in Self.names { readiness[name] = random.pick([.told, .told, .asked, .after(.milliseconds(300))]) }
    self.readiness = readiness
    var sockets = [SocketPlan.http]
    if random.chance(60) { sockets.append(.admin) }
    if random.chance(30) {
      sockets.append(
        SocketPlan(name: SocketName(unchecked: "metrics"), key: SocketKey("udp:0.0.0.0:53"), steering: .constant))
    }
    if random.chance(30) {
      sockets.append(
        SocketPlan(name: SocketName(unchecked: "local"), key: SocketKey("/run/local.sock"), steering: .rename))
    }
    if random.chance(20) {
      sockets.append(
        SocketPlan(name: SocketName(unchecked: "shared"), key: SocketKey("tcp:10.0.0.1:80"), steering: .shared))
    }
    self.sockets = sockets
    batch = random.pick([nil, nil, nil, 1, 2])
    trialShares = random.pick([[], [], [500], [100, 2_500], [100, 500, 10_000]]).map { Share(clamping: $0) }
    hasSocketUnit = random.chance(20)
  }

  func saysReady(_ name: EngineName) -> Bool { readiness[name] == .told }

  func plan(_ id: GenerationID, random: inout SplitMix64) -> GenerationPlan {
    let sockets = sockets.filter { _ in random.chance(85) }
    let names = sockets.map(\.name)
    var engines = [web(names, random: &random)]
    if random.chance(70) { engines.append(robots(names, random: &random)) }
    if random.chance(50) { engines.append(other(Names.store, .database, random: &random)) }
    if random.chance(30) { engines.append(other(Names.cache, .redis, random: &random)) }
    return GenerationPlan(
      id: id, release: ReleaseID("-"), engines: engines, sockets: sockets,
      trial: trial(&random),
      maxDraining: 1 + Int(random.below(2)), maxDrainTime: random.duration(.seconds(2), .seconds(40)),
      shutdown: ShutdownPlan(
        timeout: .seconds(30),
        slices: [.intake: .seconds(2), .engines: .seconds(22), .database: .seconds(3), .redis: .seconds(3)],
        commands: [.database: Int(random.below(3)), .redis: Int(random.below(2))]))
  }

  private func trial(_ random: inout SplitMix64) -> TrialPlan? {
    let duration = random.duration(.zero, .seconds(4))
    let isChecked = random.chance(50)
    if let batch { return TrialPlan(batch: batch, duration: duration, isChecked: isChecked) }
    return trialShares.isEmpty ? nil : TrialPlan(shares: trialShares, duration: duration, isChecked: isChecked)
  }

  private func web(_ sockets: [SocketName], random: inout SplitMix64) -> EnginePlan {
    EnginePlan(
      name: Names.web, workers: 1 + Int(random.below(3)), sockets: sockets, readiness: readiness[Names.web] ?? .told,
      startTimeout: .seconds(5), stopTimeout: random.duration(.seconds(1), .seconds(25)),
      liveness: random.pick([nil, .told(every: .seconds(2)), .asked(every: .seconds(2), failures: 2)]),
      restart: RestartPolicy(giveUpAfter: 4),
      proof: sockets.first.map { ProofPlan(socket: $0, passes: 1 + Int(random.below(3))) },
      recycling: random.pick([nil, RecyclingPlan(memory: ByteCount(5), requests: 10)]))
  }

  private func robots(_ sockets: [SocketName], random: inout SplitMix64) -> EnginePlan {
    EnginePlan(
      name: Names.robots, workers: 1 + Int(random.below(2)),
      sockets: random.chance(30) ? Array(sockets.suffix(1)) : [], after: random.chance(60) ? [Names.web] : [],
      readiness: readiness[Names.robots] ?? .told, startTimeout: .seconds(5), stopTimeout: .seconds(10),
      restart: RestartPolicy(giveUpAfter: 3), handover: random.chance(80) ? .exclusive : .overlap,
      asksPending: random.chance(50), saves: random.chance(50),
      recycling: random.pick([nil, RecyclingPlan(requests: 10)]),
      lease: random.pick([nil, Names.lease, Names.lease, LeaseName(unchecked: "other")]), isWarm: random.chance(50))
  }

  private func other(_ name: EngineName, _ stage: Stage, random: inout SplitMix64) -> EnginePlan {
    EnginePlan(
      name: name, workers: 1, readiness: readiness[name] ?? .told, startTimeout: .seconds(5),
      stopTimeout: .seconds(10), handover: random.chance(50) ? .exclusive : .overlap, stage: stage)
  }
}

extension SplitMix64 {
  mutating func below(_ bound: UInt64) -> UInt64 { next() % max(1, bound) }
  mutating func chance(_ percent: UInt64) -> Bool { below(100) < percent }
  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[Int(below(UInt64(elements.count)))] }

  mutating func duration(_ least: Duration, _ most: Duration) -> Duration {
    .nanoseconds(least.nanoseconds + Int64(below(UInt64((most - least).nanoseconds + 1))))
  }
}

extension Supervisor.Phase {
  /// With the step inside, without its data.
  var name: String {
    switch self {
    case .new: "new"
    case .steady: "steady"
    case .ended: "ended"
    case .changing(let change): "\(change.kind.rawValue): \(change.step.name)"
    case .stopping(let shutdown): "\(shutdown.stage.rawValue): \(shutdown.step.name)"
    }
  }
}

extension Change.Step {
  var name: String {
    switch self {
    case .loading: "loading"
    case .ending: "ending"
    case .opening: "opening"
    case .starting: "starting"
    case .proving: "proving"
    case .holding: "holding"
    case .trial: "trial"
    case .swapping(_, .quietingOld): "swapping, quietingOld"
    case .swapping(_, let swap): "swapping, \(swap)"
    case .restoring: "restoring"
    }
  }
}

extension Shutdown.Step {
  var name: String {
    switch self {
    case .quieting: "quieting"
    case .ending: "ending"
    case .clearing: "clearing"
    case .running: "running"
    case .closing: "closing"
    }
  }
}
