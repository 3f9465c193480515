package import Vocabulary

/// One generation being put in place: the first, a successor (handover), or one after an interruption (restart).
package struct Change: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable, CaseIterable { case first, handover, restart }

  package enum Step: Hashable, Sendable {
    /// Settings are read. Exits: `opening`, `ending` (restart), the end (refused).
    case loading
    /// A restart waits until the old workers are gone. Exits: `opening`.
    case ending
    /// Listeners are made. Exits: `starting`, `restoring`, the end (refused).
    case opening(Set<ListenerID>)
    /// Exits: `proving`, `restoring` (a worker failed), the end (nothing could be started). Of one that rolls a batch.
    case starting
    /// Asked through the public address, out of sight of clients. Exits: `holding`, `trial`, `swapping`, committed,
    /// `restoring`.
    case proving(since: Instant, retryAt: Instant?)
    /// Proved, and out of sight of clients until whoever asked says so. Exits: `trial`, `swapping`, committed, `restoring`.
    case holding(until: Instant)
    /// A share of the clients meets the candidate, more from step to step. Exits: `starting` (the next batch), `swapping`,
    /// committed, `restoring`.
    case trial(Trial)
    /// Exclusive engines change over one by one. Exits: committed, `restoring`.
    case swapping(EngineName, Swap)
    /// The candidate is given up: its exclusive engines end so that the old ones can come back. Exits: the end.
    case restoring(Refusal)
  }

  package enum Swap: Hashable, Sendable {
    /// Clients wait where the new one will be, and the old one takes what is in its queues yet.
    case quietingOld(Set<ListenerID>, until: Instant)
    case endingOld, startingNew, provingNew
  }

  package let kind: Kind
  /// The first gave rise to it, the others wait for the same verdict.
  package internal(set) var operations: [OperationID]
  package let candidate: GenerationID
  /// How long the candidate may wait for `holdReleased`; nil: it does not wait.
  package let hold: Duration?
  /// The generation that serves once more, for connections that wait in a listener which a crash left.
  package let isRepeat: Bool
  package internal(set) var step: Step = .loading
  /// The engines of the candidate that never run beside those of another generation, in the order of changing over.
  var exclusive: [EngineName] = []
  /// Clients were steered to the candidate, so that its listeners may hold some.
  var hasMetClients = false
  /// Since the first batch was proved, where the workers come in batches.
  package internal(set) var roll: Roll?

  var deadline: Instant? {
    switch step {
    case .loading, .ending, .opening, .starting, .swapping, .restoring: nil
    case .proving(_, let retryAt): retryAt
    case .holding(let until): until
    case .trial(let trial): trial.askAt
    }
  }
}

extension Supervisor {
  // MARK: Asked for

  mutating func start(_ operation: OperationID) -> [Action] {
    switch phase {
    case .new: begin(.first, [operation])
    case .changing(let change): [.finish(operation, .busy(change.operations.first))]
    case .steady: [.finish(operation, .busy(nil))]
    case .stopping, .ended: [.finish(operation, .refused(.stopped, serving: serving))]
    }
  }

  mutating func reload(_ operation: OperationID, _ wish: ReloadWish) -> [Action] {
    switch phase {
    case .new, .stopping, .ended: return [.finish(operation, .refused(.stopped, serving: serving))]
    case .steady where scaling == nil && paused == nil: return begin(.handover, [operation], hold: wish.hold)
    case .steady, .changing:
      guard waitingReloads.count < Self.maxWaitingReloads else { return [.finish(operation, .busy(nil))] }
      waitingReloads.append(WaitingReload(operation: operation, wish: wish))
      return []
    }
  }

  mutating func restart(_ operation: OperationID) -> [Action] {
    switch phase {
    case .new, .stopping, .ended: return [.finish(operation, .refused(.stopped, serving: serving))]
    case .changing(let change): return [.finish(operation, .busy(change.operations.first))]
    case .steady:
      if let other = scaling?.operation ?? paused { return [.finish(operation, .busy(other))] }
      return begin(.restart, [operation])
    }
  }

  /// `repeats`: from the settings of this generation, not from those that lie on disk.
  mutating func begin(
    _ kind: Change.Kind, _ operations: [OperationID], hold: Duration? = nil, repeats: GenerationID? = nil
  ) -> [Action] {
    guard let operation = operations.first else { return [] }
    let change = Change(
      kind: kind, operations: operations, candidate: nextGeneration, hold: hold, isRepeat: repeats != nil)
    nextGeneration = nextGeneration.next
    phase = .changing(change)
    let tell: [Action] = kind == .first ? [] : [.tell(.reloading)]
    if let repeats { return tell + [.repeatSettings(operation, of: repeats, as: change.candidate)] }
    return tell + [.loadSettings(operation, as: change.candidate)]
  }

  // MARK: Settings

  mutating func settingsLoaded(_ operation: OperationID, _ plan: GenerationPlan) -> [Action] {
    guard case .changing(var change) = phase, change.step == .loading, change.operations.first == operation,
      plan.id == change.candidate
    else { return [.forget(plan.id)] }
    if change.kind == .handover { change.exclusive = plan.engines.map(\.name).filter { isExclusive($0, in: plan) } }
    generations[plan.id] = Generation(plan: plan, batch: firstBatch(of: change, plan), whole: change.exclusive)
    let note = Action.note(.generationStarting(plan.id, from: serving, operation))
    guard change.kind != .restart else {
      enter(change, .ending)
      return [note]
    }
    return [note] + openListeners(change)
  }

