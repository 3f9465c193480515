import ControlProtocol
import JSON
import Vocabulary

/// Reports as a service in the middle of its life would give them; used by tests of both ends and of the commands.
enum Sample {
  /// Saturday 2026-11-21 12:00:00 UTC.
  static let now = WallTime(microseconds: 1_795_262_400_000_000)
  static func ago(_ seconds: Int64) -> WallTime { WallTime(microseconds: now.microseconds - seconds * 1_000_000) }

  static func worker(
    _ label: String, pid: Int?, generation: UInt64, state: StatusReport.WorkerState = .ready, since: Int64,
    restarts: Int = 0, memory: UInt64? = 48 << 20, status: String? = nil, lastExit: String? = nil
  ) -> StatusReport.Worker {
    StatusReport.Worker(
      label: label, pid: pid, generation: GenerationID(generation), state: state, since: ago(since),
      restarts: restarts, memory: memory.map(ByteCount.init), status: status, lastExit: lastExit)
  }

  static func engine(
    _ name: String, state: StatusReport.EngineState = .ready, wanted: Int, ready: Int, sockets: [String] = [],
    handover: StatusReport.HandoverKind = .overlap, workers: [StatusReport.Worker]
  ) -> StatusReport.Engine {
    StatusReport.Engine(
      name: EngineName(unchecked: name), state: state, wanted: wanted, ready: ready,
      sockets: sockets.map(SocketName.init(unchecked:)), handover: handover, stage: .engines, workers: workers)
  }

  /// Three engines, all well.
  static let serving = StatusReport(
    service: ServiceName(unchecked: "hotgo"), description: "HotGo trading system", state: .serving,
    text: "serving generation 12 of release 2026-11-20.3", since: ago(5_400),
    supervisor: .init(
      pid: 812, version: "0.1.0", uptime: .seconds(3 * 86_400 + 7_200), rss: ByteCount(6_500_000), steering: true),
    serving: GenerationID(12), release: ReleaseID("2026-11-20.3"),
    engines: [
      engine(
        "web", wanted: 4, ready: 4, sockets: ["http"],
        workers: (1...4).map {
          worker("web.\($0)", pid: 4_000 + $0, generation: 12, since: 5_390, status: $0 == 1 ? "41 clients" : nil)
        }),
      engine(
        "robots", wanted: 1, ready: 1, handover: .exclusive,
        workers: [worker("robots.1", pid: 4_100, generation: 12, since: 600, restarts: 2, lastExit: "SIGSEGV")]),
      engine(
        "feed", wanted: 1, ready: 1, sockets: ["quotes"],
        workers: [worker("feed.1", pid: 4_200, generation: 12, since: 5_380)]),
    ],
    sockets: [
      .init(
        name: SocketName(unchecked: "http"), address: "0.0.0.0:8000",
        listeners: [.init(generation: GenerationID(12), queue: 0, steered: true)]),
      .init(
        name: SocketName(unchecked: "quotes"), address: "/run/hotgo/quotes.sock",
        listeners: [.init(generation: nil, queue: 3, steered: false)]),
    ],
    handover: nil,
    lastHandover: .init(
      operation: OperationID("reload-12"), outcome: .done, reason: "proved by 4 answers of /health",
      from: GenerationID(11), to: GenerationID(12), took: .milliseconds(1_250), ended: ago(5_400)),
    draining: [], warnings: [])

