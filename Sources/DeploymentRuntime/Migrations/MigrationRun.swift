package import Databases
package import Deployment
import LinuxSystem
package import Settings
package import Vocabulary

/// The migrations of one release against the database of one service: looked at, or applied.
package struct MigrationRun {
  /// What the release brings and what the database has.
  package struct View {
    package let address: DatabaseAddress
    package let plan: MigrationPlan
    package let applied: [AppliedMigration]
  }

  private let operation: Operation
  private let settings: Settings.Deploy.Migrate
  private let directory: String
  private let release: ReleaseID
  private let address: DatabaseAddress

  /// `directory` lies in the release, as the settings say it. Refused when it is not known which database.
  package init(_ operation: Operation, _ settings: Settings.Deploy.Migrate, directory: String, release: ReleaseID)
    throws(StepFailure)
  {
    self.operation = operation
    self.settings = settings
    self.directory = directory
    self.release = release
    address = try Self.address(settings, operation.secrets)
  }

  package static func address(_ settings: Settings.Deploy.Migrate, _ secrets: Secrets) throws(StepFailure)
    -> DatabaseAddress
  {
    if let variable = settings.databaseVariable {
      guard let text = secrets.variables[variable], !text.isEmpty else {
        throw StepFailure(
          .refused, "[migrate] database-variable names \(variable), and no file of [deploy] secrets gives it a value",
          next: "write \(variable)=postgres://… into one of them")
      }
      return try DatabaseAddress(text)
    }
    guard let text = settings.database else {
      throw StepFailure(
        .refused, "[migrate] does not say which database", next: "set database or database-variable there")
    }
    return try DatabaseAddress(text)
  }

  // MARK: Looking

  /// Reads files and database, and changes nothing.
  package func look() throws(StepFailure) -> View { try look(try open(readOnly: true)) }

  /// What the database has of the service, without a release.
  static func applied(_ operation: Operation, _ settings: Settings.Deploy.Migrate) throws(StepFailure)
    -> [AppliedMigration]
  {
    let run = try MigrationRun(operation, settings, directory: "", release: ReleaseID("-"))
    let store = try run.open(readOnly: true)
    do throws(DatabaseError) { return try store.applied() } catch {
      throw error.failure("the database \(run.address) cannot be read")
    }
  }

  private func open(readOnly: Bool) throws(StepFailure) -> any MigrationStore {
    let context = MigrationContext(
      service: operation.service, operation: operation.id, release: release, effects: operation.effects,
      patience: DatabasePatience(settings.timeout, abort: operation.abort), lockTimeout: settings.lockTimeout,
      statementTimeout: settings.statementTimeout, audience: operation.audience)
    do throws(DatabaseError) {
      switch address.kind {
      case .postgres(let url): return try PostgresMigrations(address, url: url, context)
      case .sqlite(let path): return try SQLiteMigrations(path: path, context, operation, readOnly: readOnly)
      }
    } catch { throw error.failure("the database \(address) cannot be used") }
  }

  private func look(_ store: any MigrationStore) throws(StepFailure) -> View {
    let place = "\(operation.tree(of: release))/\(directory)"
    guard let files = try MigrationFiles.read(place) else {
      throw StepFailure(
        .refused, "[migrate] directory is \(directory), and release \(release) has none",
        next: "correct the settings, or put an empty directory there")
    }
    let applied: [AppliedMigration]
    var knowledge: SchemaKnowledge
    do throws(DatabaseError) {
      applied = try store.applied()
      knowledge = try store.knowledge()
    } catch { throw error.failure("the database \(address) cannot be read") }
    let ordered = files.sorted { MigrationName($0.name) < MigrationName($1.name) }
    let scripts = ordered.map { MigrationLint.examine($0, address.dialect, knowledge: &knowledge) }
    let plan = MigrationPlan(scripts, applied: applied, targets: targets())
    return View(address: address, plan: plan, applied: applied)
  }

  /// What is gone back to when this operation fails.
  private func targets() -> [ReleaseMigrations] {
    guard let previous = operation.facts.previous, previous != release else { return [] }
    return [Self.migrations(of: previous, in: operation.layout, directory)]
  }

  /// The migrations that a release brings; unknown when its directory is gone.
  static func migrations(of release: ReleaseID, in layout: Layout, _ directory: String) -> ReleaseMigrations {
    var names: Set<String>?
    let place = layout.release(release)
    if (try? FileFacts.ifPresent(place)) != nil {
      do throws(StepFailure) { names = Set(try MigrationFiles.names("\(place)/\(directory)") ?? []) } catch {
        names = nil
      }
    }
    return ReleaseMigrations(release: release, names: names)
  }

  // MARK: Applying

  /// Applies what is pending, in order, and records each in the facts of the operation.
  package func apply() throws(StepFailure) {
    let isPlan = operation.effects.mode == .plan
    let store = try open(readOnly: isPlan)
    do throws(DatabaseError) {
      try store.lock()
    } catch { throw error.lockFailure(address) }
    let view = try look(store)
    try judge(view)
    // Of an earlier try of this operation that was killed.
    operation.facts.migrations = view.applied.filter { $0.operation == operation.id && $0.state == .done }.map(\.name)
    guard !view.plan.pending.isEmpty else { return operation.audience.note("no migration is pending in \(address)") }
    try store.prepare(view.plan.pending)
    for script in view.plan.pending {
      operation.audience.note("migration \(script.name)\(script.directives.isContract ? " (contract)" : "")")
      let record = view.plan.interrupted.first { $0.name == script.name }
      let isMine = try store.apply(script, after: record)
      for notice in store.takeNotices() { operation.audience.output(notice) }
      guard isMine else {
        operation.audience.note("\(script.name) has been applied by another deploy meanwhile")
        continue
      }
      operation.facts.migrations.append(script.name)
      try operation.recordFacts()
    }
  }

  private func judge(_ view: View) throws(StepFailure) {
    for warning in view.plan.warnings { operation.audience.warn(warning) }
    for held in view.plan.held {
      operation.audience.note(
        "\(held.script.name) is a contract and is held back: release \(held.because), which is gone back to if this "
          + "deploy fails, does not know it; the next deploy applies it")
    }
    for record in view.plan.interrupted {
      operation.audience.warn("\(record.name) began in operation \(record.operation) and its end was never recorded")
    }
    guard let first = view.plan.refusals.first else { return }
    let count = view.plan.refusals.count
    throw StepFailure(
      .refused, count == 1 ? first.what : "\(count) things speak against the migrations, first: \(first.what)",
      next: first.next, lines: view.plan.refusals.dropFirst().prefix(50).map { "\($0.what); instead: \($0.next)" })
  }
}

extension DatabaseError {
  fileprivate func lockFailure(_ address: DatabaseAddress) -> StepFailure {
    var failure = failure("the migrations of \(address) are locked")
    if kind == .locked {
      failure.kind = .busy
      failure.next = "wait for the other deploy, then deploy again"
    }
    return failure
  }
}
