/// The way back: the same for every failure.
extension Deploy {
  mutating func turnBack(_ step: Step?, _ failure: StepFailure) -> [DeployAction] {
    turn = Turn(step: step, failure: failure)
    state = .turning
    return [.announce(.turning(step, failure)), .record(.turned(step, failure, facts))]
  }

  mutating func turning(_ event: DeployEvent) -> [DeployAction] {
    switch event {
    case .recorded, .recordFailed:
      // The way back is gone also when it cannot be recorded: whoever recovers decides the same.
      return undoNext()
    case .abortAsked, .begin, .done, .failed, .undone, .undoFailed, .restored, .restoreFailed, .deadline:
      return []
    }
  }

  mutating func undoNext() -> [DeployAction] {
    // Preflight changed nothing, and the lock goes with the end.
    guard let step = begun.last(where: { $0 > .lock && residue[$0] == nil }) else { return end(outcomeOfTurn) }
    state = .undoing(step)
    return [.announce(.undoing(step)), .undo(step)]
  }

  mutating func undoing(_ step: Step, _ event: DeployEvent) -> [DeployAction] {
    switch event {
    case .undone(step):
      return note(step, failure: nil)
    case .undoFailed(step, let failure):
      return note(step, failure: failure)
    case .begin, .recorded, .recordFailed, .done, .failed, .undone, .undoFailed, .restored, .restoreFailed, .abortAsked,
      .deadline:
      return []
    }
  }

  private mutating func note(_ step: Step, failure: StepFailure?) -> [DeployAction] {
    state = .noting(step)
    guard let failure else {
      begun.removeAll { $0 == step }
      residue[step] = nil
      return [.announce(.undone(step)), .record(.undid(step))]
    }
    residue[step] = failure
    return [.announce(.couldNotUndo(step, failure)), .record(.couldNotUndo(step, failure))]
  }

  mutating func noting(_ step: Step, _ event: DeployEvent) -> [DeployAction] {
    switch event {
    case .recorded, .recordFailed:
      guard step == .activate, residue[step] != nil else { return undoNext() }
      guard facts.previous != nil else { return end(.stuck) }
      state = .restoring
      return [.announce(.restoring), .restore]
    case .begin, .done, .failed, .undone, .undoFailed, .restored, .restoreFailed, .abortAsked, .deadline:
      return []
    }
  }

  mutating func restoring(_ event: DeployEvent) -> [DeployAction] {
    switch event {
    case .restored:
      return note(.activate, failure: nil)
    case .restoreFailed(let failure):
      // The new release may run: nothing it needs is taken away.
      return giveUp(failure)
    case .begin, .recorded, .recordFailed, .done, .failed, .undone, .undoFailed, .abortAsked, .deadline:
      return []
    }
  }

  mutating func giveUp(_ failure: StepFailure) -> [DeployAction] {
    residue[.activate] = failure
    return [.announce(.couldNotUndo(.activate, failure))] + end(.stuck)
  }

  // MARK: The end

  var outcomeOfTurn: Outcome {
    if residue.values.contains(where: { $0.kind == .stuck }) { return .stuck }
    switch turn?.failure.kind {
    case .aborted: return .aborted
    case .busy: return .busy
    case .refused, .failed, .stuck, nil: return hasActed ? .failed : .refused
    }
  }

  mutating func end(_ outcome: Outcome) -> [DeployAction] {
    state = .ending(outcome)
    return [.record(.ended(outcome))]
  }

  mutating func ending(_ outcome: Outcome, _ event: DeployEvent) -> [DeployAction] {
    switch event {
    case .recorded:
      state = .ended(outcome)
      return [.finish(outcome)]
    case .recordFailed(let failure):
      // What it stands for is so, recorded or not; recovery finds the same.
      unrecorded = failure
      state = .ended(outcome)
      return [.finish(outcome)]
    case .abortAsked:
      return isMarked ? [.announce(.abortTooLate)] : []
    case .begin, .done, .failed, .undone, .undoFailed, .restored, .restoreFailed, .deadline:
      return []
    }
  }

  mutating func ended(_ event: DeployEvent) -> [DeployAction] {
    switch event {
    case .begin, .recorded, .recordFailed, .done, .failed, .undone, .undoFailed, .restored, .restoreFailed, .abortAsked,
      .deadline:
      return []
    }
  }
}
