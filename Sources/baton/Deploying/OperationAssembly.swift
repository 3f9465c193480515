import ControlClient
import ControlProtocol
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
    let unit = unit(request)
    let memory = ActivationMemory()
    return Assembly(
      operation, steps: steps(request, unit, memory), hooks: Hooks(service.deploy.hooks),
      restoration: RestoreAndActivateStep(ActivateStep(unit, memory)), running: { unit.running(operation) })
  }

  private func unit(_ request: OperationRequest) -> ServiceUnit {
    let choice = try? ServiceChoice(service.name.rawValue, control: request.control)
    return ServiceUnit(service.deploy.unit, control: service.deploy.isSupervised ? choice?.path : nil)
  }

  private func steps(
    _ request: OperationRequest, _ unit: ServiceUnit, _ memory: ActivationMemory
  ) -> [Step: any OperationStep] {
    var steps: [Step: any OperationStep] = [:]
    let work = ReleaseWork()
    for step in request.intent.steps {
      steps[step] =
        switch step {
        case .preflight: preflight(request)
        case .backup: BackupStep()
        // Its directory was made before, and stays whatever happens.
        case .fetch where request.intent.kind == .rollback:
          ReturnStep(
            to: request.intent.target, archive: request.backup, forgoesDatabase: request.forgoesDatabase)
        case .verify where request.intent.kind == .rollback: NoStep()
        case .fetch: FetchStep(source(request), work)
        case .build: BuildStep(work)
        case .verify: VerifyStep(work, who: request.intent.who)
        case .migrate: MigrateStep()
        case .prune: prune(request)
        case .activate: ActivateStep(unit, memory)
        case .healthCheck: ProofStep(HealthCheckStep(unit, memory))
        case .bake: BakeStep(unit)
        case .lock, .markGood: NoStep()
        }
    }
    return steps
  }

  private func source(_ request: OperationRequest) -> ReleaseSource {
    request.from.map { ReleaseSource.at($0) } ?? .repository(ref: request.ref)
  }

  func prune(_ request: OperationRequest) -> PruneStep {
    PruneStep { (operation) throws(StepFailure) in try liveReleases(request) }
  }

  /// What generations of the supervisor run; nil while some drain and it is one that does not say what they run.
  private func liveReleases(_ request: OperationRequest) throws(StepFailure) -> Set<ReleaseID>? {
    guard service.deploy.isSupervised, isSupervisorAnswering(request),
      let choice = try? ServiceChoice(service.name.rawValue, control: request.control)
    else { return [] }
    do throws(ClientError) {
      let status = try ControlClient(path: choice.path).status()
      if let live = status.liveReleases { return Set(live) }
      return status.draining.isEmpty ? Set([status.release, status.handover?.release].compactMap { $0 }) : nil
    } catch {
      throw StepFailure(.failed, "the supervisor does not say which releases it runs: \(error.what)")
    }
  }

  func preflight(_ request: OperationRequest) -> PreflightStep {
    // Whether batond answers says nothing of a unit that it does not run.
    let unit = UnitCheck { service.deploy.isSupervised && isSupervisorAnswering(request) }
    let isRollback = request.intent.kind == .rollback
    let target = TargetCheck(source(request))
    return PreflightStep(
      .init(request.intent, overridesWindow: request.overridesWindow, isConfirmed: request.isConfirmed),
      unit: .init("unit") { unit.look($0) },
      target: .init(isRollback ? "releases" : "target") {
        isRollback ? .fine("the releases are looked at under the lock") : target.look($0)
      })
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
