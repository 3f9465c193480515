package import Vocabulary

/// One generation being put in place: the first, a successor (handover), or one after an interruption (restart).
package struct Change: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable, CaseIterable { case first, handover, restart }

  package enum Step: Hashable, Sendable {
    /// Settings are read. Exits: `opening`, `ending` (restart), the end (refused).
    case loading
    /// A restart waits until the old workers are gone. Exits: `opening`.
    case ending
    /// Listeners are made. Exits: `starting`, the end (refused).
    case opening(Set<ListenerID>)
    /// Exits: `proving`, the end (a worker failed).
    case starting
    /// Asked through the public address, out of sight of clients. Exits: `trial`, `swapping`, committed, the end.
    case proving(since: Instant, retryAt: Instant?)
    /// A share of the clients meets the candidate. Exits: `swapping`, committed, the end.
    /// `askAt` is nil while it is being asked again.
    case trial(until: Instant, askAt: Instant?)
    /// Exclusive engines change over one by one. Exits: committed, `restoring`.
    case swapping(EngineName, Swap)
    /// The candidate's exclusive engines end so that the old ones can come back. Exits: the end.
    case restoring(Refusal)
  }

  package enum Swap: Hashable, Sendable { case endingOld, startingNew, provingNew }

  package let kind: Kind
  /// The first gave rise to it, the others wait for the same verdict.
  package internal(set) var operations: [OperationID]
  package let candidate: GenerationID
  package internal(set) var step: Step = .loading

  var deadline: Instant? {
    switch step {
    case .loading, .ending, .opening, .starting, .swapping, .restoring: nil
    case .proving(_, let retryAt): retryAt
    case .trial(_, let askAt): askAt
    }
  }
}

extension Supervisor {
  // MARK: Beginning

  mutating func begin(_ kind: Change.Kind, _ operations: [OperationID]) -> [Action] {
    guard let operation = operations.first, !isStopping else { return [] }
    let change = Change(kind: kind, operations: operations, candidate: nextGeneration)
    nextGeneration = nextGeneration.next
    phase = .changing(change)
    let tell: [Action] = kind == .first ? [] : [.tell(.reloading)]
    return tell + [.loadSettings(operation, as: change.candidate)]
  }

  mutating func reload(_ operation: OperationID) -> [Action] {
    switch phase {
    case .new, .stopping, .ended: return [.finish(operation, .refused(.stopped, serving: serving))]
    case .steady where scaling == nil: return begin(.handover, [operation])
    case .steady, .changing:
      guard waitingReloads.count < Self.maxWaitingReloads else { return [.finish(operation, .busy(nil))] }
      waitingReloads.append(operation)
      return []
    }
  }

  mutating func restart(_ operation: OperationID) -> [Action] {
    switch phase {
    case .new, .stopping, .ended: return [.finish(operation, .refused(.stopped, serving: serving))]
    case .changing(let change): return [.finish(operation, .busy(change.operations.first))]
    case .steady:
      if let scaling { return [.finish(operation, .busy(scaling.operation))] }
      return begin(.restart, [operation])
    }
  }

  // MARK: Settings

  mutating func settingsLoaded(_ operation: OperationID, _ plan: GenerationPlan, at now: Instant) -> [Action] {
    guard case .changing(var change) = phase, change.step == .loading, change.operations.first == operation,
      plan.id == change.candidate
    else { return [.forget(plan.id)] }
    generations[plan.id] = Generation(plan: plan)
    let note = Action.note(.generationStarting(plan.id, from: serving, operation))
    switch change.kind {
    case .first, .handover:
      phase = .changing(change)
      return [note] + openListeners(change)
    case .restart:
      change.step = .ending
      phase = .changing(change)
      return [note]
    }
  }

