import ArgumentParser
import ControlProtocol
import Deployment
import DeploymentRuntime
import Glibc
import JSON
import LinuxSystem
import Settings
import Vocabulary

struct Adopt: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Makes a release of a tree that a service runs from in place, without interrupting it.",
    discussion: """
      The tree is backed up and becomes releases/ID; its old name becomes a link to `current`, in one instant. What is \
      shared moves into shared/; what is excluded stays where it is and is in no release. Files that are open for writing \
      must be one or the other. --undo puts it all back.
      """)

  @OptionGroup var service: DeployedServiceOptions
  @Option(
    help: ArgumentHelp("The directory the service runs from, instead of [deploy] tree.", valueName: "directory"),
    completion: .directory)
  var tree: String?
  @Option(
    help: ArgumentHelp(
      "A path of the tree that outlives releases, besides those of [deploy] shared.", valueName: "path"))
  var shared: [String] = []
  @Option(
    help: ArgumentHelp("A path of the tree that belongs to no release, besides those of exclude.", valueName: "path"))
  var exclude: [String] = []
  @Flag(help: "Put the tree back, with what was written to shared paths since.") var undo = false
  @Flag(help: "Say what would be done, through the same code, and do nothing.") var plan = false

  func validate() throws {
    if undo && plan { throw ValidationError("--plan says what an adoption would do, and --undo takes one back") }
    if undo, tree != nil || !shared.isEmpty || !exclude.isEmpty {
      throw ValidationError("--undo takes the tree and its paths from the record")
    }
  }

  func run() throws {
    let deployed = try service.service()
    let run = try AdoptRun(service: deployed, isJSON: service.json)
    if undo { return try run.undo() }
    guard let tree = tree ?? deployed.deploy.tree else {
      throw Failure(
        .usage, "what the service runs from is not said", holds: "nothing was changed",
        next: "--tree DIRECTORY, or tree = \"DIRECTORY\" in [deploy]")
    }
    let place = try DeployedService.absolute(tree)
    if plan { return try run.plan(place, shared, exclude) }
    try run.adopt(place, shared, exclude)
  }
}

/// Adoption as root: only root sees who has the tree's files open, and may give them away.
struct AdoptRun {
  private let service: DeployedService
  private let isJSON: Bool
  private let user: Users.User
  private let effects = Effects(.act)
  private let audience: DisplayAudience

  init(service: DeployedService, isJSON: Bool) throws {
    self.service = service
    self.isJSON = isJSON
    // Nothing of an adoption has read a secret.
    audience = DisplayAudience(isJSON ? nil : PlainDisplay()) { $0 }
    guard geteuid() == 0 else {
      throw Failure(
        .notAllowed, "only root sees which files of the tree are open, and may give them to \(service.deploy.user)",
        holds: "nothing was changed", next: "sudo baton adopt \(service.mention)")
    }
    guard let user = Users.user(named: service.deploy.user) else {
      throw Failure(
        .settingsWrong,
        "[deploy] user of \(service.path) is \"\(service.deploy.user)\", and this host has no such user",
        holds: "nothing was changed", next: "useradd --system \(service.deploy.user), or name another in [deploy]")
    }
    self.user = user
    umask(0o027)
  }

  func adopt(_ tree: String, _ shared: [String], _ excluded: [String]) throws {
    try recover()
    let wish = wish(tree, shared, excluded)
    var intent = Intent(operation: .new(), kind: .adopt)
    intent.who = Person.name
    let assembly = assembly(intent.operation, wish)
    let outcome = Executor(assembly).run(intent)
    if outcome.outcome == .good { archive(outcome, assembly.operation) }
    try handOver(assembly.operation)
    guard outcome.exitStatus == 0 else { throw failure(outcome) }
    let unsaid = Set(wish.shared).subtracting(service.deploy.shared).sorted()
    if !unsaid.isEmpty {
      audience.warn("write into [deploy] of \(service.path), or the next release is without them: shared = \(unsaid)")
    }
    tell(outcome.facts.release, "\(tree) is release \(outcome.facts.release.map { "\($0)" } ?? "-")")
  }

  /// The same, only written down.
  func plan(_ tree: String, _ shared: [String], _ excluded: [String]) throws {
    let intent = Intent(operation: .new(), kind: .adopt)
    let effects = Effects(.plan)
    let audience = PlanAudience(effects) { $0 }
    let operation = Operation(
      id: intent.operation, service: service.name, settings: service.settings, deploy: service.deploy, effects: effects,
      audience: audience, abort: nil)
    let steps = AdoptionSteps.make(wish(tree, shared, excluded), archive: AdoptionSteps.copy)
    let outcome = Executor(Assembly(operation, steps: steps)).run(intent)
    audience.close()
    let request = OperationRequest(intent: intent, service: service.name, settings: service.path)
    try PlanRun(service: service, request: request).tell(outcome, operation, audience, Masker([]), json: isJSON)
  }