  mutating func releaseRefused(_ operation: OperationID, _ text: String) -> [Action] {
    guard case .changing(let change) = phase, change.step == .loading, change.operations.first == operation else {
      return []
    }
    return conclude(change, .refused(.release(text), serving: serving)) + [.forget(change.candidate)]
  }

  mutating func settingsRefused(_ operation: OperationID, _ text: String, at now: Instant) -> [Action] {
    guard case .changing(let change) = phase, change.step == .loading, change.operations.first == operation else {
      return []
    }
    let note = Action.note(.settingsRefused(text, operation))
    guard change.kind != .first else { return [note] + failStart(change, .settings(text), at: now) }
    return [note] + conclude(change, .refused(.settings(text), serving: serving)) + [.forget(change.candidate)]
  }

  // MARK: Steps

  mutating func enter(_ change: Change, _ step: Change.Step) {
    var next = change
    next.step = step
    phase = .changing(next)
  }

  mutating func advanceChange(_ change: Change, at now: Instant) -> [Action] {
    switch change.step {
    case .loading: return []
    case .ending: return advanceEnding(change, at: now)
    case .opening(let pending):
      guard pending.isEmpty else { return [] }
      enter(change, .starting)
      return steer(change) { .probes(candidate: $0, serving: $1) }
    case .starting: return advanceStarting(change, at: now)
    case .proving(let since, let retryAt): return advanceProving(change, since: since, retryAt: retryAt, at: now)
    case .holding(let until): return advanceHolding(change, until: until, at: now)
    case .trial(let trial): return advanceTrial(change, trial, at: now)
    case .swapping(let name, let swap): return advanceSwap(change, name, swap, at: now)
    case .restoring(let refusal): return advanceRestoring(change, refusal, at: now)
    }
  }

  /// A restart: the old workers go, and with them those of draining generations that may not run beside the new ones.
  private mutating func advanceEnding(_ change: Change, at now: Instant) -> [Action] {
    guard let plan = generations[change.candidate]?.plan, let serving, let old = generations[serving]?.plan else {
      return openListeners(change)
    }
    let limit = now + old.shutdown.timeout
    let actions = generations[serving]?.stopNext(of: Set(Stage.allCases), killBy: limit, at: now) ?? []
    let isHeldUp = plan.engines.contains { isExclusive($0.name, in: plan) && runs($0.name, beside: plan.id) }
    guard generations[serving]?.isGone == true, !isHeldUp else { return actions }
    generations[serving] = nil
    self.serving = nil
    let openings = openListeners(change)
    // An address that is given up may stand in the way of a new one: it goes first.
    return actions + [.note(.generationEnded(serving)), .forget(serving)] + sweep() + openings
  }

  // MARK: Ending

  /// From here on the candidate serves: clients are steered to it, the old generation drains.
  mutating func commit(_ change: Change, at now: Instant) -> [Action] {
    let old = serving
    serving = change.candidate
    generations[change.candidate]?.role = .serving
    var actions = change.operations.prefix(1).map {
      Action.note(.generationServing(change.candidate, from: old, $0))
    }
    actions += steer(change) { candidate, _ in .everyone(candidate) }
    if let old { actions += drain(old, hasMetClients: true, at: now) }
    return actions + sweep() + watchRecovered(change) + conclude(change, .done(change.candidate))
  }

  /// The candidate of a handover is no good: clients meet only the old generation again, and the candidate goes.
  mutating func abort(_ refusal: Refusal, at now: Instant) -> [Action] {
    guard case .changing(let change) = phase, change.kind == .handover else { return [] }
    if case .restoring = change.step { return [] }
    enter(change, .restoring(refusal))
    var actions = steerBack(change)
    actions += change.operations.prefix(1).map { .note(.handoverAborted(change.candidate, refusal, $0)) }
    actions += drain(change.candidate, hasMetClients: change.hasMetClients, at: now)
    for name in change.exclusive {
      guard let index = generations[change.candidate]?.index(of: name),
        let timeout = generations[change.candidate]?.engines[index].plan.stopTimeout
      else { continue }
      actions += generations[change.candidate]?.stop(index, killBy: now + timeout, at: now) ?? []
    }
    return actions
  }

  /// The first generation, or one after a restart, cannot serve, and there is no other.
  mutating func failStart(_ change: Change, _ refusal: Refusal, at now: Instant) -> [Action] {
    let answers = (change.operations + waitingReloads.map(\.operation)).map {
      Action.finish($0, .refused(refusal, serving: nil))
    }
    waitingReloads = []
    phase = .steady
    return answers + stop(.failure, at: now)
  }

  mutating func conclude(_ change: Change, _ verdict: Verdict) -> [Action] {
    phase = .steady
    let given: [Action] = change.isRepeat ? concludeRepeat(verdict) : []
    return given + [.tell(.ready)] + change.operations.map { .finish($0, verdict) }
  }
}
