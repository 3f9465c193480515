package import Vocabulary

/// When a worker that is well is replaced by a fresh one. nil: never for that reason.
package struct RecyclingPlan: Hashable, Sendable {
  /// What it may take; looked at every ``lookInterval``.
  package let memory: ByteCount?
  /// How long it may be at work. Each worker gets up to a fifth less, so that those started together do not go together.
  package let age: Duration?
  /// How many requests it may have answered, as it says itself.
  package let requests: UInt64?

  package static let lookInterval = Duration.seconds(5)
  /// Before it is tried again with one whose successor did not become ready.
  package static let patience = Duration.seconds(60)

  package init(memory: ByteCount? = nil, age: Duration? = nil, requests: UInt64? = nil) {
    self.memory = memory
    self.age = age
    self.requests = requests
  }
}

/// Why a worker that is well is replaced.
package enum RecycleReason: Hashable, Sendable {
  case memory(ByteCount, limit: ByteCount)
  case age(Duration)
  case requests(UInt64, limit: UInt64)
}

/// Workers that are well and are replaced all the same. In an engine one at a time, and only while all others are ready:
/// the successor starts beside the one it replaces, which is told to end once the successor is ready. An exclusive engine
/// never runs twice: there the old one ends first.
extension Supervisor {
  mutating func measured(_ id: WorkerID, memory: ByteCount, at now: Instant) -> [Action] {
    update(id) { worker, plan in
      if let limit = plan.recycling?.memory, memory >= limit {
        worker.becomeDue(.memory(memory, limit: limit), at: now)
      }
      return []
    }
  }

  mutating func served(_ id: WorkerID, requests: UInt64, at now: Instant) -> [Action] {
    update(id) { worker, plan in
      if let limit = plan.recycling?.requests, requests >= limit {
        worker.becomeDue(.requests(requests, limit: limit), at: now)
      }
      return []
    }
  }

  /// Goes on with what was begun, and begins what is due where nothing else is under way.
  mutating func advanceRecycling(mayBegin: Bool, at now: Instant) -> [Action] {
    guard let serving, var generation = generations[serving] else { return [] }
    let mayBegin =
      mayBegin && scaling == nil && paused == nil && waitingReloads.isEmpty && !hasQueuesToServe
    var actions: [Action] = []
    for index in generation.engines.indices where generation.engines[index].phase == .started {
      let engine = generation.engines[index]
      if engine.isRecycling {
        actions += generation.engines[index].goOnRecycling(at: now)
      } else if mayBegin, let next = engine.nextToRecycle {
        actions += generation.engines[index].recycle(next, at: now)
      }
    }
    if !actions.isEmpty || generation != generations[serving] { generations[serving] = generation }
    return actions
  }
}

extension Engine {
  /// A worker of it is being replaced though it is well.
  package var isRecycling: Bool { workers.contains { $0.part != .regular } }

  /// How many workers there are to be.
  package var wanted: Int {
    Set(workers.filter { $0.isWanted || $0.part == .leaving || phase == .standby }.map(\.id.slot)).count
  }

  /// As many work as there are to be.
  package var isWhole: Bool {
    phase == .standby ? !hasFailed : workers.count { $0.isReady && $0.part != .successor } >= wanted
  }

  /// Where the one is that is due, if all of them are at work.
  var nextToRecycle: Int? {
    guard plan.recycling != nil, let next = workers.firstIndex(where: { $0.due != nil && $0.isReady }),
      workers.allSatisfy({ $0.isReady && $0.isWanted })
    else { return nil }
    return next
  }

  mutating func recycle(_ place: Int, at now: Instant) -> [Action] {
    guard let reason = workers[place].due else { return [] }
    let old = workers[place].id
    let note = Action.note(.workerRecycling(old, reason))
    guard plan.handover == .overlap else {
      workers[place].part = .leaving
      return [note] + workers[place].stop(killAt: now + plan.stopTimeout, plan, at: now)
    }
    var successor = Worker(id: old)
    successor.part = .successor
    successor.restarts = workers[place].restarts
    successor.recyclings = workers[place].recyclings + 1
    let actions = successor.start(plan, at: now)
    workers.append(successor)
    return [note] + actions
  }

  mutating func goOnRecycling(at now: Instant) -> [Action] {
    guard let next = workers.firstIndex(where: { $0.part == .successor }) else { return endBeforeStart(at: now) }
    guard let place = workers.firstIndex(where: { $0.id.slot == workers[next].id.slot && $0.part != .successor }) else {
      // Whom it was to replace was taken away meanwhile.
      workers[next].part = .regular
      return []
    }
    if workers[next].isReady {
      // One of the others is being replaced after a crash: until it is back, both stay at work.
      guard workers.allSatisfy({ $0.id.slot == workers[next].id.slot || $0.isReady || $0.hasFailed || !$0.isWanted })
      else { return [] }
      // From now on it is as any other, and the old one is only to end.
      workers[next].part = .regular
      workers.swapAt(next, place)
      if workers[next].isGone {
        workers.remove(at: next)
        return [.note(.workerRecycled(workers[place].id))]
      }
      workers[next].part = .leaving
      return workers[next].stop(killAt: now + plan.stopTimeout, plan, at: now)
    }
    guard workers[next].isGone else { return [] }
    return giveUp(next, place, at: now)
  }

