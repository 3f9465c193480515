/// What the machine learns. Every answer names its step; one that is not awaited changes nothing.
package enum DeployEvent: Hashable, Sendable {
  case begin
  /// The entry asked for last is on the disk.
  case recorded
  /// It is not, or nobody knows.
  case recordFailed(StepFailure)
  case done(Step, OperationFacts)
  case failed(Step, StepFailure, OperationFacts)
  case undone(Step)
  case undoFailed(Step, StepFailure)
  /// The previous release serves again, restored from its archive.
  case restored
  case restoreFailed(StepFailure)
  case abortAsked
  /// The time of the whole operation is up.
  case deadline
}
