import ArgumentParser
import ControlProtocol
import Deployment
import DeploymentRuntime
import JSON
import Vocabulary

struct Prune: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Removes releases, backups and records beyond what the settings keep; every deploy does it at its end.",
    discussion: "Never what runs, the last good release, or what a generation still runs.")

  @OptionGroup var service: DeployedServiceOptions
  @Flag(help: "Say what would go, and remove nothing.") var dryRun = false
  @Option(
    help: ArgumentHelp("Wait so long for another operation to end, such as 10m.", valueName: "duration"),
    transform: { try Duration(text: $0) })
  var wait: Duration?
  @Option(help: ArgumentHelp("The control socket of the supervisor, for one started by hand.", valueName: "path"))
  var control: String?

  func run() throws {
    let service = try service.service()
    try service.becomeDeployUser(to: "prune")
    let effects = Effects(dryRun ? .plan : .act)
    var request = OperationRequest(
      intent: Intent(operation: .new(), kind: .deploy), service: service.name, settings: service.path)
    request.control = try (control ?? Host.variable("BATON_CONTROL")).map { try DeployedService.absolute($0) }
    let operation = Operation(
      id: request.operation, service: service.name, settings: service.settings, deploy: service.deploy,
      effects: effects, audience: DisplayAudience(nil) { $0 }, abort: nil)
    let step = OperationAssembly(service: service, effects: effects, secrets: Secrets()).prune(request)
    let plan: PruneStep.Plan
    do throws(StepFailure) {
      let lock = try OperationLock.acquire(
        service.layout, "prune", operation.id, who: Person.name, patience: wait ?? .zero, effects: effects)
      defer { lock.release() }
      plan = try step.plan(operation)
      if !dryRun { try step.run(operation) }
    } catch {
      throw Failure(
        error.kind == .busy ? .busy : .failed, error.what,
        holds: dryRun ? "nothing was removed" : "what is needed is there", next: error.next)
    }
    if self.service.json { tell(plan) } else { show(plan) }
  }

  private func tell(_ plan: PruneStep.Plan) {
    var members: JSON.Members = ["removed": .bool(!dryRun)]
    members.append("releases", plan.releases)
    members.append("backups", plan.backups)
    members.append("operations", plan.operations)
    members.append("leftovers", plan.leftovers)
    members.append("bytes", plan.size)
    Terminal.print(.object(members))
  }

  private func show(_ plan: PruneStep.Plan) {
    guard !plan.isEmpty else { return Terminal.print("nothing is beyond what is kept") }
    for release in plan.releases { Terminal.print("release    \(release)") }
    for backup in plan.backups { Terminal.print("backup     \(plain(backup))") }
    for operation in plan.operations { Terminal.print("record     \(operation)") }
    for path in plan.leftovers { Terminal.print("leftover   \(plain(path))") }
    Terminal.print("\(plan.size) \(dryRun ? "would be" : "are") free again")
  }
}
