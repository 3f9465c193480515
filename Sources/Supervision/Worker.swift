package import Vocabulary

/// How a process ended.
package enum ExitReason: Hashable, Sendable, CustomStringConvertible {
  case exited(Int32)
  case signalled(Int32)
  /// Killed by the kernel. Not sure where it does not count kills by cgroup: then one was killed somewhere on the host.
  case outOfMemory(isSure: Bool)

  package var description: String {
    switch self {
    case .exited(let code): "exit status \(code)"
    case .signalled(let signal): "signal \(signal)"
    case .outOfMemory: "signal 9 for want of memory"
    }
  }
}

/// Why a worker is not, or no longer, at work.
package enum WorkerFault: Hashable, Sendable {
  case exited(ExitReason)
  case notReady(within: Duration)
  case spawn(String)
  /// WATCHDOG=1 stayed away, or the liveness question went unanswered so often.
  case hangs(String)

  package var description: String {
    switch self {
    case .exited(let reason): "ended with \(reason)"
    case .notReady(let limit): "was not ready within \(limit.text)"
    case .spawn(let text): "could not be started: \(text)"
    case .hangs(let text): "hangs: \(text)"
    }
  }
}

/// One place of an engine in one generation: the process in it now, and whether there is to be one.
///
/// A worker counts as gone only when its main process has been reaped *and* its whole group or cgroup is empty.
package struct Worker: Hashable, Sendable {
  package enum State: Hashable, Sendable {
    /// Nothing runs and nothing is due. Exits: `starting`.
    case idle
    /// Backing off after a crash. Exits: `starting` (time), `idle` (no longer wanted).
    case waiting(until: Instant)
    /// Being spawned, or spawned and not ready. Exits: `ready`, `clearing` (died, late), `stopping`.
    case starting(since: Instant, readyAt: Instant?, deadline: Instant)
    /// At work. Exits: `clearing` (died), `stopping` (asked to, or hangs).
    case ready(since: Instant)
    /// It ends by itself, until its time is up. Exits: `clearing` (died, time is up).
    case stopping(Stopping)
    /// What is left of it is killed; waits until its group is empty. Exits: `idle`, `waiting`, `starting`, `failed`.
    case clearing(since: Instant)
    /// Given up after too many crashes. Exits: none but a new generation, or `baton restart`.
    case failed(WorkerFault)
  }

  /// How a worker ends by itself.
  package struct Stopping: Hashable, Sendable {
    package enum Step: Hashable, Sendable {
      /// Told by SIGTERM to finish what it has. With `saveAt` it is asked to save then, or as soon as nothing is pending.
      case finishing(saveAt: Instant?)
      /// Asked to save what it has.
      case saving
      /// Nothing is left for it to do but to exit.
      case leaving
      /// It hangs and got SIGABRT: it may leave a core.
      case dumping
    }

    package let since: Instant
    package internal(set) var killAt: Instant
    package internal(set) var step: Step

    var deadline: Instant {
      if case .finishing(let saveAt?) = step { return min(saveAt, killAt) }
      return killAt
    }
  }

  package internal(set) var id: WorkerID
  package internal(set) var state: State = .idle
  /// Whether a process is to run here. Kept apart from what is observed.
  package internal(set) var isWanted = true
  /// The main process has been reaped; members of its group may still live.
  package internal(set) var mainIsGone = false
  /// Crashes since the last healthy run.
  package internal(set) var crashes = 0
  /// Restarts in all.
  package internal(set) var restarts = 0
  package internal(set) var lastFault: WorkerFault?
  /// Why it is being cleared away, until its place is settled anew.
  package internal(set) var fault: WorkerFault?
  /// When it must next show life; nil where nothing watches.
  package internal(set) var liveBy: Instant?
  package internal(set) var missed = 0
  package internal(set) var part = Part.regular
  /// Why it is to be replaced when its turn comes, though it is well.
  package internal(set) var due: RecycleReason?
  /// How often the worker in this place was replaced though it was well.
  package internal(set) var recyclings = 0
  package internal(set) var recycleAt: Instant?
  var lookAt: Instant?
  var sparedUntil: Instant?

  /// One that saved, or has nothing pending, has no work left to lose, but exits better by itself.
  static let leavingTime = Duration.seconds(1)
  static let dumpingTime = Duration.seconds(2)

  init(id: WorkerID) { self.id = id }

  package var isReady: Bool {
    if case .ready = state { return true }
    return false
  }

  /// No process and none to come.
  package var isGone: Bool {
    switch state {
    case .idle, .failed: true
    case .waiting, .starting, .ready, .stopping, .clearing: false
    }
  }

  /// A process exists, or may, and has not been killed.
  package var isRunning: Bool {
    switch state {
    case .idle, .failed, .waiting, .clearing: false
    case .starting, .ready, .stopping: true
    }
  }

  package var hasFailed: Bool {
    if case .failed = state { return true }
    return false
  }

  /// The next instant at which time alone changes something here.
  var deadline: Instant? {
    switch state {
    case .idle, .failed, .clearing: nil
    case .waiting(let until): until
    case .starting(_, let readyAt, let deadline): min(readyAt ?? deadline, deadline)
    case .ready: [liveBy, recycleDeadline].compactMap { $0 }.min()
    case .stopping(let stopping): stopping.deadline
    }
  }

  // MARK: Events

  mutating func start(_ plan: EnginePlan, at now: Instant) -> [Action] {
    isWanted = true
    id = WorkerID(generation: id.generation, engine: id.engine, slot: id.slot, run: id.run + 1)
    mainIsGone = false
    missed = 0
    liveBy = nil
    var readyAt: Instant?
    if case .after(let wait) = plan.readiness { readyAt = now + wait }
    state = .starting(since: now, readyAt: readyAt, deadline: now + plan.startTimeout)
    return [.note(.workerStarting(id)), .spawn(id)]
  }

  mutating func spawned(_ plan: EnginePlan) -> [Action] {
    guard case .starting = state, plan.readiness == .asked else { return [] }
    return [.askReadiness(id)]
  }

  /// There is no process; ``settle(_:mayRestart:at:random:)`` follows.
  mutating func spawnFailed(_ text: String, _ plan: EnginePlan, at now: Instant) -> [Action] {
    switch state {
    case .idle, .failed, .waiting, .ready, .clearing: return []
    case .starting, .stopping: break
    }
    if isWanted { fault = .spawn(text) }
    mainIsGone = true
    leave(for: .clearing(since: now), plan, at: now)
    return [.note(.workerFault(id, .spawn(text)))]
  }

  mutating func becameReady(_ plan: EnginePlan, at now: Instant) -> [Action] {
    guard case .starting = state else { return [] }
    state = .ready(since: now)
    switch plan.liveness {
    case .told(let every), .asked(let every, _): liveBy = now + every
    case nil: liveBy = nil
    }
    watch(plan, since: now)
    return [.note(.workerReady(id))]
  }

  mutating func showedLife(_ plan: EnginePlan, at now: Instant) {
    guard case .ready = state, case .told(let every) = plan.liveness else { return }
    liveBy = now + every
  }

  mutating func livenessAnswered(_ isAlive: Bool, _ plan: EnginePlan, at now: Instant) -> WorkerFault? {
    guard case .ready = state, let liveness = plan.liveness else { return nil }
    guard case .asked(let every, let failures) = liveness else {
      return isAlive ? nil : .hangs("it said so itself by WATCHDOG=trigger")
    }
    liveBy = now + every
    missed = isAlive ? 0 : missed + 1
    return missed >= failures ? .hangs("\(missed) liveness questions in a row went unanswered") : nil
  }

  /// The main process ended. Whatever else lives in its group goes with it, as with systemd's KillMode=mixed.
  mutating func exited(_ reason: ExitReason, _ plan: EnginePlan, at now: Instant) -> [Action] {
    switch state {
    case .idle, .failed, .waiting: return []
    case .clearing, .starting, .ready, .stopping:
      mainIsGone = true
      let wasRunning = isRunning
      if wasRunning && isWanted && fault == nil { fault = .exited(reason) }
      return [.note(.workerExited(id, reason, wanted: !isWanted))] + clear(plan, at: now)
    }
  }

  /// It is late or hangs: it goes, and its place is settled when it is gone.
  mutating func fail(_ reason: WorkerFault, _ plan: EnginePlan, at now: Instant) -> [Action] {
    switch state {
    case .idle, .failed, .waiting, .stopping, .clearing: return []
    case .starting, .ready:
      fault = reason
      let note = Action.note(.workerFault(id, reason))
      guard case .hangs = reason else { return [note] + clear(plan, at: now) }
      let killAt = now + min(plan.stopTimeout, Self.dumpingTime)
      leave(for: .stopping(Stopping(since: now, killAt: killAt, step: .dumping)), plan, at: now)
      return [note, .abort(id)]
    }
  }

  // MARK: Ending

  /// Asks it to end. One that waits is simply not started again.
  mutating func stop(killAt: Instant, _ plan: EnginePlan, at now: Instant) -> [Action] {
    isWanted = false
    switch state {
    case .idle, .failed, .clearing: return []
    case .waiting:
      state = .idle
      return []
    case .stopping(var stopping):
      stopping.killAt = min(stopping.killAt, killAt)
      state = .stopping(stopping)
      return []
    case .starting, .ready:
      // The last quarter of its time, two seconds at most, is for saving.
      let saveAt = plan.saves ? killAt + (.zero - min(.seconds(2), (killAt - now) / 4)) : nil
      leave(
        for: .stopping(Stopping(since: now, killAt: killAt, step: .finishing(saveAt: saveAt))), plan, at: now)
      return [.terminate(id)] + (plan.asksPending ? [.askPending(id)] : [])
    }
  }

  /// All it had taken is done: it may save, then it has only to exit.
  mutating func nothingPending(at now: Instant) -> [Action] {
    guard case .stopping(var stopping) = state, case .finishing(let saveAt) = stopping.step else { return [] }
    return saveAt == nil ? letLeave(&stopping, at: now) : save(&stopping)
  }

  mutating func saved(at now: Instant) -> [Action] {
    guard case .stopping(var stopping) = state, stopping.step == .saving else { return [] }
    return letLeave(&stopping, at: now)
  }

  /// It is asked to save if it has not been, else killed.
  mutating func stopTimeIsUp(_ plan: EnginePlan, at now: Instant) -> [Action] {
    guard case .stopping(var stopping) = state else { return [] }
    if case .finishing(.some) = stopping.step, now < stopping.killAt { return save(&stopping) }
    return [.note(.workerKilled(id, after: now - stopping.since))] + clear(plan, at: now)
  }

  private mutating func save(_ stopping: inout Stopping) -> [Action] {
    stopping.step = .saving
    state = .stopping(stopping)
    return [.save(id)]
  }

  private mutating func letLeave(_ stopping: inout Stopping, at now: Instant) -> [Action] {
    stopping.step = .leaving
    stopping.killAt = min(stopping.killAt, now + Self.leavingTime)
    state = .stopping(stopping)
    return []
  }

  /// Ends it by force. It counts as gone when its group is empty.
  mutating func clear(_ plan: EnginePlan, at now: Instant) -> [Action] {
    switch state {
    case .idle, .failed, .clearing: return []
    case .waiting:
      state = .idle
      return []
    case .starting, .ready, .stopping:
      leave(for: .clearing(since: now), plan, at: now)
      return [.kill(id)]
    }
  }

  /// It is gone. Its place is filled again if it is wanted: at once, after a wait, or no more.
  mutating func settle(_ plan: EnginePlan, mayRestart: Bool, at now: Instant, random: inout SplitMix64) -> [Action] {
    guard case .clearing = state else { return [] }
    let reason = fault
    fault = nil
    if let reason { lastFault = reason }
    guard isWanted, mayRestart, let reason else {
      state = .idle
      return []
    }
    crashes += 1
    guard let wait = plan.restart.wait(afterCrash: crashes, random: &random) else {
      state = .failed(reason)
      return [.note(.workerFailed(id, reason, crashes: crashes))]
    }
    restarts += 1
    if wait == .zero { return start(plan, at: now) }
    state = .waiting(until: now + wait)
    return [.note(.workerWaits(id, wait))]
  }

  /// The only way out of `ready`: a crash after a healthy run is a first crash again.
  private mutating func leave(for next: State, _ plan: EnginePlan, at now: Instant) {
    if case .ready(let since) = state, now - since >= plan.restart.healthyAfter { crashes = 0 }
    liveBy = nil
    due = nil
    lookAt = nil
    recycleAt = nil
    sparedUntil = nil
    state = next
  }
}
