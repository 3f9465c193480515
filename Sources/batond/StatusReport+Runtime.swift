import ControlProtocol
import Glibc
import JSON
import LinuxSystem
import Settings
import Supervision
import SupervisorRuntime
import Vocabulary

extension StatusReport {
  /// The truth at this moment.
  init(of runtime: Runtime, service: ServiceName) {
    let clock = Clock()
    let core = runtime.core
    let serving = core.serving.flatMap { core.generations[$0] }
    let settings = (core.serving ?? core.generations.keys.max()).flatMap { runtime.generations[$0]?.settings }
    self.init(
      service: service, description: settings?.service.description ?? "", state: ServiceState(core),
      text: runtime.statusLine, since: clock.wall(runtime.changeStartedAt ?? runtime.startedAt),
      supervisor: Supervisor(
        pid: Int(getpid()), version: Daemon.version, uptime: clock.now - runtime.startedAt,
        rss: ProcessTree.residentMemory(of: getpid()) ?? ByteCount(0), steering: settings?.handover.steering != .off),
      serving: core.serving, release: serving?.plan.release,
      engines: (serving ?? core.generations.values.max { $0.id < $1.id })?.engines.map {
        Engine($0, in: core, runtime, clock)
      } ?? [],
      sockets: (settings?.sockets ?? []).map { Socket($0, runtime) }, handover: Handover(core, clock, runtime),
      lastHandover: runtime.lastOutcome.flatMap { LastHandover($0, clock, runtime) },
      draining: core.generations.values.filter { if case .draining = $0.role { true } else { false } }.map(\.id)
        .sorted(),
      drains: runtime.drains.map {
        Drain(
          generation: $0.generation, release: $0.release, since: clock.wall($0.since), until: clock.wall($0.cutAt),
          workers: $0.workers, connections: $0.connections)
      }, connectionsCut: runtime.cuts.connections, cutsUncounted: runtime.cuts.uncounted,
      liveReleases: Set(core.generations.values.compactMap { $0.plan.release }).sorted { $0.text < $1.text },
      leases: StatusReport.Lease.all(of: runtime, clock), warnings: runtime.warnings)
  }

  /// One reading of both clocks, so that all times of a report agree.
  struct Clock {
    let now = Instant.monotonicNow()
    let wallNow = RealTime.microseconds()
    func wall(_ instant: Instant) -> WallTime {
      WallTime(microseconds: wallNow - (now - instant).microseconds)
    }
  }
}

extension StatusReport.ServiceState {
  init(_ core: Supervision.Supervisor) {
    switch core.phase {
    case .new: self = .starting
    case .changing(let change): self = change.kind == .handover ? .handover : .starting
    case .stopping, .ended: self = .stopping
    case .steady:
      guard let serving = core.serving, let generation = core.generations[serving] else {
        self = .failed
        return
      }
      self =
        generation.engines.allSatisfy(\.isWhole) ? .serving : .degraded
    }
  }
}

extension StatusReport.Engine {
  init(
    _ engine: Supervision.Engine, in core: Supervision.Supervisor, _ runtime: Runtime, _ clock: StatusReport.Clock
  ) {
    let plan = engine.plan
    let generations = core.generations.values.sorted {
      ($0.id == core.serving ? 0 : 1, $0.id) < ($1.id == core.serving ? 0 : 1, $1.id)
    }
    let workers = generations.flatMap { $0.engine(plan.name)?.workers ?? [] }
      .filter { $0.isRunning || $0.hasFailed || $0.isWanted }
    let wanted = engine.phase == .standby ? 0 : engine.wanted
    let ready = engine.workers.count { $0.isReady }
    let state: StatusReport.EngineState =
      switch engine.phase {
      case .ending: engine.isGone ? .stopped : .stopping
      case .held: .starting
      case .standby: engine.hasFailed ? .failed : .standby
      case .started:
        if engine.workers.contains(where: \.hasFailed) {
          .failed
        } else if engine.isWhole {
          .ready
        } else {
          ready == 0 ? .starting : .degraded
        }
      }
    self.init(
      name: plan.name, state: state, wanted: wanted, ready: ready, sockets: plan.sockets,
      handover: plan.handover == .overlap ? .overlap : .exclusive, stage: StatusReport.Stage(plan.stage),
      workers: workers.map { StatusReport.Worker($0, runtime, clock) },
      command: engine.workers.first.flatMap { runtime.generations[$0.id.generation]?.engine(plan.name)?.command })
  }
}

extension StatusReport.Stage {
  init(_ stage: Supervision.Stage) {
    switch stage {
    case .intake, .engines: self = .engines
    case .database: self = .database
    case .redis: self = .redis
    }
  }
}

extension StatusReport.Worker {
  init(_ worker: Supervision.Worker, _ runtime: Runtime, _ clock: StatusReport.Clock) {
    let pid = runtime.pid(of: worker.id)
    let (state, since): (StatusReport.WorkerState, Instant) =
      switch worker.state {
      case .idle: (.exited, clock.now)
      case .waiting: (.waiting, clock.now)
      case .starting(let since, _, _): (.starting, since)
      case .ready(let since): (.ready, since)
      case .stopping(let stopping): (.draining, stopping.since)
      case .clearing(let since): (.draining, since)
      case .failed: (.failed, clock.now)
      }
    self.init(
      label: worker.id.label, pid: pid.map { Int($0) }, generation: worker.id.generation, state: state,
      since: clock.wall(since), restarts: worker.restarts,
      memory: pid.flatMap { ProcessTree.residentMemory(of: $0) }, status: runtime.statusText(of: worker.id),
      lastExit: worker.lastFault?.text)
  }
}

extension StatusReport.Socket {
  init(_ socket: Settings.Socket, _ runtime: Runtime) {
    let group = runtime.core.groups[socket.key]
    let listeners = (group?.members ?? []).map { id in
      let owners = runtime.core.generations.values.filter { $0.bindings.values.contains(id) }.map(\.id).sorted()
      return StatusReport.Listener(
        generation: owners.count == 1 ? owners.first : nil, queue: runtime.queued(id), steered: group?.serving == id)
    }
    let address = group.flatMap { runtime.address(of: $0.serving) } ?? socket.address
    self.init(name: socket.name, address: address.text, listeners: listeners)
  }
}

extension StatusReport.Handover {
  init?(_ core: Supervision.Supervisor, _ clock: StatusReport.Clock, _ runtime: Runtime) {
    guard case .changing(let change) = core.phase, let operation = change.operations.first else { return nil }
    let phase: StatusReport.HandoverPhase =
      switch change.step {
      case .loading, .ending, .opening, .starting, .swapping: .starting
      case .proving: .proving
      case .holding: .holding
      case .trial: .trial
      case .restoring: .aborting
      }
    self.init(
      operation: operation, phase: phase, from: core.serving, to: change.candidate,
      release: core.generations[change.candidate]?.plan.release, since: clock.wall(runtime.changeStartedAt ?? clock.now)
    )
  }
}

extension StatusReport.LastHandover {
  init?(_ outcome: OperationOutcome, _ clock: StatusReport.Clock, _ runtime: Runtime) {
    guard outcome.act != .scale, let to = runtime.lastChange?.to ?? runtime.core.serving else { return nil }
    self.init(
      operation: outcome.operation, outcome: VerdictReport.Outcome(outcome.result), reason: outcome.what,
      from: runtime.lastChange?.from, to: to, took: outcome.took, ended: clock.wall(outcome.endedAt))
  }
}
