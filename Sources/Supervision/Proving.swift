import Vocabulary

/// A candidate starts and is asked through the public address.
extension Supervisor {
  /// Between two rounds of questions to a candidate.
  static let proofInterval = Duration.seconds(1)

  /// Which engines of the candidate start before it is committed to: in a handover only those that may overlap.
  func startable(_ change: Change) -> Set<EngineName> {
    Set((generations[change.candidate]?.engines ?? []).map(\.plan.name)).subtracting(change.exclusive)
  }

  mutating func advanceStarting(_ change: Change, at now: Instant) -> [Action] {
    let names = startable(change)
    if change.kind != .handover, let refusal = hopelessStart(of: names, in: change.candidate) {
      return failStart(change, refusal, at: now)
    }
    let actions = startNext(of: names, in: change.candidate, at: now)
    guard actions.isEmpty,
      let engines = generations[change.candidate]?.engines.filter({ names.contains($0.plan.name) }),
      engines.allSatisfy(\.hasSettled)
    else { return actions }
    if change.kind != .handover, !engines.isEmpty, engines.allSatisfy(\.hasFailed) {
      return failStart(change, .nothingStarted, at: now)
    }
    enter(change, .proving(since: now, retryAt: nil))
    let note = change.roll == nil ? [Action.note(.generationProving(change.candidate))] : []
    return note + ask(names, of: change.candidate)
  }

  private mutating func startNext(of names: Set<EngineName>, in id: GenerationID, at now: Instant) -> [Action] {
    guard var generation = generations[id] else { return [] }
    let actions = generation.startNext(of: names, at: now) { mayStart($0) }
    generations[id] = generation
    return actions
  }

  /// Nothing serves yet, no engine has a worker that works, and each that was started keeps crashing: whoever waits for
  /// the start learns it now and not after the last retry. With one engine at work the others are retried.
  private func hopelessStart(of names: Set<EngineName>, in id: GenerationID) -> Refusal? {
    let engines = (generations[id]?.engines ?? []).filter { names.contains($0.plan.name) && $0.phase == .started }
    guard !engines.isEmpty, !engines.contains(where: { $0.workers.contains(where: \.isReady) }) else { return nil }
    let worst = engines.map { engine in engine.workers.first { $0.crashes >= Self.hopelessAfter } }
    guard worst.allSatisfy({ $0 != nil }), let first = worst.first, let worker = first, let fault = worker.lastFault
    else { return nil }
    return .worker(worker.id, fault)
  }

  private static var hopelessAfter: Int { 3 }

  mutating func advanceProving(_ change: Change, since: Instant, retryAt: Instant?, at now: Instant) -> [Action] {
    let names = startable(change)
    if let retryAt {
      guard retryAt <= now else { return [] }
      enter(change, .proving(since: since, retryAt: nil))
      return ask(names, of: change.candidate)
    }
    switch proof(of: names, in: change.candidate) {
    case .open: return []
    case .failed(let engine, let text):
      if change.kind == .handover { return abort(.disproved(engine, text), at: now) }
      // Nothing else serves: it is asked again while its time to start lasts.
      let limit = generations[change.candidate]?.engine(engine)?.plan.startTimeout ?? .zero
      guard now + Self.proofInterval < since + limit else {
        return failStart(change, .disproved(engine, text), at: now)
      }
      enter(change, .proving(since: since, retryAt: now + Self.proofInterval))
      return []
    case .passed:
      // Whoever waited for the first batch has had its word.
      guard let time = change.hold, change.roll == nil else { return tryOut(change, at: now) }
      return hold(change, for: time, at: now)
    }
  }

  // MARK: Questions

  enum Outcome {
    case open, passed
    case failed(EngineName, String)
  }

  mutating func ask(_ names: Set<EngineName>, of id: GenerationID) -> [Action] {
    (generations[id]?.engines.indices ?? 0..<0).flatMap { index -> [Action] in
      guard let engine = generations[id]?.engines[index], names.contains(engine.plan.name), !engine.hasFailed else {
        return []
      }
      return generations[id]?.prove(index) ?? []
    }
  }

  mutating func proofAnswered(_ id: GenerationID, _ name: EngineName, number: Int, failure: String?) -> [Action] {
    generations[id]?.proofAnswered(name, number: number, failure: failure)
    return []
  }

  func proof(of names: Set<EngineName>, in id: GenerationID) -> Outcome {
    let engines = (generations[id]?.engines ?? []).filter { names.contains($0.plan.name) && $0.phase != .standby }
    for engine in engines {
      if let failure = engine.proof?.failure { return .failed(engine.plan.name, failure) }
    }
    return engines.allSatisfy { $0.proof?.isPassed ?? true } ? .passed : .open
  }
}