  mutating func settingsRefused(_ operation: OperationID, _ text: String, at now: Instant) -> [Action] {
    guard case .changing(let change) = phase, change.step == .loading, change.operations.first == operation else {
      return []
    }
    let note = Action.note(.settingsRefused(text, operation))
    guard change.kind != .first else { return [note] + failStart(change, .settings(text), at: now) }
    return [note] + conclude(change, .refused(.settings(text), serving: serving)) + [.forget(change.candidate)]
  }

  // MARK: Listeners

  /// Gives the candidate its listeners: new ones where the generations can be told apart, else those that are there.
  private mutating func openListeners(_ change: Change) -> [Action] {
    guard let plan = generations[change.candidate]?.plan else { return [] }
    var pending: Set<ListenerID> = []
    var actions: [Action] = []
    for socket in plan.sockets {
      let listener = ListenerID(key: socket.key, number: nextListener)
      guard var group = groups[socket.key] else {
        nextListener += 1
        groups[socket.key] = SteeringGroup(kind: socket.steering, first: listener)
        pending.insert(listener)
        actions.append(.open(listener, socket: socket.name, generation: change.candidate))
        generations[change.candidate]?.bindings[socket.name] = listener
        continue
      }
      if change.kind != .handover || group.kind != socket.steering || group.kind == .shared || plan.isKept(socket.name)
      {
        generations[change.candidate]?.bindings[socket.name] = group.serving
        continue
      }
      let admitted = group.admit(listener)
      groups[socket.key] = group
      generations[change.candidate]?.bindings[socket.name] = admitted.listener
      if admitted.listener == listener {
        nextListener += 1
        pending.insert(listener)
        actions.append(.open(listener, socket: socket.name, generation: change.candidate))
      }
    }
    return actions + enter(change, .opening(pending))
  }

  mutating func listenerOpened(_ listener: ListenerID) -> [Action] {
    guard case .changing(let change) = phase, case .opening(var pending) = change.step,
      pending.remove(listener) != nil
    else { return [] }
    return enter(change, .opening(pending))
  }

  mutating func listenerRefused(_ listener: ListenerID, _ text: String, at now: Instant) -> [Action] {
    forgetListener(listener)
    guard case .changing(let change) = phase, case .opening(let pending) = change.step, pending.contains(listener)
    else { return [] }
    if change.kind == .handover { return abort(.listener(listener, text), at: now) }
    return failStart(change, .listener(listener, text), at: now)
  }

  mutating func listenerMustBeShared(_ listener: ListenerID) -> [Action] {
    forgetListener(listener)
    guard case .changing(let change) = phase, case .opening(var pending) = change.step,
      pending.remove(listener) != nil, let group = groups[listener.key]
    else { return [] }
    for (name, bound) in generations[change.candidate]?.bindings ?? [:] where bound == listener {
      generations[change.candidate]?.bindings[name] = group.serving
    }
    return enter(change, .opening(pending))
  }

  /// It never came to be: the kernel's order has no place for it.
  private mutating func forgetListener(_ listener: ListenerID) {
    if groups[listener.key]?.members == [listener] {
      groups[listener.key] = nil
    } else {
      groups[listener.key]?.refused(listener)
    }
  }

  mutating func listenerLeft(_ listener: ListenerID, at now: Instant) -> [Action] {
    guard var group = groups[listener.key], group.members.contains(listener) else { return [] }
    let steps = group.left(listener)
    groups[listener.key] = group
    var actions: [Action] = [.note(.listenerLeft(listener))] + self.actions(steps, of: listener.key)
    if case .changing(let change) = phase, change.kind == .handover,
      generations[change.candidate]?.bindings.values.contains(listener) == true,
      serving.flatMap({ generations[$0]?.bindings.values.contains(listener) }) != true
    {
      actions += abort(.listenerLeft(listener), at: now)
    }
    return actions
  }

  func actions(_ steps: [SteeringGroup.Step], of key: SocketKey) -> [Action] {
    steps.map { step in
      switch step {
      case .join(let listener): .join(listener)
      case .attach(let program, let rule): .attach(key, program, rule)
      case .close(let listener): .close(listener)
      case .relisten(let listener): .relisten(listener)
      }
    }
  }

