/// What the runtime is to do, in the order given. It decides nothing and answers with ``DeployEvent``s.
package enum DeployAction: Hashable, Sendable {
  /// Answer: `recorded` or `recordFailed`.
  case record(Entry)
  /// Answer: `done` or `failed`.
  case run(Step)
  /// Whoever runs the step is to come to its orderly end soon. No answer but the step's own.
  case interrupt(Step)
  /// Answer: `undone` or `undoFailed`.
  case undo(Step)
  /// Activation could not be undone: unpack the previous release from its archive, and activate that. Answer: `restored`
  /// or `restoreFailed`.
  case restore
  case announce(Announcement)
  /// The lock may go.
  case finish(Outcome)
}

/// What people who follow are told, when it is so.
package enum Announcement: Hashable, Sendable {
  case began(Step)
  case done(Step, took: Duration)
  /// Going back because of this.
  case turning(Step?, StepFailure)
  case undoing(Step)
  case undone(Step)
  case couldNotUndo(Step, StepFailure)
  case restoring
  /// The release stays, but this was not done.
  case leftOut(Step, StepFailure)
  /// The wish to abort is heard; this step comes to its end first.
  case abortWaits(Step)
  /// The release is good already: there is nothing to abort.
  case abortTooLate
}
