package import Vocabulary

/// How a process ended.
package enum ExitReason: Hashable, Sendable, CustomStringConvertible {
  case exited(Int32)
  case signalled(Int32)

  package var description: String {
    switch self {
    case .exited(let code): "exit status \(code)"
    case .signalled(let signal): "signal \(signal)"
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
    /// Spawned. Exits: `ready`, `clearing` (died, late, hangs), `stopping`, `waiting` (could not be spawned).
    case starting(since: Instant, readyAt: Instant?, deadline: Instant)
    /// At work. Exits: `clearing` (died, hangs), `stopping`.
    case ready(since: Instant)
    /// Asked to end by SIGTERM. Exits: `clearing` (time is up), `idle` (gone).
    case stopping(since: Instant, killAt: Instant)
    /// What is left of it is killed; waits until its group is empty. Exits: `idle`, `waiting`, `starting`, `failed`.
    case clearing(since: Instant)
    /// Given up after too many crashes. Exits: none but a new generation, or `baton restart`.
    case failed(WorkerFault)
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
  /// While it may still save its state, the end of that time; `killAt` is then when it is asked to.
  var saveUntil: Instant?
  /// When it must next show life; nil where nothing watches.
  package internal(set) var liveBy: Instant?
  package internal(set) var missed = 0

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

  /// A process exists, or may.
  package var isRunning: Bool {
    switch state {
    case .idle, .failed, .waiting: false
    case .starting, .ready, .stopping, .clearing: true
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
    case .ready: liveBy
    case .stopping(_, let killAt): killAt
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

  mutating func becameReady(_ plan: EnginePlan, at now: Instant) -> [Action] {
    guard case .starting = state else { return [] }
    state = .ready(since: now)
    switch plan.liveness {
    case .told(let every), .asked(let every, _): liveBy = now + every
    case nil: liveBy = nil
    }
    return [.note(.workerReady(id))]
  }

  mutating func showedLife(_ plan: EnginePlan, at now: Instant) {
    guard case .ready = state, case .told(let every) = plan.liveness else { return }
    liveBy = now + every
  }

  mutating func livenessAnswered(_ isAlive: Bool, _ plan: EnginePlan, at now: Instant) -> WorkerFault? {
    guard case .ready = state, case .asked(let every, let failures) = plan.liveness else { return nil }
    liveBy = now + every
    missed = isAlive ? 0 : missed + 1
    return missed >= failures ? .hangs("\(missed) liveness questions in a row went unanswered") : nil
  }

  /// The main process ended. Whatever else lives in its group goes with it, as with systemd's KillMode=mixed.
  mutating func exited(_ reason: ExitReason, _ plan: EnginePlan, at now: Instant) -> [Action] {
    mainIsGone = true
    switch state {
    case .idle, .failed, .waiting: return []
    case .clearing: return [.note(.workerExited(id, reason, wanted: false))]
    case .starting, .ready, .stopping:
      if isWanted && fault == nil { fault = .exited(reason) }
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
      // One that hangs may leave a core first.
      state = .stopping(since: now, killAt: now + min(plan.stopTimeout, .seconds(2)))
      liveBy = nil
      return [note, .abort(id)]
    }
  }

  /// Asks it to end. One that waits is simply not started again.
  mutating func stop(killAt: Instant, _ plan: EnginePlan, at now: Instant) -> [Action] {
    isWanted = false
    switch state {
    case .idle, .failed, .clearing: return []
    case .waiting:
      state = .idle
      return []
    case .stopping(let since, let earlier):
      state = .stopping(since: since, killAt: min(earlier, killAt))
      return []
    case .starting, .ready:
      liveBy = nil
      var end = killAt
      if plan.saves {
        saveUntil = killAt
        end = killAt + (.zero - min(.seconds(2), (killAt - now) / 4))
      }
      state = .stopping(since: now, killAt: end)
      return [.terminate(id)] + (plan.asksPending ? [.askPending(id)] : [])
    }
  }

  /// The time it was given to end is up, or nothing is pending in it: it may save, then it is killed.
  mutating func stopTimeIsUp(_ plan: EnginePlan, at now: Instant) -> [Action] {
    guard case .stopping(let since, _) = state else { return [] }
    if let until = saveUntil {
      saveUntil = nil
      state = .stopping(since: since, killAt: max(until, now))
      return [.save(id)]
    }
    return [.note(.workerKilled(id, after: now - since))] + clear(plan, at: now)
  }

  /// Ends it by force. It counts as gone when its group is empty.
  mutating func clear(_ plan: EnginePlan, at now: Instant) -> [Action] {
    switch state {
    case .idle, .failed, .clearing: return []
    case .waiting:
      state = .idle
      return []
    case .starting, .ready, .stopping:
      countHealth(plan, at: now)
      state = .clearing(since: now)
      liveBy = nil
      saveUntil = nil
      return [.kill(id)]
    }
  }

  /// It is gone. Its place is filled again if it is wanted: at once, after a wait, or no more.
  mutating func settle(_ plan: EnginePlan, at now: Instant, random: inout SplitMix64) -> [Action] {
    let reason = fault
    fault = nil
    if let reason { lastFault = reason }
    guard isWanted, let reason else {
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

  /// A crash after a healthy run is a first crash again.
  private mutating func countHealth(_ plan: EnginePlan, at now: Instant) {
    if case .ready(let since) = state, now - since >= plan.restart.healthyAfter { crashes = 0 }
  }
}