  /// Steers every address of the candidate by `rule`, which gets the candidate's listener and the serving one.
  private mutating func steer(
    _ change: Change, _ rule: (_ candidate: ListenerID, _ serving: ListenerID) -> SteeringRule
  ) -> [Action] {
    var actions: [Action] = []
    for listener in Set((generations[change.candidate]?.bindings ?? [:]).values).sorted() {
      guard var group = groups[listener.key] else { continue }
      let next = listener == group.serving ? .everyone(listener) : rule(listener, group.serving)
      let steps = group.steer(next)
      groups[listener.key] = group
      actions += self.actions(steps, of: listener.key)
    }
    return actions
  }

  // MARK: Steps

  private mutating func enter(_ change: Change, _ step: Change.Step) -> [Action] {
    var next = change
    next.step = step
    phase = .changing(next)
    return []
  }

  mutating func advanceChange(_ change: Change, at now: Instant) -> [Action] {
    switch change.step {
    case .loading: return []
    case .ending: return advanceEnding(change, at: now)
    case .opening(let pending):
      guard pending.isEmpty else { return [] }
      _ = enter(change, .starting)
      return steer(change) { .probes(candidate: $0, serving: $1) } + startNext(change, at: now)
    case .starting: return advanceStarting(change, at: now)
    case .proving(let since, let retryAt): return advanceProving(change, since: since, retryAt: retryAt, at: now)
    case .trial(let until, let askAt): return advanceTrial(change, until: until, askAt: askAt, at: now)
    case .swapping(let name, let swap): return advanceSwap(change, name, swap, at: now)
    case .restoring(let refusal): return advanceRestoring(change, refusal, at: now)
    }
  }

  /// Which engines of the candidate start before it is committed to: in a handover only those that may overlap.
  private func startable(_ change: Change) -> Set<EngineName> {
    let engines = generations[change.candidate]?.engines ?? []
    return Set(engines.filter { change.kind != .handover || $0.plan.handover == .overlap }.map(\.plan.name))
  }

  private mutating func startNext(_ change: Change, at now: Instant) -> [Action] {
    let names = startable(change)
    return generations[change.candidate]?.startNext(of: names, at: now) ?? []
  }

  private mutating func advanceEnding(_ change: Change, at now: Instant) -> [Action] {
    guard let serving, var old = generations[serving] else { return openListeners(change) }
    guard !old.isGone else {
      generations[serving] = nil
      self.serving = nil
      return [.note(.generationEnded(serving)), .forget(serving)] + openListeners(change) + closeUnbound()
    }
    let actions = old.stopNext(of: Set(Stage.allCases), killBy: now + old.plan.shutdown.timeout, at: now)
    generations[serving] = old
    return actions
  }

  private mutating func advanceStarting(_ change: Change, at now: Instant) -> [Action] {
    let actions = startNext(change, at: now)
    let names = startable(change)
    guard actions.isEmpty,
      let engines = generations[change.candidate]?.engines.filter({ names.contains($0.plan.name) }),
      engines.allSatisfy(\.hasSettled)
    else { return actions }
    if change.kind != .handover, !engines.isEmpty, engines.allSatisfy(\.hasFailed) {
      return failStart(change, .nothingStarted, at: now)
    }
    _ = enter(change, .proving(since: now, retryAt: nil))
    return [.note(.generationProving(change.candidate))] + ask(names, of: change.candidate)
  }

  private mutating func ask(_ names: Set<EngineName>, of id: GenerationID) -> [Action] {
    guard var generation = generations[id] else { return [] }
    let actions = generation.engines.indices.flatMap { index in
      names.contains(generation.engines[index].plan.name) && !generation.engines[index].hasFailed
        ? generation.prove(index) : []
    }
    generations[id] = generation
    return actions
  }

