package import Deployment
internal import Glibc
internal import LinuxSystem
package import Vocabulary

/// What root made in an adoption becomes the deploy user's, whose every later operation works there.
package enum AdoptionPlaces {
  /// After the operation, whatever came of it; again after a kill.
  package static func handOver(_ operation: Operation, to user: UInt32, _ group: UInt32) throws(StepFailure) {
    let layout = operation.layout
    let record = try Adoption.read(layout)
    try asFailure { () throws(SystemError) in
      try operation.effects.perform(.owner, layout.directory) { () throws(SystemError) in
        if let record {
          try take(layout.directory, user, nil)
          try take(layout.current, user, group)
          try take(layout.manifest(record.release), user, group)
        }
        for place in [layout.releases, layout.shared, layout.backups, layout.deploys] { try take(place, user, group) }
        for place in [layout.backups, layout.deploys] where access(place, F_OK) == 0 {
          try TreeWalk.each(in: place) { (entry) throws(SystemError) in
            // Only what root itself made: a link someone put there leads nowhere.
            guard entry.facts.user == 0, entry.facts.links == 1 || entry.facts.kind == .directory else { return }
            try retrying("set the owner of", "\(place)/\(entry.path)") {
              fchownat(entry.directory, entry.name, user, group, AT_SYMLINK_NOFOLLOW)
            }
          }
        }
      }
    }
  }

  /// What is not there needs no owner; `group` nil leaves the group.
  private static func take(_ path: String, _ user: UInt32, _ group: UInt32?) throws(SystemError) {
    do throws(SystemError) { try retrying("set the owner of", path) { lchown(path, user, group ?? ~0) } } catch {
      if error.errno != ENOENT { throw error }
    }
  }

  /// The service's directory is whose it was before the adoption.
  static func giveBack(_ record: Adoption, _ operation: Operation) throws(StepFailure) {
    let path = operation.layout.directory
    try asFailure { () throws(SystemError) in
      try operation.effects.perform(.owner, path) { () throws(SystemError) in
        try retrying("set the owner of", path) { lchown(path, record.directoryUser, record.directoryGroup) }
      }
    }
  }
}

/// `baton adopt --undo`: the tree back in its place, as it was, with all that was written since to what is shared.
package enum AdoptionUndo {
  /// Under the lock. Killed in between, the tree is whole, and the next call ends it.
  ///
  /// - Throws: `refused` where nothing was adopted, or a later release runs.
  package static func run(_ make: (OperationID) -> Operation, _ layout: Layout) throws(StepFailure) -> Adoption {
    guard var record = try Adoption.read(layout) else { throw nothing(layout) }
    let operation = make(record.operation)
    let current = currentRelease(layout)
    guard current == record.release || (current == nil && record.isUndoing) || !isLink(record.tree) else {
      throw StepFailure(
        .refused, "\(layout.current) names \(current.map { "release \($0)" } ?? "no release"), not the adopted tree",
        next: "go back to it first: baton rollback --to \(record.release)")
    }
    record.isUndoing = true
    try record.write(layout, AdoptionSteps.files(operation))
    try takeBackWord(operation)
    try AdoptionSteps.undoAll(operation)
    return record
  }

  package static func nothing(_ layout: Layout) -> StepFailure {
    StepFailure(.refused, "nothing was adopted in \(layout.directory)")
  }

  /// From here on its records do not call the release good any more. They may be gone, after many operations.
  private static func takeBackWord(_ operation: Operation) throws(StepFailure) {
    guard access(StepLog.path(operation.layout, operation.id), F_OK) == 0 else { return }
    let log = try StepLog.open(operation.layout, operation.id, effects: operation.effects)
    if log.entries.last != .ended(.aborted) {
      try log.append(.undid(.markGood))
      try log.append(.ended(.aborted))
    }
    // Whatever is missing there is made good for.
    let ledger = DeployLedger(operation.layout, effects: operation.effects)
    _ = ledger.write(log.lines)
    for line in ledger.news { operation.audience.warn(line) }
  }

  private static func isLink(_ path: String) -> Bool { (try? FileFacts.of(path).kind) == .link }
}
