package import Vocabulary

/// One operation, from its first record to its last.
///
/// - Each step is recorded before it acts. A step counts as done when that is recorded.
/// - Until a release is marked good, every failure leads to the same way back: what was begun is undone in reverse order.
///   From then on nothing is undone any more.
/// - Going back needs no record: when one cannot be written it goes on.
package struct Deploy: Hashable, Sendable {
  package enum State: Hashable, Sendable {
    /// Exits: `opening`.
    case new
    /// The first record is being written. Exits: `intending`, `ended` (refused).
    case opening
    /// The step's intent is being recorded. Exits: `running`, `turning`; after the mark `ending`.
    case intending(Step)
    /// Exits: `confirming`, `turning`; after the mark `ending`.
    case running(Step)
    /// That the step is done is being recorded. Exits: `intending`, `ending`, `turning`.
    case confirming(Step)
    /// The decision to go back is being recorded. Exits: `undoing`, `ending`.
    case turning
    /// Exits: `noting`.
    case undoing(Step)
    /// How the undo ended is being recorded. Exits: `undoing`, `restoring`, `ending`.
    case noting(Step)
    /// Activation could not be undone; the archive is tried. Exits: `noting`, `ending` (stuck).
    case restoring
    /// The outcome is being recorded. Exits: `ended`.
    case ending(Outcome)
    case ended(Outcome)
  }

  /// Why it goes back.
  package struct Turn: Hashable, Sendable {
    package var step: Step?
    package var failure: StepFailure
  }

  package let intent: Intent
  package internal(set) var state: State = .new
  package internal(set) var facts: OperationFacts
  /// Steps whose intent was recorded, or may have been, and that are not undone.
  package internal(set) var begun: [Step] = []
  package internal(set) var turn: Turn?
  /// What could not be undone, or was left out after the mark.
  package internal(set) var residue: [Step: StepFailure] = [:]
  /// Why the last record, that of the end, is not known to be on the disk: the next one finds it half-done.
  package internal(set) var unrecorded: StepFailure?
  /// The release is marked good: no way back from here.
  package internal(set) var isMarked = false
  /// Before the host's units are started: nothing that needs a unit is done.
  package internal(set) var isBooting = false
  /// A bake that was left for later is made now.
  package internal(set) var bakesNow = false
  /// Something past the lock was begun.
  package internal(set) var hasActed = false
  private var wish: StepFailure?
  private var since: Instant = .zero

  package init(_ intent: Intent, facts: OperationFacts = OperationFacts()) {
    self.intent = intent
    self.facts = facts
  }

  package mutating func handle(_ event: DeployEvent, at now: Instant) -> [DeployAction] {
    switch state {
    case .new: starting(event)
    case .opening: opening(event, now)
    case .intending(let step): intending(step, event, now)
    case .running(let step): running(step, event, now)
    case .confirming(let step): confirming(step, event, now)
    case .turning: turning(event)
    case .undoing(let step): undoing(step, event)
    case .noting(let step): noting(step, event)
    case .restoring: restoring(event)
    case .ending(let outcome): ending(outcome, event)
    case .ended: ended(event)
    }
  }

  // MARK: Forward

  private mutating func starting(_ event: DeployEvent) -> [DeployAction] {
    switch event {
    case .begin:
      state = .opening
      return [.record(.began(intent))]
    case .abortAsked, .deadline:
      wish = Self.wish(event)
      return []
    case .recorded, .recordFailed, .done, .failed, .undone, .undoFailed, .restored, .restoreFailed:
      return []
    }
  }

  private mutating func opening(_ event: DeployEvent, _ now: Instant) -> [DeployAction] {
    switch event {
    case .recorded:
      return advance(after: nil, now)
    case .recordFailed(let failure):
      // What cannot be recorded is not begun.
      turn = Turn(step: nil, failure: failure)
      state = .ended(.refused)
      return [.announce(.turning(nil, failure)), .finish(.refused)]
    case .abortAsked, .deadline:
      wish = wish ?? Self.wish(event)
      return []
    case .begin, .done, .failed, .undone, .undoFailed, .restored, .restoreFailed:
      return []
    }
  }

  private mutating func intending(_ step: Step, _ event: DeployEvent, _ now: Instant) -> [DeployAction] {
    switch event {
    case .recorded:
      if let wish, !isMarked { return turnBack(step, wish) }
      state = .running(step)
      since = now
      return [.announce(.began(step)), .run(step)]
    case .recordFailed(let failure):
      return fail(step, failure)
    case .abortAsked, .deadline:
      return wished(event, during: nil)
    case .begin, .done, .failed, .undone, .undoFailed, .restored, .restoreFailed:
      return []
    }
  }

  private mutating func running(_ step: Step, _ event: DeployEvent, _ now: Instant) -> [DeployAction] {
    switch event {
    case .done(step, let facts):
      self.facts = facts
      state = .confirming(step)
      return [.record(.did(step, facts))]
    case .failed(step, let failure, let facts):
      self.facts = facts
      return fail(step, failure)
    case .abortAsked, .deadline:
      return wished(event, during: step)
    case .begin, .recorded, .recordFailed, .done, .failed, .undone, .undoFailed, .restored, .restoreFailed:
      return []
    }
  }

  private mutating func confirming(_ step: Step, _ event: DeployEvent, _ now: Instant) -> [DeployAction] {
    switch event {
    case .recorded:
      if step == .markGood { isMarked = true }
      return [.announce(.done(step, took: now - since))] + advance(after: step, now)
    case .recordFailed(let failure):
      return fail(step, failure)
    case .abortAsked, .deadline:
      return wished(event, during: nil)
    case .begin, .done, .failed, .undone, .undoFailed, .restored, .restoreFailed:
      return []
    }
  }

  /// To the next step, or to the end.
  mutating func advance(after step: Step?, _ now: Instant) -> [DeployAction] {
    if let wish, !isMarked { return turnBack(step, wish) }
    let rest = intent.steps.drop { next in step.map { next <= $0 } ?? false }
    guard let next = rest.first else { return end(.good) }
    return intend(next)
  }

  mutating func intend(_ step: Step) -> [DeployAction] {
    // At boot the units are not there yet that a bake would watch, and nobody waits for a prune.
    if step == .bake, !bakesNow, intent.detachesBake || isBooting { return end(.baking) }
    if step == .prune, isBooting { return end(.good) }
    if !begun.contains(step) { begun.append(step) }
    if step > .lock { hasActed = true }
    state = .intending(step)
    return [.record(.intends(step))]
  }

  /// The one way of every failure.
  private mutating func fail(_ step: Step, _ failure: StepFailure) -> [DeployAction] {
    guard !isMarked else {
      residue[step] = failure
      return [.announce(.leftOut(step, failure))] + end(.good)
    }
    return turnBack(step, failure)
  }

  private mutating func wished(_ event: DeployEvent, during step: Step?) -> [DeployAction] {
    guard !isMarked else { return event == .abortAsked ? [.announce(.abortTooLate)] : [] }
    guard wish == nil else { return [] }
    wish = Self.wish(event)
    guard let step else { return [] }
    // In the middle of these there is nothing that could be left alone: they end first.
    if step == .activate || step == .markGood { return [.announce(.abortWaits(step))] }
    return [.announce(.abortWaits(step)), .interrupt(step)]
  }

  private static func wish(_ event: DeployEvent) -> StepFailure {
    event == .deadline
      ? StepFailure(.failed, "the time for the whole operation is up")
      : StepFailure(.aborted, "it was asked to end")
  }
}
