package import Deployment
internal import Settings

/// The health check, and then what the checklist wants looked at after it: both are verdicts on the release.
package struct ProofStep: OperationStep {
  private let health: HealthCheckStep

  package init(_ health: HealthCheckStep) { self.health = health }

  package func run(_ operation: Operation) throws(StepFailure) {
    try health.run(operation)
    guard operation.effects.mode == .act else { return }
    try ChecklistCheck.runAfter(operation)
    for item in operation.deploy.checklist where item.when == .after && item.run == nil {
      operation.audience.warn("for a person to look at now: \(item.text)")
    }
  }

  package func undo(_ operation: Operation) throws(StepFailure) { try health.undo(operation) }
}

/// When an activation could not be undone: the previous release is unpacked from its archive, and gone back to once more.
package struct RestoreAndActivateStep: OperationStep {
  private let activation: ActivateStep

  package init(_ activation: ActivateStep) { self.activation = activation }

  package func run(_ operation: Operation) throws(StepFailure) {
    try RestoreReleaseStep().run(operation)
    try activation.undo(operation)
  }

  package func undo(_ operation: Operation) throws(StepFailure) { try RestoreReleaseStep().undo(operation) }
}