  mutating func proofAnswered(_ id: GenerationID, _ name: EngineName, number: Int, failure: String?) -> [Action] {
    generations[id]?.proofAnswered(name, number: number, failure: failure)
    return []
  }

  /// nil while questions are open.
  private func proof(of names: Set<EngineName>, in id: GenerationID) -> Result<Void, ProofFailure>? {
    let engines = (generations[id]?.engines ?? []).filter { names.contains($0.plan.name) }
    for engine in engines {
      if let failure = engine.proof?.failure { return .failure(ProofFailure(engine: engine.plan.name, text: failure)) }
    }
    return engines.allSatisfy { $0.proof?.isPassed ?? true } ? .success(()) : nil
  }

  private mutating func advanceProving(_ change: Change, since: Instant, retryAt: Instant?, at now: Instant) -> [Action]
  {
    let names = startable(change)
    if let retryAt {
      guard retryAt <= now else { return [] }
      _ = enter(change, .proving(since: since, retryAt: nil))
      return ask(names, of: change.candidate)
    }
    switch proof(of: names, in: change.candidate) {
    case nil: return []
    case .failure(let failure):
      if change.kind == .handover { return abort(.disproved(failure.engine, failure.text), at: now) }
      // Nothing else serves: it is asked again while its time to start lasts.
      let limit = generations[change.candidate]?.engine(failure.engine)?.plan.startTimeout ?? .zero
      guard now + .seconds(1) < since + limit else {
        return failStart(change, .disproved(failure.engine, failure.text), at: now)
      }
      return enter(change, .proving(since: since, retryAt: now + .seconds(1)))
    case .success:
      if change.kind == .handover, let trial = generations[change.candidate]?.plan.trial {
        _ = enter(change, .trial(until: now + trial.duration, askAt: now + min(trial.duration, .seconds(1))))
        return steer(change) { .share(trial.share, candidate: $0, serving: $1) }
          + [.note(.generationOnTrial(change.candidate, trial.share, trial.duration))]
      }
      return swapNext(change, after: nil, at: now)
    }
  }

  private mutating func advanceTrial(_ change: Change, until: Instant, askAt: Instant?, at now: Instant) -> [Action] {
    let names = startable(change)
    switch proof(of: names, in: change.candidate) {
    case .failure(let failure): return abort(.disproved(failure.engine, failure.text), at: now)
    case nil: return []
    case .success: break
    }
    guard let askAt else {
      // This round went well. One ends the trial.
      if now >= until { return swapNext(change, after: nil, at: now) }
      return enter(change, .trial(until: until, askAt: min(until, now + .seconds(1))))
    }
    guard now >= askAt else { return [] }
    _ = enter(change, .trial(until: until, askAt: nil))
    return ask(names, of: change.candidate)
  }

  // MARK: Exclusive engines

  private mutating func swapNext(_ change: Change, after last: EngineName?, at now: Instant) -> [Action] {
    let exclusive =
      change.kind == .handover
      ? (generations[change.candidate]?.engines ?? []).filter { $0.plan.handover == .exclusive }.map(\.plan.name) : []
    let rest = last.flatMap { exclusive.firstIndex(of: $0) }.map { exclusive.suffix(from: $0 + 1) } ?? exclusive[...]
    guard let next = rest.first else { return commit(change, at: now) }
    _ = enter(change, .swapping(next, .endingOld))
    guard let serving, let index = generations[serving]?.index(of: next),
      let timeout = generations[serving]?.engines[index].plan.stopTimeout
    else { return advanceSwap(change, next, .endingOld, at: now) }
    return generations[serving]?.stop(index, killBy: now + timeout, at: now) ?? []
  }

