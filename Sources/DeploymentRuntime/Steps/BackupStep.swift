package import Deployment
internal import LinuxSystem

/// Puts what runs into an archive before anything of it is touched: see ``BackupStore``. One that says the same already is
/// taken instead. It stays when the deploy is undone; only what was half-made goes.
package struct BackupStep: OperationStep {
  package init() {}

  package func run(_ operation: Operation) throws(StepFailure) {
    guard let release = operation.facts.previous else {
      return operation.audience.note("nothing runs yet that a backup could hold")
    }
    let store = BackupStore(operation)
    try asFailure { () throws(SystemError) in try store.files.makeDirectory(operation.layout.backups, mode: 0o700) }
    let backup = try store.create(
      of: release, sequence: operation.facts.sequence, abort: operation.abort, audience: operation.audience)
    operation.facts.backup = backup.name
    operation.audience.note(backup.isNew ? "backup \(backup.name)" : "backup \(backup.name) says the same already")
  }

  package func undo(_ operation: Operation) throws(StepFailure) {
    let files = DurableFiles(operation.effects, operation: operation.id)
    try asFailure { () throws(SystemError) in try files.sweep(operation.layout.backups, of: operation.id) }
  }
}

/// Puts the previous release back from its archive where its directory is not what its manifest says: the step before an
/// activation that goes back.
package struct RestoreReleaseStep: OperationStep {
  package init() {}

  package func run(_ operation: Operation) throws(StepFailure) {
    guard let release = operation.facts.previous else {
      throw StepFailure(.stuck, "there was no release before this one")
    }
    let store = BackupStore(operation)
    if (try? Releases(operation.layout, store.files).verify(release)) != nil { return }
    guard let backup = try store.newestSound(of: release) else {
      throw StepFailure(
        .stuck, "the release \(release) is not what its manifest says, and no sound archive of it is there",
        next: "baton backup list shows the archives there are")
    }
    try store.restoreRelease(from: backup.name, replacesCurrent: true, audience: operation.audience)
  }

  package func undo(_ operation: Operation) throws(StepFailure) {
    let files = DurableFiles(operation.effects, operation: operation.id)
    try asFailure { () throws(SystemError) in try files.sweep(operation.layout.releases, of: operation.id) }
  }
}