  /// The successor did not become ready, or was told to end: the old one stays.
  private mutating func giveUp(_ next: Int, _ place: Int, at now: Instant) -> [Action] {
    let successor = workers.remove(at: next)
    workers[place].part = .regular
    workers[place].spare(until: now + RecyclingPlan.patience, plan)
    let note = Action.note(.workerNotRecycled(workers[place].id, successor.lastFault))
    guard workers[place].state == .idle, successor.isWanted else { return [note] }
    // It died meanwhile; the numbers of the successor are used up.
    workers[place].id = successor.id
    return [note] + workers[place].start(plan, at: now)
  }

  /// The old one has ended: of an exclusive engine the fresh one starts in its place, else it is there.
  private mutating func endBeforeStart(at now: Instant) -> [Action] {
    guard let place = workers.firstIndex(where: { $0.part == .leaving }), workers[place].isGone else { return [] }
    guard plan.handover == .exclusive else {
      let old = workers.remove(at: place)
      return workers.first { $0.id.slot == old.id.slot }.map { [.note(.workerRecycled($0.id))] } ?? []
    }
    workers[place].part = .regular
    workers[place].recyclings += 1
    return workers[place].start(plan, at: now)
  }
}

extension Worker {
  /// What it is while its engine replaces a worker that is well.
  package enum Part: String, Hashable, Sendable, CaseIterable {
    case regular
    /// It is to take the place of another when it is ready.
    case successor
    /// It was told to end for its successor.
    case leaving
  }

  /// It has become ready: from now on it grows older.
  mutating func watch(_ plan: EnginePlan, since now: Instant) {
    due = nil
    lookAt = plan.recycling?.memory.map { _ in now + RecyclingPlan.lookInterval }
    recycleAt = plan.recycling?.age.map { age in
      let place = UInt64(id.slot) << 32 | UInt64(id.run)
      var dice = SplitMix64(seed: UInt64(bitPattern: now.nanoseconds) ^ place)
      let less = (age / 5) * Int(dice.next() % 1_000) / 1_000
      return now + (age - less)
    }
  }

  /// The first reason counts; what comes after it changes nothing.
  mutating func becomeDue(_ reason: RecycleReason, at now: Instant) {
    guard isReady, due == nil, now >= sparedUntil ?? now else { return }
    due = reason
  }

  mutating func spare(until instant: Instant, _ plan: EnginePlan) {
    due = nil
    sparedUntil = instant
    if recycleAt != nil { recycleAt = instant }
    if lookAt != nil { lookAt = instant }
  }

  /// When it is next to be looked at, or has been at work long enough.
  var recycleDeadline: Instant? {
    guard due == nil else { return nil }
    return [lookAt, recycleAt].compactMap { $0 }.min()
  }

  /// Its time for a look has come, or its age.
  mutating func recycleTimeIsUp(_ plan: EnginePlan, at now: Instant) -> [Action] {
    if let at = recycleAt, at <= now, case .ready(let since) = state {
      recycleAt = nil
      becomeDue(.age(now - since), at: now)
      return []
    }
    guard let at = lookAt, at <= now else { return [] }
    lookAt = now + RecyclingPlan.lookInterval
    return [.measure(id)]
  }

  /// The supervisor was away for so long: what it did not see or ask for does not count.
  mutating func forgive(_ gap: Duration, _ plan: EnginePlan, isStopping: Bool, at now: Instant) {
    switch state {
    case .starting(let since, let readyAt, let deadline):
      state = .starting(since: since, readyAt: readyAt, deadline: deadline + gap)
    case .ready:
      if let by = liveBy, let liveness = plan.liveness { liveBy = max(by, now + liveness.every) }
    case .stopping(var stopping) where !isStopping:
      stopping.killAt = stopping.killAt + gap
      if case .finishing(let saveAt?) = stopping.step { stopping.step = .finishing(saveAt: saveAt + gap) }
      state = .stopping(stopping)
    case .stopping, .idle, .waiting, .clearing, .failed: break
    }
  }
}

extension LivenessPlan {
  var every: Duration {
    switch self {
    case .told(let every), .asked(let every, _): every
    }
  }
}

extension Supervisor {
  /// It was stopped, or the host was: nobody is punished for what happened meanwhile. A shutdown keeps its budget.
  mutating func wasAway(_ gap: Duration, at now: Instant) -> [Action] {
    if phase == .ended { return [] }
    let isStopping = isStopping
    for id in generations.keys { generations[id]?.forgive(gap, isStopping: isStopping, at: now) }
    return [.note(.supervisorAway(gap))]
  }
}

extension Generation {
  fileprivate mutating func forgive(_ gap: Duration, isStopping: Bool, at now: Instant) {
    for index in engines.indices {
      let plan = engines[index].plan
      for place in engines[index].workers.indices {
        engines[index].workers[place].forgive(gap, plan, isStopping: isStopping, at: now)
      }
    }
  }
}
