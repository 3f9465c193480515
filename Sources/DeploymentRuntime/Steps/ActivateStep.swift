import ControlClient
import ControlProtocol
package import Deployment
import LinuxSystem
import Settings
import Vocabulary

/// What the steps around an activation know of each other, in one process.
package final class ActivationMemory {
  /// Checks that the new release has passed before any client met it.
  var asked: [Settings.Deploy.Health.Check] = []
  package init() {}
}

/// The new release serves, or the old one does again.
package struct ActivateStep: OperationStep {
  private let unit: ServiceUnit
  private let memory: ActivationMemory

  package init(_ unit: ServiceUnit, _ memory: ActivationMemory) {
    self.unit = unit
    self.memory = memory
  }

  package func run(_ operation: Operation) throws(StepFailure) {
    guard let release = operation.facts.release ?? (operation.effects.mode == .plan ? ReleaseID("NEW") : nil) else {
      throw StepFailure(.failed, "there is no release to activate")
    }
    if operation.isBooting { return try point(operation, to: release) }
    // One that does not run cannot keep serving: it is simply started.
    guard unit.control != nil, operation.effects.mode == .plan || isAnswering(operation) else {
      try PlainActivation(operation: operation, unit: unit).run(to: release)
      return try proveStarted(operation, release)
    }
    var activation = SteeredActivation(operation, unit)
    try activation.run(to: release)
    memory.asked = activation.asked
  }

  package func undo(_ operation: Operation) throws(StepFailure) {
    guard let release = operation.facts.release else { return }
    try PreparedPointer(operation: operation, release: release).withdraw()
    let pointer = ReturnedPointer(operation: operation, release: release, unit: unit.name)
    let previous = operation.facts.previous
    let isNamed = currentRelease(operation.layout) == release && previous != release
    if isNamed { try pointer.move(to: previous) }
    let hasMoved = isNamed || pointer.isMoved
    if !operation.isBooting {
      do throws(StepFailure) {
        try serveAgain(previous, instead: release, hasMoved, operation)
      } catch {
        if hasMoved, previous == nil { keep(release, operation) }
        throw error
      }
    }
    pointer.clear()
  }

  private func serveAgain(
    _ previous: ReleaseID?, instead release: ReleaseID, _ hasMoved: Bool, _ operation: Operation
  ) throws(StepFailure) {
    if unit.control != nil, !isStopped(operation) {
      return try SteeredActivation(operation, unit).restore(previous, instead: release)
    }
    guard hasMoved || operation.facts.isExposed else { return }
    let activation = PlainActivation(operation: operation, unit: unit)
    guard let previous else { return try activation.leave() }
    try activation.activate(from: activation.state())
    try proveStarted(operation, previous)
    // It was good before; what it says now is told and changes nothing.
    var rounds = HealthRounds(
      operation: operation, checks: operation.deploy.health.checks, whom: "the old release, put back")
    rounds.ignoresAbort = true
    do throws(StepFailure) { try rounds.run() } catch { operation.audience.warn(error.what) }
  }

  // MARK: `current`

  /// It serves on, and is to be whole.
  private func keep(_ release: ReleaseID, _ operation: Operation) {
    do throws(StepFailure) { try point(operation, to: release) } catch {
      operation.audience.warn(
        "\(error.what). \(unit.name) runs on with release \(release), and `current` names none: it will not start again. "
          + "`baton recover` goes on from here")
    }
  }

  private func point(_ operation: Operation, to release: ReleaseID) throws(StepFailure) {
    let releases = Releases(operation.layout, DurableFiles(operation.effects, operation: operation.id))
    try asFailure { () throws(SystemError) in try releases.point(to: release) }
  }

  // MARK: The supervisor

  private func isAnswering(_ operation: Operation) -> Bool {
    (try? unit.status()) != nil || !unit.isInactive
  }

  private func isStopped(_ operation: Operation) -> Bool { (try? unit.status()) == nil && unit.isInactive }

  /// A supervisor that was started for it says which release it runs.
  private func proveStarted(_ operation: Operation, _ release: ReleaseID) throws(StepFailure) {
    guard unit.control != nil, operation.effects.mode == .act else { return }
    let status = try unit.answering(within: .seconds(30), operation, ignoringAbort: true)
    guard status.release == release else {
      throw StepFailure(.failed, "\(unit.name) runs release \(status.release?.text ?? "-"), not \(release)")
    }
    operation.facts.generation = status.serving
  }
}
