import Leases
import LinuxSystem
import Settings
import Supervision
import Vocabulary

@testable import SupervisorRuntime

/// Throws states that contain everything a state can contain, from a seed.
struct StateDice {
  private var random: SplitMix64
  private var nextDescriptor: Int32 = 3

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  // MARK: Plain values

  private mutating func number(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(random.next() % UInt64(range.count))
  }

  private mutating func coin() -> Bool { random.next() & 1 == 0 }
  private mutating func maybe<Value>(_ value: Value) -> Value? { coin() ? value : nil }
  private mutating func one<Value>(of values: [Value]) -> Value { values[number(0...(values.count - 1))] }
  private mutating func time() -> Duration { .nanoseconds(Int64(number(0...1_000_000_000_000))) }
  private mutating func instant() -> Instant { Instant(nanoseconds: Int64(number(0...1_000_000_000_000_000))) }

  private mutating func text() -> String {
    one(of: [
      "", "a", "with \"quotes\" and \\", "ümlaut – 漢字 🦀", "line\nbreak\ttab", String(repeating: "x", count: 300),
    ])
  }

  private mutating func bytes() -> [UInt8] {
    (0..<number(0...40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  private mutating func descriptor() -> Int32 {
    defer { nextDescriptor += 1 }
    return nextDescriptor
  }

  private mutating func texts() -> [String: String] { ["PATH": "/bin", "SECRET": text(), "EMPTY": ""] }
  private mutating func command() -> [String] { ["./main", text()] }

  // MARK: Settings

  private mutating func engine(_ name: String, _ sockets: [SocketName]) -> Settings.Engine {
    let readiness: [Settings.Readiness] = [
      .notify, .http(Settings.URLTemplate("http://127.0.0.1:{port}/")), .tcp("127.0.0.1:{port}"), .exec(command()),
      .after(time()),
    ]
    let watchdogs: [Settings.Watchdog?] = [
      nil, .notify(time()),
      .http(Settings.URLTemplate("unix:/run/x:/"), interval: time(), timeout: time(), failures: 3),
    ]
    let prove = sockets.first.map { [self] socket in
      var dice = self
      return Settings.Prove(
        socket: socket, path: "/health", host: "localhost", passes: 2, status: 204, body: dice.text(),
        timeout: dice.time())
    }
    let lease = name == "robots" ? maybe(Self.lease) : nil
    return Settings.Engine(
      name: EngineName(unchecked: name), command: command(), workers: number(1...3), sockets: sockets, after: [],
      environment: texts(), prove: prove, ready: one(of: readiness), startTimeout: time(), stopTimeout: time(),
      watchdog: one(of: watchdogs),
      restart: Settings.Restart(delay: time(), maxDelay: time(), giveUpAfter: 5, healthyAfter: time()),
      handover: one(of: Settings.HandoverKind.allCases), stage: one(of: Settings.Stage.allCases),
      drain: Settings.Drain(pending: maybe(command()), save: maybe(command())), umask: 0o027,
      limits: ["nofile": Settings.Limit(soft: 1024, hard: .max), "core": Settings.Limit(soft: nil, hard: nil)],
      user: maybe("shop"), group: maybe("shop"),
      bounds: ResourceBounds(
        memory: maybe(ByteCount(1 << 30)), processorPercent: maybe(150), processes: maybe(number(1...500))),
      recycling: Settings.Recycling(
        memory: maybe(ByteCount(1 << 29)), age: maybe(time()), requests: maybe(number(1...5_000))),
      lease: lease, standby: lease == nil ? .cold : one(of: Settings.Standby.allCases))
  }

  private mutating func settings(_ sockets: [Settings.Socket]) -> Settings {
    Settings(
      service: Settings.Service(
        description: text(), user: maybe("shop"), group: maybe("shop"), directory: "/srv/shop", environment: texts()),
      sockets: sockets, engines: [engine("web", sockets.map(\.name)), engine("robots", [])],
      handover: Settings.Handover(
        strategy: .all,
        trial: maybe(
          Settings.Trial(
            shares: [Share(clamping: 500), Share(clamping: 9_900)], batch: maybe(7), duration: time(),
            check: maybe(.exec(["./check"])),
            checkTimeout: time())),
        steering: one(of: Settings.Steering.allCases), maxDraining: 3, maxDrainTime: time(), upgradeOnReload: coin()),
      shutdown: Settings.Shutdown(
        timeout: time(), intake: time(), engines: time(), database: time(), redis: time(),
        databaseCommands: [command()], redisCommands: []), leases: leases())
  }

  private static let lease = LeaseName(unchecked: "robots")

  private mutating func leases() -> Settings.Leases {
    Settings.Leases(
      store: one(of: [.local, .redis("redis://u:p@h"), .postgres("postgres://h/d")]), timeToLive: time(),
      margin: maybe(time()), poll: time())
  }

  private mutating func socket(_ name: String, _ address: String) throws -> Settings.Socket {
    Settings.Socket(
      name: SocketName(unchecked: name), address: try SocketAddress(text: address), backlog: 4096, nonblocking: coin(),
      mode: 0o660, owner: maybe("shop"), group: maybe("www"))
  }

  // MARK: The core

  private mutating func fault() -> WorkerFault {
    one(of: [
      .exited(.exited(3)), .exited(.signalled(9)), .exited(.outOfMemory(isSure: coin())), .notReady(within: time()),
      .spawn(text()), .hangs(text()),
    ])
  }

  private mutating func worker(_ id: WorkerID) -> Worker {
    let states: [Worker.State] = [
      .idle, .waiting(until: instant()), .starting(since: instant(), readyAt: maybe(instant()), deadline: instant()),
      .ready(since: instant()), .clearing(since: instant()), .failed(fault()),
      .stopping(
        Worker.Stopping(
          resuming: instant(), killAt: instant(),
          step: one(of: [.finishing(saveAt: nil), .finishing(saveAt: instant()), .saving, .leaving, .dumping]))),
    ]
    return Worker(
      resuming: id, state: one(of: states), isWanted: coin(), mainIsGone: coin(), crashes: number(0...9),
      restarts: number(0...99), lastFault: maybe(fault()), fault: maybe(fault()), liveBy: maybe(instant()),
      missed: number(0...3))
  }

  private mutating func resolved(_ number: UInt64, _ sockets: [Settings.Socket]) -> ResolvedGeneration {
    let account = Account(
      user: Users.User(name: "shop", id: 1000, group: 1000, home: "/var/lib/shop", shell: "/bin/sh"),
      identity: Identity(user: 1000, group: 33, groups: [33, 1000]))
    return ResolvedGeneration(
      id: GenerationID(number), settings: settings(sockets), release: ReleaseID("20261121T120000Z-abc1234-q\(number)"),
      releaseDirectory: "/srv/shop/releases/\(number)", accounts: ["shop:": account])
  }

  private mutating func generation(
    _ resolved: ResolvedGeneration, _ role: Generation.Role, _ bindings: [SocketName: ListenerID]
  ) throws -> Generation {
    var engines: [Engine] = []
    for plan in resolved.plan.engines {
      var workers: [Worker] = []
      for slot in 1...plan.workers {
        workers.append(
          worker(WorkerID(generation: resolved.id, engine: plan.name, slot: slot, run: number(1...5))))
      }
      engines.append(Engine(resuming: plan, phase: one(of: [.started, .ending]), workers: workers))
    }
    return try Generation(resuming: resolved.plan, role: role, engines: engines, bindings: bindings)
  }

  // MARK: The whole

  mutating func state() throws -> SavedState {
    let sockets = [
      try socket("http", "0.0.0.0:8000"), try socket("app", "/run/shop/app.sock"), try socket("dns", "udp:[::1]:53"),
    ]
    var groups: [SteeringGroup] = []
    var bindings: [SocketName: ListenerID] = [:]
    var ids: [(ListenerID, Settings.Socket)] = []
    for (index, socket) in sockets.enumerated() {
      let members = (1...3).map { ListenerID(key: socket.key, number: UInt64(index * 10 + $0)) }
      let group = SteeringGroup(
        kind: [.program, .rename, .constant][index], members: members, rule: .everyone(members[1]), idle: [members[2]],
        permanent: index == 0 ? [members[0]] : [], isInForce: coin())
      groups += [group].compactMap { $0 }
      bindings[socket.name] = members[1]
      ids += members.map { ($0, socket) }
    }
    let draining = Generation.Draining(since: instant(), cutAt: instant(), hasServed: coin(), isCut: coin())
    let old = resolved(4, sockets)
    let new = resolved(6, sockets)
    let generations = [try generation(old, .draining(draining), bindings), try generation(new, .serving, bindings)]
    let core = try Supervisor(
      resuming: generations, serving: new.id, groups: groups, nextGeneration: GenerationID(7), nextListener: 99,
      random: SplitMix64(seed: .max - random.next() % 1000),
      leases: coin() ? [:] : [Self.lease: LeaseStanding(isWanted: coin(), state: one(of: LeaseStanding.State.allCases))]
    )
    let listeners = ids.map { id, socket in listener(id, socket) }
    return SavedState(
      writer: "0.1.0", service: ServiceName(unchecked: "shop"), pid: 4711, startedAt: instant(), core: core,
      generations: [old, new], settingsWarnings: [text()], lastOutcome: maybe(outcome()),
      lastChange: maybe(SavedChange(from: maybe(old.id), to: new.id)), changeStartedAt: maybe(instant()),
      workers: generations.flatMap { $0.engines.flatMap(\.workers) }.map { process($0.id) }, listeners: listeners,
      history: SavedHistory(nextNumber: 12, unrecorded: [entry(10), entry(11)]), commands: [5001, 5002],
      reloads: [
        SavedReload(
          operation: OperationID("reload-x-2"),
          wish: ReloadWish(release: maybe(ReleaseID("r")), hold: maybe(.seconds(5))), askedAt: instant())
      ],
      control: SavedControl(
        listener: descriptor(), lock: descriptor(),
        connections: [
          SavedControl.Connection(descriptor: descriptor(), wait: .verdict, more: coin()),
          SavedControl.Connection(descriptor: descriptor(), wait: .events, more: true),
          SavedControl.Connection(
            descriptor: descriptor(), wait: .reload, more: coin(), operation: OperationID("reload-x-2")),
        ], operators: maybe(912)),
      upgrade: SavedUpgrade(
        operation: OperationID("upgrade-x-1"), startedAt: instant(), leftAt: instant(), from: "0.0.9"),
      crashMemory: descriptor(),
      leases: maybe(
        SavedLeases(
          owner: "0123456789abcdef", settings: leases(),
          grants: [
            Grant(
              lease: Self.lease, token: LeaseToken(.max - 5),
              provenUntil: BootInstant(nanoseconds: Int64(number(0...1_000_000_000))))
          ],
          waits: coin()
            ? [] : [Wait(lease: Self.lease, since: BootInstant(nanoseconds: Int64(number(1...1_000))), isTold: coin())]
        )))
  }

  private mutating func listener(_ id: ListenerID, _ socket: Settings.Socket) -> SavedListener {
    SavedListener(
      id: id, socket: socket, address: socket.address, storeName: "\(socket.name).\(id.number)",
      descriptor: descriptor(), isPermanent: coin(), privatePath: maybe("/run/shop/app.sock.7"), isWatched: coin(),
      isUnsteered: coin())
  }

  private mutating func process(_ id: WorkerID) -> SavedWorker {
    SavedWorker(
      id: id, pid: Int32(number(2...4_000_000)), port: maybe(40_000), startedAtWallMicroseconds: 1_795_000_000_000_000,
      statusText: maybe(text()), hasExited: coin(), isKilled: coin(), notify: descriptor(),
      notifyPath: "/run/baton/shop/worker/\(id.label)", output: maybe(stream()), error: maybe(stream()),
      lastLines: [bytes(), Array(text().utf8)])
  }

  private mutating func stream() -> SavedStream {
    SavedStream(descriptor: descriptor(), unread: bytes(), isSkipping: coin())
  }

  private mutating func entry(_ number: UInt64) -> History.Entry {
    var happening = Happening(one(of: MessageKind.allCases), text())
    happening.engine = maybe(EngineName(unchecked: "web"))
    happening.worker = maybe(
      WorkerID(generation: GenerationID(6), engine: EngineName(unchecked: "web"), slot: 1, run: 2))
    happening.generation = maybe(GenerationID(6))
    happening.release = maybe(ReleaseID("r"))
    happening.operation = maybe(OperationID("reload-x-1"))
    happening.from = maybe(text())
    happening.to = maybe(text())
    happening.reason = maybe(text())
    happening.pid = maybe(77)
    return History.Entry(number: number, wallMicroseconds: 1_795_000_000_000_000, happening: happening)
  }

  private mutating func outcome() -> OperationOutcome {
    OperationOutcome(
      operation: OperationID("reload-x-2"), act: one(of: OperationOutcome.Act.allCases),
      result: one(of: OperationOutcome.Result.allCases), what: text(), holds: text(), next: maybe(text()),
      lastLines: [text()], took: time(), endedAt: instant(), generation: maybe(GenerationID(6)),
      release: maybe(ReleaseID("r")), other: maybe(OperationID("x")))
  }
}
