package import Deployment
internal import LinuxSystem
internal import Settings
package import Vocabulary

/// The fetch of a rollback: decides where it goes, and sees to it that this release is whole: as its directory lies there,
/// else from an archive, unpacked aside and verified before anything that runs is touched.
package struct ReturnStep: OperationStep {
  private let target: ReleaseID?
  private let archive: String?
  private let forgoesDatabase: Bool

  /// - Parameters:
  ///   - target: the release somebody named; nil lets the last good one be taken.
  ///   - archive: a backup somebody named, by its name or its path.
  ///   - forgoesDatabase: a database that cannot be asked is no obstacle; one that says no always is.
  package init(to target: ReleaseID?, archive: String?, forgoesDatabase: Bool = false) {
    self.target = target
    self.archive = archive
    self.forgoesDatabase = forgoesDatabase
  }

  package func run(_ operation: Operation) throws(StepFailure) {
    let store = BackupStore(operation)
    if let archive { return try take(archive, store, operation) }
    // One that recovery takes up again has decided already.
    if let release = operation.facts.release { return try restore(release, store, operation) }
    let archives = Set(((try? store.list())?.found ?? []).map(\.head.release))
    let records = DeployHistory.read(operation.layout).releases
    let gate = try askDatabase(records.map(\.id), operation)
    var candidates = records.map { candidate($0, archives, gate[$0.id], operation) }
    while true {
      let release: ReleaseID
      switch RollbackTarget.choose(candidates, current: operation.facts.previous, wish: target) {
      case .success(let chosen): release = chosen
      case .failure(let failure): throw failure
      }
      do throws(StepFailure) {
        try restore(release, store, operation)
        operation.facts.release = release
        operation.facts.commit = candidates.first { $0.record.id == release }?.record.commit
        try operation.recordFacts()
        if operation.effects.mode == .plan { PlannedFiles(operation: operation).compare(with: release) }
        return operation.audience.note("back to release \(release)")
      } catch {
        guard error.kind != .aborted, target == nil,
          let index = candidates.firstIndex(where: { $0.record.id == release })
        else { throw error }
        // The next one before it may be whole.
        operation.audience.warn(error.what)
        candidates[index].isRestorable = false
      }
    }
  }

  /// What was unpacked is a whole release, and stays; what was not finished goes.
  package func undo(_ operation: Operation) throws(StepFailure) {
    let files = DurableFiles(operation.effects, operation: operation.id)
    try asFailure { () throws(SystemError) in try files.sweep(operation.layout.releases, of: operation.id) }
  }

  private func candidate(
    _ record: ReleaseRecord, _ archives: Set<ReleaseID>, _ gate: MigrationGate.Answer?, _ operation: Operation
  ) -> RollbackTarget.Candidate {
    let layout = operation.layout
    let manifest = try? Manifest.read(layout.manifest(record.id))
    let isThere = ((try? FileFacts.ifPresent(layout.release(record.id))) ?? nil)?.kind == .directory
    return RollbackTarget.Candidate(
      record, isRestorable: (isThere && manifest != nil) || archives.contains(record.id),
      tree: manifest.map { "\($0.treeHash)" }, schema: gate.flatMap { Self.objection($0) })
  }

  private static func objection(_ answer: MigrationGate.Answer) -> String? {
    switch answer {
    case .open, .unknown: nil
    case .closed(let why): why
    }
  }

  /// A release that does not fit the database would serve errors: not knowing is a refusal, unless somebody said aloud
  /// that it is none.
  private func askDatabase(
    _ releases: [ReleaseID], _ operation: Operation
  ) throws(StepFailure) -> [ReleaseID: MigrationGate.Answer] {
    let gate = MigrationGate.look(at: releases, operation)
    guard case .unknown(let failure)? = gate.values.first else { return gate }
    let what = "whether the database still fits an older release cannot be told: \(failure.what)"
    guard forgoesDatabase else {
      throw StepFailure(
        .refused, what,
        next: "\(failure.next ?? "see to the database"), then roll back; --without-database goes back all the same",
        lines: failure.lines)
    }
    operation.audience.warn("\(what); gone back to all the same with --without-database")
    return gate
  }

  /// Of an archive somebody named only a verdict is in the way: its records may be lost, and its health check decides.
  private func checkVerdict(_ release: ReleaseID, _ archive: String, _ operation: Operation) throws(StepFailure) {
    switch DeployHistory.read(operation.layout).releases.first(where: { $0.id == release })?.verdict {
    case .good: return
    case .bad:
      throw StepFailure(
        .refused, "\(archive) holds release \(release), which is marked bad",
        next: "baton backup list shows the others; baton backup restore --to DIRECTORY unpacks it aside")
    case .new, nil:
      operation.audience.warn("release \(release) was never proved here; its health check decides")
    }
  }

  private func take(_ archive: String, _ store: BackupStore, _ operation: Operation) throws(StepFailure) {
    let held = try store.head(of: archive).head.release
    try checkVerdict(held, archive, operation)
    _ = try askDatabase([held], operation)
    let release = try store.restoreRelease(from: archive, abort: operation.abort, audience: operation.audience)
    guard release != operation.facts.previous else {
      throw StepFailure(.refused, "\(archive) holds release \(release), which is the one that runs")
    }
    // Now that it can be read.
    if let answer = MigrationGate.look(at: [release], operation)[release], let why = Self.objection(answer) {
      throw StepFailure(.refused, "release \(release) does not fit the database: \(why)", next: "baton migrations")
    }
    operation.facts.release = release
    operation.facts.commit = (try? Manifest.read(operation.layout.manifest(release)))?.origin.commit
    try operation.recordFacts()
  }

  /// Leaves a directory that is what its manifest says as it is.
  private func restore(_ release: ReleaseID, _ store: BackupStore, _ operation: Operation) throws(StepFailure) {
    let releases = Releases(operation.layout, store.files)
    let reason: StepFailure
    do throws(StepFailure) {
      try releases.verify(release)
      return
    } catch { reason = error }
    guard let backup = try store.newestSound(of: release, abort: operation.abort) else {
      throw StepFailure(
        .refused, "\(reason.what), and there is no sound archive of it", next: "baton backup list shows what there is",
        lines: reason.lines)
    }
    operation.audience.warn("\(reason.what); it is unpacked from \(backup.name)")
    try store.restoreRelease(from: backup.name, abort: operation.abort, audience: operation.audience)
  }
}
