import ArgumentParser
import ControlProtocol
import Deployment
import DeploymentRuntime
import Glibc
import Settings
import Vocabulary

/// How the work is done and followed; for deploys and rollbacks.
struct OperationOptions: ParsableArguments {
  @Flag(help: "Say what would be done, through the same code, and do nothing.") var plan = false
  @Flag(help: "Do the work as a child of this command instead of in baton-deploy@NAME.service.") var foreground = false
  @Flag(help: "Do not follow it; --attach does.") var detach = false
  @Option(
    help: ArgumentHelp("Wait so long for another operation to end, such as 10m.", valueName: "duration"),
    transform: { try Duration(text: $0) })
  var wait: Duration?
  @Flag(help: "Begin outside of the maintenance window of [deploy].") var overrideWindow = false
  @Flag(help: "Confirm everything that the checklist only says in words.") var yes = false
  @Flag(help: "Begin without a proven way back. Said aloud, it is also written down.") var noRollback = false
  @Option(help: ArgumentHelp("The control socket of the supervisor, for one started by hand.", valueName: "path"))
  var control: String?
  @Flag(help: "Print everything as it comes, a JSON object a line.") var jsonLines = false

  func format(json: Bool) -> OutputFormat { jsonLines ? .jsonLines : json ? .json : .text }

  /// From here to the end of it.
  func run(_ request: OperationRequest, _ service: DeployedService, json: Bool, attempt: String) throws {
    let unit = foreground || plan ? nil : try DeployUnit(service.name)
    let isConfirmed = try yes || (!plan && request.intent.kind == .deploy && Confirmation.ask(service))
    try service.becomeDeployUser(to: attempt)
    var request = request
    request.intent.isSteered = service.deploy.isSupervised
    request.patience = wait ?? .zero
    request.overridesWindow = overrideWindow
    request.isConfirmed = isConfirmed
    request.control = try (control ?? Host.variable("BATON_CONTROL")).map { try DeployedService.absolute($0) }
    if plan { return try PlanRun(service: service, request: request).run(json: json || jsonLines) }
    if request.from == "-" {
      guard isatty(STDIN_FILENO) == 0 else {
        throw Failure(
          .usage, "--from - takes an archive from standard input, which is a terminal", holds: "nothing was begun",
          next: "baton deploy \(service.mention) --from - < ARCHIVE")
      }
      let interruptions = Interruptions()
      do throws(StepFailure) {
        try request.takeInput(STDIN_FILENO, service.layout, interruption: interruptions.readable)
      } catch {
        throw Failure(.failed, error.what, holds: "nothing was begun", next: error.next)
      }
      withExtendedLifetime(interruptions) {}
    }
    try OperationRun(service: service, request: request, format: format(json: json)).begin(unit, detached: detach)
  }
}

struct Deploy: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Brings a new release: fetches, builds, proves it, and goes back by itself where that fails.",
    discussion: """
      The work is done on the host by baton-deploy@NAME.service and outlives this command. The first Ctrl-C asks it for \
      an orderly end, the second leaves the terminal while it goes on.
      """)

  @OptionGroup var service: DeployedServiceOptions
  @Option(help: ArgumentHelp("A branch, tag or commit, instead of [deploy] ref.", valueName: "ref")) var ref: String?
  @Option(
    help: ArgumentHelp("A directory or an archive instead of the repository; - is standard input.", valueName: "path"),
    completion: .file())
  var from: String?
  @Flag(help: "Without backup and bake; nothing else is left out.") var quick = false
  @Flag(help: "Follow the operation under way, or say how the last one ended.") var attach = false
  @Flag(help: "End after the health check; baton-bake@NAME.service bakes.") var detachBake = false
  @OptionGroup var operation: OperationOptions

  func validate() throws {
    if from == "-" && operation.plan { throw ValidationError("a plan cannot look into standard input") }
    if ref != nil && from != nil { throw ValidationError("say --ref or --from, not both") }
    if attach && (ref != nil || from != nil || operation.detach) {
      throw ValidationError("--attach follows what is under way and takes no other wish")
    }
  }

  func run() throws {
    let service = try service.service()
    if attach { return try Attach(service: service).run(operation.format(json: self.service.json)) }
    var intent = Intent(operation: .new(), kind: .deploy)
    intent.isQuick = quick
    intent.noRollback = operation.noRollback
    intent.detachesBake = detachBake
    intent.who = Person.name
    var request = OperationRequest(intent: intent, service: service.name, settings: service.path)
    request.ref = ref
    request.from = try from.map { $0 == "-" ? $0 : try DeployedService.absolute($0) }
    try operation.run(request, service, json: self.service.json, attempt: "deploy")
  }
}

/// `baton deploy --attach`
struct Attach {
  let service: DeployedService

  func run(_ format: OutputFormat) throws {
    let history = DeployHistory.read(service.layout, limit: 100)
    let running = history.operations.first { StepLog.isAlive(service.layout, $0.operation) }
    guard let operation = (running ?? history.operations.first)?.operation else {
      throw Failure(.failed, "no operation of \(service.name) is known", holds: "nothing is under way")
    }
    try OperationRun.follow(service, operation, .unknown, format)
  }
}
