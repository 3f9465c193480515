import ArgumentParser
import ControlProtocol
import Databases
import Deployment
import DeploymentRuntime
import JSON
import Settings
import Vocabulary

struct Migrations: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the migrations of a release: applied, pending, or held back, and what speaks against them.",
    discussion: "Changes nothing. Exit status 1 when something speaks against one.")

  @OptionGroup var service: DeployedServiceOptions
  @Option(
    help: ArgumentHelp("The release whose migrations are meant, instead of the one that serves.", valueName: "id"))
  var release: String?

  func run() throws {
    let service = try service.service()
    guard let settings = service.deploy.migrate else {
      throw Failure(
        .settingsWrong, "\(service.path) has no [migrate]", holds: "nothing was changed",
        next: "baton.toml(5) describes it")
    }
    guard case .files(let directory) = settings.source else {
      throw Failure(
        .failed, "the migrations of \(service.name) are those of its own command: baton does not know them",
        holds: "nothing was changed", next: "ask that command")
    }
    try service.becomeDeployUser(to: "migrations")
    let current = currentRelease(service.layout)
    guard let release = try chosen(current) else {
      throw Failure(
        .failed, "there is no release yet", holds: "nothing was changed", next: "baton deploy \(service.name)")
    }
    let operation = Operation(
      id: OperationID("-"), service: service.name, settings: service.settings, deploy: service.deploy,
      effects: Effects(.plan), audience: DisplayAudience(nil) { $0 }, abort: nil)
    operation.secrets = try service.secrets()
    operation.facts.previous = current == release ? nil : current
    let list: MigrationList
    do throws(StepFailure) {
      let run = try MigrationRun(operation, settings, directory: directory, release: release)
      list = MigrationList(try run.look(), isServing: current == release)
    } catch {
      throw Failure(
        .failed, service.masker(operation.secrets).mask(error.what), holds: "nothing was changed", next: error.next)
    }
    if self.service.json { Terminal.print(list.json(service.name, release)) } else { show(list, service.name, release) }
    if !list.view.plan.refusals.isEmpty { throw ExitCode(Int32(ExitStatus.failed.code)) }
  }

  private func chosen(_ current: ReleaseID?) throws -> ReleaseID? {
    guard let release else { return current }
    // It becomes a part of a path.
    guard !release.isEmpty, !release.contains("/"), release != ".", release != ".." else {
      throw Failure(.usage, "\"\(plain(release))\" is no release", next: "baton releases lists them")
    }
    return ReleaseID(release)
  }

  private func show(_ list: MigrationList, _ name: ServiceName, _ release: ReleaseID) {
    Terminal.print(plain("\(list.view.address), release \(release)"))
    if list.rows.isEmpty {
      Terminal.print("there is no migration")
    } else {
      var table = Table(rightAligned: [])
      table.append(["MIGRATION", "STATE", "KIND", "APPLIED", "TOOK", "BY RELEASE"].map { ($0, .faint) })
      for row in list.rows { table.append(row.cells) }
      for line in table.lines { Terminal.print(line.text(width: nil, colour: Terminal.usesColour)) }
    }
    for warning in list.view.plan.warnings { Terminal.say(plain("warning: \(warning)")) }
    for refusal in list.view.plan.refusals {
      Terminal.say(plain("refused: \(refusal.what)"))
      Terminal.say(plain("next:    \(refusal.next)"))
    }
  }
}

/// What is known of each migration of a release, and of those the database has besides.
struct MigrationList {
  enum State: String { case applied, begun, pending, held }

  struct Row {
    let name: String
    let state: State
    let isContract: Bool
    let record: AppliedMigration?

    var cells: [Table.Cell] {
      let colour: StyledLine.Colour? =
        switch state {
        case .applied: .green
        case .pending, .held: .yellow
        case .begun: .red
        }
      return [
        (plain(name), nil), (state.rawValue, colour), (isContract ? "contract" : "expand", nil),
        (plain(record?.appliedAt ?? "-"), nil), (record?.duration?.text ?? "-", nil),
        (plain(record?.release.text ?? "-"), nil),
      ]
    }

    var json: JSON {
      var members: JSON.Members = ["migration": .string(name), "state": .string(state.rawValue)]
      members.append("contract", .bool(isContract))
      members.append("appliedAt", record?.appliedAt)
      members.append("tookMs", record?.duration)
      members.append("release", record?.release)
      members.append("operation", record?.operation)
      return .object(members)
    }
  }

  let view: MigrationRun.View
  /// In the order they are applied.
  let rows: [Row]

  /// `isServing`: a contract of the release that serves waits for the next deploy.
  init(_ view: MigrationRun.View, isServing: Bool) {
    self.view = view
    var rows = view.applied.map {
      Row(name: $0.name, state: $0.state == .done ? .applied : .begun, isContract: $0.isContract, record: $0)
    }
    let known = Set(rows.map(\.name))
    rows += view.plan.pending.filter { !known.contains($0.name) }.map {
      Row(
        name: $0.name, state: isServing && $0.directives.isContract ? .held : .pending,
        isContract: $0.directives.isContract, record: nil)
    }
    rows += view.plan.held.map { Row(name: $0.script.name, state: .held, isContract: true, record: nil) }
    self.rows = rows.sorted { MigrationName($0.name) < MigrationName($1.name) }
  }

  func json(_ service: ServiceName, _ release: ReleaseID) -> JSON {
    let refusals = view.plan.refusals.map { JSON.object(["what": .string($0.what), "next": .string($0.next)]) }
    var members: JSON.Members = ["service": service.json, "release": release.json]
    members.append("database", view.address.description)
    members.append("migrations", .array(rows.map(\.json)))
    members.append("warnings", view.plan.warnings)
    members.append("refusals", .array(refusals))
    return .object(members)
  }
}
