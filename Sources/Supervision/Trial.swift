import Vocabulary

/// How a candidate on trial stands: which step of the plan, and what the settings' own check says.
package struct Trial: Hashable, Sendable {
  package enum Check: Hashable, Sendable {
    /// Not asked in this round, or not answered.
    case open
    case passed
    case failed(String)
  }

  /// The place in ``TrialPlan/shares``, or of the batch.
  package let step: Int
  /// A round that goes well after this is the last one of the step.
  let until: Instant
  /// nil while it is being asked.
  var askAt: Instant?
  /// Rounds over all steps: a late answer of the check is known by its number.
  var round: Int
  var check: Check = .open
}

/// A proven candidate meets a share of the clients, and a larger one from step to step. In each round it is asked through
/// the public address again, and the settings' own check is asked; one failure, or a worker of it that ends or hangs,
/// steers all clients back at once.
extension Supervisor {
  /// Proved: clients may meet it, at first a share of them where the settings say so.
  mutating func tryOut(_ change: Change, at now: Instant) -> [Action] {
    guard change.kind == .handover, !change.isRepeat, let plan = generations[change.candidate]?.plan.trial else {
      return swapNext(change, after: nil, at: now)
    }
    var change = change
    change.hasMetClients = true
    return plan.batch == nil ? beginStep(change, 0, round: 0, at: now) : endBatch(change, at: now)
  }

  private mutating func beginStep(_ change: Change, _ step: Int, round: Int, at now: Instant) -> [Action] {
    guard let plan = generations[change.candidate]?.plan.trial, plan.shares.indices.contains(step) else {
      return swapNext(change, after: nil, at: now)
    }
    let share = plan.shares[step]
    enter(
      change,
      .trial(
        Trial(
          step: step, until: now + plan.duration, askAt: now + min(plan.duration, Self.proofInterval), round: round)))
    return [.note(.generationOnTrial(change.candidate, share, plan.duration))]
      + steer(change) { .share(share, candidate: $0, serving: $1) }
  }

  mutating func advanceTrial(_ change: Change, _ trial: Trial, at now: Instant) -> [Action] {
    if let askAt = trial.askAt { return askAt <= now ? beginRound(change, trial) : [] }
    switch (proof(of: startable(change), in: change.candidate), trial.check) {
    case (.failed(let engine, let text), _): return abort(.disproved(engine, text), at: now)
    // Whoever has not answered yet is not waited for.
    case (.open, .failed(let text)), (.passed, .failed(let text)): return abort(.failedCheck(text), at: now)
    case (.open, .open), (.open, .passed), (.passed, .open): return []
    case (.passed, .passed): break
    }
    if trial.until <= now {
      return change.roll.map { nextBatch(change, $0, trial, at: now) }
        ?? beginStep(change, trial.step + 1, round: trial.round, at: now)
    }
    goOn(change, trial, at: now)
    return []
  }

  /// Another round, the last one at the end of the step or, where that is over, as long as it takes.
  mutating func goOn(_ change: Change, _ trial: Trial, at now: Instant) {
    var next = trial
    let askAt = now + Self.proofInterval
    next.askAt = trial.until <= now ? askAt : min(trial.until, askAt)
    enter(change, .trial(next))
  }

  /// All are asked at once; the next round comes when each has answered.
  private mutating func beginRound(_ change: Change, _ trial: Trial) -> [Action] {
    let isChecked = generations[change.candidate]?.plan.trial?.isChecked ?? false
    var next = trial
    next.askAt = nil
    next.round += 1
    next.check = isChecked ? .open : .passed
    enter(change, .trial(next))
    let check: [Action] = isChecked ? [.checkTrial(change.candidate, round: next.round)] : []
    return ask(startable(change), of: change.candidate) + check
  }

  mutating func trialChecked(_ id: GenerationID, round: Int, failure: String?) -> [Action] {
    guard case .changing(let change) = phase, change.candidate == id, case .trial(var trial) = change.step,
      trial.askAt == nil, trial.round == round, trial.check == .open
    else { return [] }
    trial.check = failure.map { .failed($0) } ?? .passed
    enter(change, .trial(trial))
    return []
  }
}