  /// A handover under way after one that was refused, an engine with a worker that crashes, text that is hostile.
  static let troubled: StatusReport = {
    var report = serving
    report.state = .handover
    report.text = "generation 14 is being proved, 12 serves"
    report.engines[0].workers += (1...4).map {
      worker("web.\($0)", pid: 5_000 + $0, generation: 14, state: $0 == 4 ? .starting : .ready, since: 3, memory: nil)
    }
    report.engines[1].state = .degraded
    report.engines[1].ready = 0
    report.engines[1].workers = [
      worker(
        "robots.1", pid: nil, generation: 12, state: .waiting, since: 2, restarts: 9, memory: nil,
        status: "\u{1B}[31mred\u{7}\nalert", lastExit: "exit 1")
    ]
    report.sockets[0].listeners.append(.init(generation: GenerationID(14), queue: 0, steered: false))
    report.handover = .init(
      operation: OperationID("reload-14"), phase: .proving, from: GenerationID(12), to: GenerationID(14),
      release: ReleaseID("2026-11-21.1"), since: ago(3))
    report.lastHandover = .init(
      operation: OperationID("reload-13"), outcome: .failed, reason: "web.2 exited with 3 before it was ready",
      from: GenerationID(12), to: GenerationID(13), took: .milliseconds(310), ended: ago(95))
    report.draining = [GenerationID(11)]
    report.drains = [
      .init(
        generation: GenerationID(11), release: ReleaseID("2026-11-19.2"), since: ago(95), until: ago(-3_505),
        workers: 1,
        connections: 12)
    ]
    report.connectionsCut = 0
    report.cutsUncounted = 0
    report.leases = [
      .init(
        name: LeaseName(unchecked: "robots"), state: .waiting, since: ago(12),
        engines: [EngineName(unchecked: "robots")],
        works: false, token: 7, remaining: .seconds(20), holder: "shop@other:4711", holderToken: 9,
        holderRemaining: .seconds(11), holderSeen: ago(3), holderAlive: true, timeToLive: .seconds(30),
        store: "redis://redis:6379/0", storeError: "no answer for 2500 ms")
    ]
    report.liveReleases = ["2026-11-19.2", "2026-11-20.3", "2026-11-21.1"].map { ReleaseID($0) }
    report.warnings = ["socket quotes has no steering: its generations share one listener"]
    return report
  }()

  /// Just started by hand: as little as can be.
  static let starting = StatusReport(
    service: ServiceName(unchecked: "trial"), description: "", state: .starting, text: "starting generation 1",
    since: ago(1), supervisor: .init(pid: 77, version: "0.1.0", uptime: .zero, rss: ByteCount(0), steering: false),
    serving: nil, release: nil, engines: [], sockets: [], handover: nil, lastHandover: nil, draining: [], warnings: [])

  static let refused = VerdictReport(
    operation: OperationID("reload-13"), act: .reload, outcome: .failed,
    what: "generation 13 was refused: web.2 exited with 3 before it was ready",
    holds: "generation 12 of release 2026-11-20.3 serves, untouched",
    next: "read the lines above, mend the release, then: baton reload hotgo",
    lastLines: ["loading configuration", "panic: open /etc/hotgo/key: permission denied"],
    took: .milliseconds(310), generation: GenerationID(13), release: ReleaseID("2026-11-21.1"))

  static let done = VerdictReport(
    operation: OperationID("reload-14"), act: .reload, outcome: .done, what: "generation 14 serves",
    holds: "generation 14 of release 2026-11-21.2 serves", took: .milliseconds(1_250), generation: GenerationID(14),
    release: ReleaseID("2026-11-21.2"))

  static let events = [
    EventReport(
      time: ago(100), kind: "handover-started", service: ServiceName(unchecked: "hotgo"),
      text: "generation 13 of release 2026-11-21.1 starts", generation: GenerationID(13),
      release: ReleaseID("2026-11-21.1"), operation: OperationID("reload-13"), from: "serving", to: "starting",
      reason: "asked by uid 0"),
    EventReport(
      time: ago(96), kind: "worker-exited", service: ServiceName(unchecked: "hotgo"), text: "web.2 ended with exit 3",
      engine: EngineName(unchecked: "web"), worker: "web.2", generation: GenerationID(13), from: "starting",
      to: "exited", reason: "exit 3", pid: 5_002),
    EventReport(
      time: ago(95), kind: "supervisor-started", service: ServiceName(unchecked: "hotgo"), text: "batond 0.1.0 runs"),
  ]
}
