import ControlClient
import Deployment
import DeploymentRuntime
import LinuxSystem
import Settings
import Vocabulary

/// Puts an operation together: the steps of its kind, with what was asked for.
struct OperationAssembly {
  let service: DeployedService
  let effects: Effects
  let secrets: Secrets

  /// For an operation that begins, with the one who follows it.
  func make(
    _ request: OperationRequest, audience: any OperationAudience, abort: Descriptor?
  ) throws(StepFailure) -> Assembly {
    let operation = Operation(
      id: request.operation, service: service.name, settings: service.settings, deploy: service.deploy,
      effects: effects, audience: audience, abort: abort)
    operation.secrets = secrets
    var steps: [Step: any OperationStep] = [:]
    for step in request.intent.steps { steps[step] = NoStep() }
    steps[.preflight] = preflight(request)
    if steps[.migrate] != nil { steps[.migrate] = MigrateStep() }
    let work = ReleaseWork()
    let source = request.from.map(ReleaseSource.at) ?? .repository(ref: request.ref)
    if steps[.fetch] != nil { steps[.fetch] = FetchStep(source, work) }
    if steps[.build] != nil { steps[.build] = BuildStep(work) }
    if steps[.verify] != nil { steps[.verify] = VerifyStep(work, who: request.intent.who) }
    return Assembly(operation, steps: steps, hooks: Hooks(service.deploy.hooks))
  }

  func preflight(_ request: OperationRequest) -> PreflightStep {
    let unit = UnitCheck { isSupervisorAnswering(request) }
    return PreflightStep(
      .init(request.intent, overridesWindow: request.overridesWindow, isConfirmed: request.isConfirmed),
      unit: .init("unit") { unit.look($0) }, target: .init("target") { _ in .fine("not looked at") })
  }

  private func isSupervisorAnswering(_ request: OperationRequest) -> Bool {
    guard let choice = try? ServiceChoice(service.name.rawValue, control: request.control) else { return false }
    return ControlClient.isAnswering(choice.path)
  }

  /// For one that was cut off: as it was asked for, as far as that is still known.
  func makeAgain(
    _ id: OperationID, _ intent: Intent, audience: any OperationAudience, abort: Descriptor?
  ) throws(StepFailure) -> Assembly {
    // What it had started may still run, and would write into what is put right now.
    let left = try asFailure { () throws(SystemError) in try Survivors.end(id, effects) }
    if let first = left.first {
      throw StepFailure(
        .stuck, "process \(first.pid) (\(first.command)) of operation \(id) cannot be ended", next: "end it")
    }
    var request = OperationRequest(intent: intent, service: service.name, settings: service.path)
    do throws(StepFailure) {
      request = try OperationRequest.read(service.layout, id)
    } catch {
      audience.warn("\(error.what); operation \(id) is taken up as its records have it")
    }
    return try make(request, audience: audience, abort: abort)
  }
}