  private mutating func advanceSwap(_ change: Change, _ name: EngineName, _ swap: Change.Swap, at now: Instant)
    -> [Action]
  {
    guard let index = generations[change.candidate]?.index(of: name) else { return [] }
    switch swap {
    case .endingOld:
      if let old = serving.flatMap({ generations[$0]?.engine(name) }), !old.isGone { return [] }
      // A generation that still drains may run it as well.
      let others = generations.values.contains { $0.id != change.candidate && $0.engine(name)?.isGone == false }
      guard !others else { return [] }
      _ = enter(change, .swapping(name, .startingNew))
      return generations[change.candidate]?.start(index, at: now) ?? []
    case .startingNew:
      guard generations[change.candidate]?.engines[index].isReady == true else { return [] }
      _ = enter(change, .swapping(name, .provingNew))
      return ask([name], of: change.candidate)
    case .provingNew:
      switch proof(of: [name], in: change.candidate) {
      case nil: return []
      case .failure(let failure): return abort(.disproved(failure.engine, failure.text), at: now)
      case .success: return swapNext(change, after: name, at: now)
      }
    }
  }

  private mutating func advanceRestoring(_ change: Change, _ refusal: Refusal, at now: Instant) -> [Action] {
    guard let serving, let old = generations[serving] else { return conclude(change, .refused(refusal, serving: nil)) }
    let ended = old.engines.indices.filter {
      old.engines[$0].plan.handover == .exclusive && old.engines[$0].phase == .ending
    }
    var actions: [Action] = []
    var waits = false
    for index in ended {
      let name = old.engines[index].plan.name
      let isHeldUp =
        !old.engines[index].isGone
        || generations.values.contains { $0.id != serving && $0.engine(name)?.isGone == false }
      if isHeldUp { waits = true } else { actions += generations[serving]?.start(index, at: now) ?? [] }
    }
    return waits ? actions : actions + conclude(change, .refused(refusal, serving: serving))
  }

  // MARK: Ending

  /// From here on the candidate serves: clients are steered to it, the old generation drains.
  private mutating func commit(_ change: Change, at now: Instant) -> [Action] {
    let old = serving
    serving = change.candidate
    generations[change.candidate]?.role = .serving
    var actions = change.operations.prefix(1).map {
      Action.note(.generationServing(change.candidate, from: old, $0))
    }
    actions += steer(change) { candidate, _ in .everyone(candidate) }
    if let old, old != change.candidate { actions += drain(old, at: now) }
    return actions + conclude(change, .done(change.candidate))
  }

  /// The candidate is no good: clients meet only the old generation again, and the candidate goes.
  mutating func abort(_ refusal: Refusal, at now: Instant) -> [Action] {
    guard case .changing(let change) = phase, change.kind == .handover else { return [] }
    if case .restoring = change.step { return [] }
    var actions = steer(change) { _, serving in .everyone(serving) }
    actions += change.operations.prefix(1).map { .note(.handoverAborted(change.candidate, refusal, $0)) }
    actions += drain(change.candidate, at: now)
    for index in generations[change.candidate]?.engines.indices ?? 0..<0 {
      guard let plan = generations[change.candidate]?.engines[index].plan, plan.handover == .exclusive else { continue }
      actions += generations[change.candidate]?.stop(index, killBy: now + plan.stopTimeout, at: now) ?? []
    }
    _ = enter(change, .restoring(refusal))
    return actions
  }

  /// The first generation, or one after a restart, cannot serve, and there is no other.
  private mutating func failStart(_ change: Change, _ refusal: Refusal, at now: Instant) -> [Action] {
    let answers = (change.operations + waitingReloads).map { Action.finish($0, .refused(refusal, serving: nil)) }
    waitingReloads = []
    phase = .steady
    return answers + stop(.failure, at: now)
  }

  mutating func conclude(_ change: Change, _ verdict: Verdict) -> [Action] {
    phase = .steady
    return [.tell(.ready)] + change.operations.map { .finish($0, verdict) }
  }
}

private struct ProofFailure: Error {
  let engine: EngineName
  let text: String
}
