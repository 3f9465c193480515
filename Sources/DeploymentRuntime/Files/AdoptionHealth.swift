import Deployment
import Probing
import Settings

/// The service answers after an adoption as it did before. One that did not is not asked again: nothing would be learnt.
struct AdoptionHealth: OperationStep {
  let notes: AdoptionNotes

  /// Before anything is changed.
  func look(_ operation: Operation) throws(StepFailure) {
    guard let bad = try rounds(operation).round() else { return }
    notes.ill = bad.text
    operation.audience.warn(
      "the health check fails before anything is changed (\(bad.text)): what it says afterwards would prove nothing")
  }

  func run(_ operation: Operation) throws(StepFailure) {
    guard !operation.isBooting, notes.ill == nil else { return }
    try rounds(operation).run()
  }

  func undo(_: Operation) {}

  private func rounds(_ operation: Operation) -> HealthRounds {
    HealthRounds(operation: operation, checks: operation.deploy.health.checks, whom: "clients")
  }
}
