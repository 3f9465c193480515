package import Deployment
import LinuxSystem
import Settings
import Vocabulary

/// Brings the database to what the new release needs, while the old one runs on.
///
/// Each file is a transaction of its own: what fails or is cut off leaves nothing of itself, and what was applied before
/// it stays, since it only expands the schema and the old release bears it. Run again, it goes on where it stood.
package struct MigrateStep: OperationStep {
  package init() {}

  package func run(_ operation: Operation) throws(StepFailure) {
    guard let settings = operation.deploy.migrate else { return }
    guard let release = operation.facts.release else {
      if operation.effects.mode == .plan {
        return operation.audience.note("migrations are read from the release once it is made")
      }
      throw StepFailure(.stuck, "migrate: there is no release yet")
    }
    switch settings.source {
    case .files(let directory):
      if operation.effects.mode == .plan, try !isThere("\(operation.tree(of: release))/\(directory)") {
        return operation.audience.note("migrations are read from the release once it is made")
      }
      try MigrationRun(operation, settings, directory: directory, release: release).apply()
    case .command(let command):
      try runCommand(command, settings, release, operation)
    }
  }

  /// The schema stays: every step forward was one that the release before bears. Removed is only what a copy of a SQLite
  /// database left unfinished.
  package func undo(_ operation: Operation) throws(StepFailure) {
    guard operation.deploy.migrate != nil else { return }
    let files = DurableFiles(operation.effects, operation: operation.id)
    do throws(SystemError) {
      try files.sweep(operation.layout.backups, of: operation.id)
    } catch { throw StepFailure(.failed, error) }
    let names = operation.facts.migrations
    guard !names.isEmpty else { return }
    operation.audience.note(
      "the database keeps \(names.joined(separator: ", ")): the release before was made to run with it")
  }

  private func isThere(_ path: String) throws(StepFailure) -> Bool {
    do throws(SystemError) { return try FileFacts.ifPresent(path) != nil } catch { throw StepFailure(.failed, error) }
  }

  /// The program's own tool knows what is applied; nothing of it can be judged here.
  private func runCommand(
    _ command: [String], _ settings: Settings.Deploy.Migrate, _ release: ReleaseID, _ operation: Operation
  ) throws(StepFailure) {
    operation.audience.note("migrations are the program's own: what they do to the old release is not checked")
    var run = CommandRun(
      command, in: operation.layout.release(release), environment: operation.environment(),
      subject: "migrate: \(CommandRun.line(of: command))")
    run.timeout = settings.timeout
    try run.run(operation).succeeded(next: "the old release runs on; correct the migration and deploy again")
  }
}
