/// One record of an operation. Recovery knows nothing but these, in their order, and what reality says.
package enum Entry: Hashable, Sendable {
  case began(Intent)
  /// `step` is about to act.
  case intends(Step)
  /// Found out or decided in the middle of a step.
  case knows(OperationFacts)
  case did(Step, OperationFacts)
  /// From here on everything is undone. `step` is where it failed; nil: between steps.
  case turned(Step?, StepFailure, OperationFacts)
  case undid(Step)
  case couldNotUndo(Step, StepFailure)
  /// Another process took the operation up.
  case resumed(atBoot: Bool)
  case ended(Outcome)
}