  private func wish(_ tree: String, _ shared: [String], _ excluded: [String]) -> AdoptionSteps.Wish {
    let identity = service.settings.service.user.flatMap {
      Users.identity(user: $0, group: service.settings.service.group)
    }
    return AdoptionSteps.Wish(
      tree: tree, shared: union(service.deploy.shared, shared), excluded: union(service.deploy.exclude, excluded),
      user: user.id, group: user.group, who: Person.name, service: identity)
  }

  /// Ends an adoption that was cut off; nothing where there is none.
  func recover() throws {
    guard Self.isHalfDone(service.layout) else { return }
    let recovery = Recover(service.layout, effects: effects) { (id, intent) throws(StepFailure) in
      guard intent.kind == .adopt else {
        throw StepFailure(.refused, "operation \(id) is no adoption", next: "baton recover")
      }
      return assembly(id, nil)
    }
    let outcomes: [OperationOutcome]
    do throws(StepFailure) { outcomes = try recovery.run(.now, who: Person.name) } catch { throw failure(error) }
    for outcome in outcomes {
      try handOver(operation(outcome.operation))
      if outcome.exitStatus == 2 { throw failure(outcome) }
      audience.note("operation \(outcome.operation) is brought to its end: \(outcome.holds)")
    }
  }

  static func isHalfDone(_ layout: Layout) -> Bool {
    Recover.halfDone(layout).contains { id in
      guard case .began(let intent)? = StepLog.peek(layout, id).first?.entry else { return false }
      return intent.kind == .adopt
    }
  }

  func undo() throws {
    try recover()
    let record: Adoption
    do throws(StepFailure) {
      // Before anything is made for it, the lock's place among them.
      guard try Adoption.read(service.layout) != nil else { throw AdoptionUndo.nothing(service.layout) }
      let lock = try OperationLock.acquire(
        service.layout, "adopt", OperationID("-"), who: Person.name, effects: effects)
      defer { lock.release() }
      record = try AdoptionUndo.run(operation, service.layout)
    } catch { throw failure(error) }
    tell(record.release, "\(record.tree) is a directory again, and release \(record.release) is gone")
  }

  /// The plain copy that was made before anything was changed becomes a backup like any other.
  private func archive(_ outcome: OperationOutcome, _ operation: Operation) {
    guard let release = outcome.facts.release, let copy = outcome.facts.backup else { return }
    let path = "\(service.layout.backups)/\(copy)"
    do throws(StepFailure) {
      let store = BackupStore(operation)
      _ = try store.create(of: release, sequence: outcome.facts.sequence, audience: audience)
      try asFailure { () throws(SystemError) in _ = try store.files.discardTree(path) }
    } catch {
      audience.warn("\(error.what); the copy of the tree stays: \(path)")
    }
  }

  // MARK: Parts

  private func operation(_ id: OperationID) -> Operation {
    Operation(
      id: id, service: service.name, settings: service.settings, deploy: service.deploy, effects: effects,
      audience: audience, abort: nil)
  }

  private func assembly(_ id: OperationID, _ wish: AdoptionSteps.Wish?) -> Assembly {
    Assembly(operation(id), steps: AdoptionSteps.make(wish, archive: AdoptionSteps.copy))
  }

  private func handOver(_ operation: Operation) throws {
    do throws(StepFailure) { try AdoptionPlaces.handOver(operation, to: user.id, user.group) } catch {
      throw failure(error)
    }
  }

  private func union(_ first: [String], _ second: [String]) -> [String] {
    second.reduce(into: first) { if !$0.contains($1) { $0.append($1) } }
  }

  private func tell(_ release: ReleaseID?, _ text: String) {
    guard isJSON else { return Terminal.print("\(service.name): \(plain(text))") }
    var members: JSON.Members = ["service": service.name.json]
    members.append("release", release)
    Terminal.print(.object(members))
  }

  private func failure(_ error: StepFailure) -> Failure {
    var failure = Failure(
      error.kind == .busy ? .busy : error.kind == .stuck ? .needsPerson : .failed, error.what,
      holds: "the tree is whole, and nothing was started or stopped", next: error.next)
    failure.lines = error.lines
    return failure
  }

  private func failure(_ outcome: OperationOutcome) -> Failure {
    if outcome.exitStatus == 2 { return failure(StepFailure(.stuck, outcome.what ?? "stuck", next: outcome.next)) }
    return failure(outcome.failure ?? StepFailure(.failed, outcome.holds, next: outcome.next))
  }
}
