package import Vocabulary

/// How far a candidate is that comes batch by batch.
package struct Roll: Hashable, Sendable {
  /// Batches that were begun, with the first.
  var batches = 1
  /// As in ``Trial/round``, over all batches.
  var round = 0
  /// Workers of the serving generation that made room: they come back if the candidate is given up.
  package internal(set) var yielded: [WorkerID] = []
}

/// The workers of a candidate come in batches. Each starts beside the serving generation and is proved as the first one
/// was; then the candidate meets the part of the clients that it has of its workers, and as many of the serving
/// generation make room. The pause after it is a trial. Of each engine one worker stays until the candidate is committed
/// to, so that there is always somebody to steer back to: at once, whatever is left, and those that made room come back.
extension Supervisor {
  /// How many workers of an engine a candidate begins with; nil: all of them.
  func firstBatch(of change: Change, _ plan: GenerationPlan) -> Int? {
    change.kind == .handover && !change.isRepeat ? plan.trial?.batch : nil
  }

  /// A batch is proved: a pause, or after the last one the rest.
  mutating func endBatch(_ change: Change, at now: Instant) -> [Action] {
    guard let candidate = generations[change.candidate], let trial = candidate.plan.trial, !candidate.isFull else {
      return swapNext(change, after: nil, at: now)
    }
    var change = change
    let roll = change.roll ?? Roll()
    change.roll = roll
    let pause = Trial(
      step: roll.batches - 1, until: now + trial.duration, askAt: now + min(trial.duration, Self.proofInterval),
      round: roll.round)
    let count = candidate.batches(of: trial.batch ?? 1, without: change.exclusive)
    let note = Action.note(.generationRolling(change.candidate, batch: roll.batches, of: count, trial.duration))
    enter(change, .trial(pause))
    let steering = steer(change) { .share(candidate.part(at: $0), candidate: $0, serving: $1) }
    // Clients meet the new workers before the old ones go.
    let ending = makeRoom(&change, at: now)
    enter(change, .trial(pause))
    return [note] + steering + ending
  }

  /// The next batch, once those that made room for the last one are gone: never more run than one batch too many.
  mutating func nextBatch(_ change: Change, _ roll: Roll, _ trial: Trial, at now: Instant) -> [Action] {
    guard roll.yielded.allSatisfy({ worker($0)?.isGone ?? true }) else {
      goOn(change, trial, at: now)
      return []
    }
    var change = change
    change.roll?.batches += 1
    change.roll?.round = trial.round
    let names = startable(change)
    let actions = generations[change.candidate]?.grow(names, at: now) ?? []
    enter(change, .starting)
    return actions
  }

  private mutating func makeRoom(_ change: inout Change, at now: Instant) -> [Action] {
    guard let serving, let candidate = generations[change.candidate] else { return [] }
    var actions: [Action] = []
    for engine in candidate.engines where !change.exclusive.contains(engine.plan.name) {
      guard let old = generations[serving]?.engine(engine.plan.name), old.phase == .started else { continue }
      let missing = engine.plan.workers - engine.workers.count
      let all = old.wanted + (change.roll?.yielded.count { $0.engine == engine.plan.name } ?? 0)
      let left = max(1, (all * missing + engine.plan.workers - 1) / max(1, engine.plan.workers))
      for id in old.dispensable.prefix(max(0, old.wanted - left)) {
        change.roll?.yielded.append(id)
        actions += update(id) { worker, plan in worker.stop(killAt: now + plan.stopTimeout, plan, at: now) }
      }
    }
    return actions
  }

  /// The candidate is given up: whoever made room for it starts again as soon as its place is free. nil: all have.
  mutating func callBack(_ change: Change, at now: Instant) -> [Action]? {
    var actions: [Action] = []
    var isWaiting = false
    for id in change.roll?.yielded ?? [] {
      guard let worker = worker(id), !worker.isWanted else { continue }
      guard worker.isGone else {
        isWaiting = true
        continue
      }
      actions += update(id) { worker, plan in
        worker.isWanted = true
        return worker.hasFailed ? [] : worker.start(plan, at: now)
      }
    }
    return isWaiting || !actions.isEmpty ? actions : nil
  }
}

extension Generation {
  /// It has as many workers as its settings say.
  var isFull: Bool { engines.allSatisfy { $0.workers.count >= $0.plan.workers } }

  func batches(of size: Int, without others: [EngineName]) -> Int {
    engines.filter { !others.contains($0.plan.name) }.map { ($0.plan.workers + size - 1) / max(1, size) }.max() ?? 1
  }

  /// The part of its workers at a listener that is there.
  func part(at listener: ListenerID) -> Share {
    let users = engines.filter { $0.plan.sockets.contains { bindings[$0] == listener } }
    let wanted = users.reduce(0) { $0 + $1.plan.workers }
    guard wanted > 0 else { return .none }
    let there = users.reduce(0) { $0 + min($1.workers.count, $1.plan.workers) }
    return Share(clamping: UInt32(10_000 * there / wanted))
  }

  /// Another batch of each engine of `names`.
  fileprivate mutating func grow(_ names: Set<EngineName>, at now: Instant) -> [Action] {
    var actions: [Action] = []
    for index in engines.indices where names.contains(engines[index].plan.name) {
      let plan = engines[index].plan
      let there = engines[index].workers.count
      for slot in (there + 1)..<(max(there, min(plan.workers, there + (self.plan.trial?.batch ?? 1))) + 1) {
        var worker = Worker(id: WorkerID(generation: id, engine: plan.name, slot: slot, run: 0))
        actions += worker.start(plan, at: now)
        engines[index].workers.append(worker)
      }
    }
    return actions
  }
}

extension Engine {
  /// In the order in which they may be done without: first those that are not at work, and none that is being replaced.
  fileprivate var dispensable: [WorkerID] {
    let free = workers.filter { one in
      one.isWanted && one.part == .regular && workers.count { $0.id.slot == one.id.slot } == 1
    }
    return (free.filter { !$0.isReady } + free.filter(\.isReady)).map(\.id)
  }
}
