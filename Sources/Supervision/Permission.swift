import Vocabulary

/// How this host stands to a lease that its engines need. Who has it is decided elsewhere; here it is known what was asked
/// for and what was answered.
package struct LeaseStanding: Hashable, Sendable {
  package enum State: String, Hashable, Sendable, CaseIterable {
    /// No engine may work under it. Exits: `permitted`.
    case apart
    /// Engines may work. Exits: `leaving` (withdrawn, not wanted any more).
    case permitted
    /// What works under it ends, and nothing is started. Exits: `apart`, when nothing of it is left.
    case leaving
  }

  package internal(set) var isWanted: Bool
  package internal(set) var state: State

  package init(isWanted: Bool, state: State) {
    self.isWanted = isWanted
    self.state = state
  }
}

/// Engines under a lease work only while they are permitted to. Without permission a cold one is not started; a warm one is,
/// and learns from outside that it may work. A permission that is withdrawn ends the processes, also of a warm one, which is
/// started afresh when all of them are gone: what was permitted once never has to find out that it is no more.
extension Supervisor {
  // MARK: Events

  mutating func permitted(_ name: LeaseName) -> [Action] {
    guard let standing = leases[name], standing.isWanted, standing.state == .apart else {
      // Nobody asked, or what ran under it ends: `vacated` says when that is over.
      if leases[name]?.state != .permitted {
        leases[name, default: .init(isWanted: false, state: .apart)].state = .leaving
      }
      return []
    }
    leases[name]?.state = .permitted
    return [.note(.leasePermitted(name))]
  }

  /// It may soon be another's: everything that works under it ends.
  mutating func withdrawn(_ name: LeaseName, at now: Instant) -> [Action] {
    leases[name, default: .init(isWanted: false, state: .apart)].state = .leaving
    var actions: [Action] = []
    for id in generations.keys.sorted() { actions += generations[id]?.standBy(name, at: now) ?? [] }
    return actions
  }

  /// It may be another's from now on: whatever still works under it is killed.
  mutating func leaseIsUp(_ name: LeaseName, at now: Instant) -> [Action] {
    let terminated = withdrawn(name, at: now)
    var cut: [WorkerID] = []
    var actions: [Action] = []
    for id in generations.keys.sorted() {
      guard let killed = generations[id]?.cut(name, at: now) else { continue }
      cut += killed.cut
      actions += killed.actions
    }
    for worker in cut { noteCut(worker) }
    return terminated + actions
  }

  // MARK: Consequences

  /// Asks for what is needed, says what is free again, and starts what may run.
  mutating func advanceLeases(at now: Instant) -> [Action] {
    askForLeases() + giveLeasesBack() + startPermitted(at: now)
  }

  private mutating func askForLeases() -> [Action] {
    let wanted = wantedLeases
    var actions: [Action] = []
    for name in wanted.sorted() where leases[name]?.isWanted != true {
      leases[name, default: .init(isWanted: true, state: .apart)].isWanted = true
      hasAskedForLeases = true
      actions.append(.want(name))
    }
    for (name, standing) in leases.sorted(by: { $0.key < $1.key }) where standing.isWanted && !wanted.contains(name) {
      leases[name]?.isWanted = false
      if standing.state == .permitted { leases[name]?.state = .leaving }
      actions.append(.unwant(name))
    }
    return actions
  }

  /// Of what serves, and of what is put in place where nothing serves. One that was given up leaves it to others.
  private var wantedLeases: Set<LeaseName> {
    if isStopping { return [] }
    var ids = [serving].compactMap { $0 }
    if case .changing(let change) = phase, change.kind != .handover { ids.append(change.candidate) }
    return Set(
      ids.flatMap { id in
        (generations[id]?.engines ?? []).compactMap { engine in
          engine.hasFailed || engine.workers.isEmpty ? nil : engine.plan.lease
        }
      })
  }

  private mutating func giveLeasesBack() -> [Action] {
    var actions: [Action] = []
    for (name, standing) in leases.sorted(by: { $0.key < $1.key }) where !isUsed(name) {
      if standing.state == .leaving {
        leases[name]?.state = .apart
        actions.append(.vacated(name))
      }
      if leases[name]?.state == .apart, !standing.isWanted { leases[name] = nil }
    }
    return actions
  }

  private func isUsed(_ name: LeaseName) -> Bool {
    generations.values.contains { $0.engines.contains { $0.plan.lease == name && !$0.isGone } }
  }

  // MARK: Starting

  func mayStart(_ plan: EnginePlan) -> Bool {
    guard let lease = plan.lease else { return true }
    switch leases[lease]?.state {
    case .permitted: return true
    // Among those that end nobody could tell it.
    case .leaving: return false
    case .apart, nil: return plan.isWarm
    }
  }

  /// Whose turn has come starts if it may, else it waits for its lease, and nobody waits for it.
  mutating func startOrStandBy(_ id: GenerationID, _ index: Int, at now: Instant) -> [Action] {
    guard let engine = generations[id]?.engines[index] else { return [] }
    guard mayStart(engine.plan) else {
      generations[id]?.engines[index].phase = .standby
      return []
    }
    return generations[id]?.start(index, at: now) ?? []
  }

  private mutating func startPermitted(at now: Instant) -> [Action] {
    guard let id = whereToStart, let engines = generations[id]?.engines else { return [] }
    var actions: [Action] = []
    for index in engines.indices where engines[index].plan.lease != nil {
      let engine = engines[index]
      // It was given up and its lease is gone, or it was scaled to nothing.
      if engine.phase == .started, engine.isGone, !mayStart(engine.plan) {
        generations[id]?.engines[index].phase = .standby
      }
      guard engine.phase == .standby, engine.isGone, !engine.hasFailed, !engine.workers.isEmpty,
        mayStart(engine.plan), !runs(engine.plan.name, beside: id)
      else { continue }
      actions += generations[id]?.start(index, at: now) ?? []
    }
    return actions
  }

  /// While exclusive engines change over, nothing is started beside that.
  private var whereToStart: GenerationID? {
    switch phase {
    case .steady: return serving
    case .changing(let change):
      switch change.step {
      case .swapping, .restoring: return nil
      case .ending: return nil
      case .loading, .opening, .starting, .proving, .holding, .trial: return serving ?? change.candidate
      }
    case .new, .stopping, .ended: return nil
    }
  }
}

extension Generation {
  /// What works under that lease is told to end, and stands by.
  fileprivate mutating func standBy(_ name: LeaseName, at now: Instant) -> [Action] {
    var actions: [Action] = []
    for index in engines.indices where engines[index].plan.lease == name {
      if engines[index].phase == .started { engines[index].phase = .standby }
      let plan = engines[index].plan
      for place in engines[index].workers.indices {
        engines[index].workers[place].part = .regular
        actions += engines[index].workers[place].stop(killAt: now + plan.stopTimeout, plan, at: now)
      }
    }
    return actions
  }

  fileprivate mutating func cut(_ name: LeaseName, at now: Instant) -> (cut: [WorkerID], actions: [Action]) {
    var cut: [WorkerID] = []
    var actions: [Action] = []
    for index in engines.indices where engines[index].plan.lease == name {
      let plan = engines[index].plan
      for place in engines[index].workers.indices where engines[index].workers[place].isRunning {
        cut.append(engines[index].workers[place].id)
        actions += engines[index].workers[place].clear(plan, at: now)
      }
    }
    return (cut, actions)
  }
}
