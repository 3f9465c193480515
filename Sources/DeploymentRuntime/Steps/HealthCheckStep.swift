import ControlClient
import ControlProtocol
package import Deployment
import LinuxSystem
import Probing
import Settings
import Vocabulary

/// The new release answers right, as clients ask it: k good rounds in a row before the deadline. What was put to it
/// already before any client met it is asked once more, now that clients meet it.
package struct HealthCheckStep: OperationStep {
  private let unit: ServiceUnit
  private let memory: ActivationMemory

  package init(_ unit: ServiceUnit, _ memory: ActivationMemory) {
    self.unit = unit
    self.memory = memory
  }

  package func run(_ operation: Operation) throws(StepFailure) {
    let checks = operation.deploy.health.checks
    guard !checks.isEmpty else {
      return operation.audience.warn("the settings name no health check: what is activated counts as healthy")
    }
    let proof = try proof(operation)
    // At boot the unit is not started yet.
    if operation.isBooting { return }
    let passed = checks.filter { memory.asked.contains($0) }
    let others = checks.filter { !memory.asked.contains($0) }
    var rounds = HealthRounds(operation: operation, checks: others, whom: "clients")
    rounds.proof = proof
    try rounds.run()
    guard !passed.isEmpty else { return }
    if let bad = try HealthRounds(operation: operation, checks: passed, whom: "clients").round() {
      if bad.isAborted { throw Operation.aborted }
      // One answer is no verdict: the same rule as for the others decides.
      var again = HealthRounds(operation: operation, checks: passed, whom: "clients")
      again.proof = proof
      try again.run()
    }
    try proof()
  }

  package func undo(_: Operation) throws(StepFailure) {}

  /// That it is the new release which answers, and goes on to.
  private func proof(_ operation: Operation) throws(StepFailure) -> () throws(StepFailure) -> Void {
    guard operation.effects.mode == .act, !operation.isBooting else { return {} }
    let unit = unit
    guard unit.control != nil else {
      let activation = PlainActivation(operation: operation, unit: unit)
      guard let first = try activation.state() else { return {} }
      return { () throws(StepFailure) in try activation.isStill(first) }
    }
    let release = operation.facts.release
    return { () throws(StepFailure) in
      let status = try unit.asked { () throws(ClientError) in try unit.status() }
      guard status.release == release else {
        throw StepFailure(
          .failed, "\(unit.name) serves release \(status.release?.text ?? "-"), not \(release?.text ?? "-")",
          next: "baton events says who changed it")
      }
    }
  }
}
