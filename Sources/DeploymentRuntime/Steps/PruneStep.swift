package import Deployment
internal import LinuxSystem
internal import Settings
package import Vocabulary

/// Removes what nobody will miss: releases, backups and records beyond what the settings keep, and what killed operations
/// left lying about. What runs, what is the way back, and what a live generation runs is never touched.
package struct PruneStep: OperationStep {
  /// What would go, the oldest first.
  package struct Plan: Hashable, Sendable {
    package var releases: [ReleaseID] = []
    package var backups: [String] = []
    package var operations: [OperationID] = []
    /// Absolute: what nothing that is kept needs any more.
    package var leftovers: [String] = []
    /// Of all but records together.
    package var size = ByteCount(0)
    /// `1 release, 2 backups`
    var summary: String {
      let counts = [
        (releases.count, "release"), (backups.count, "backup"), (operations.count, "record"),
        (leftovers.count, "leftover"),
      ]
      return counts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)\($0.0 == 1 ? "" : "s")" }.joined(separator: ", ")
    }
    package var isEmpty: Bool { releases.isEmpty && backups.isEmpty && operations.isEmpty && leftovers.isEmpty }
  }

  /// Records of operations that are kept as files; the ledger knows older ones.
  static let operationsKept = 100

  private let live: (Operation) throws(StepFailure) -> Set<ReleaseID>?

  /// - Parameter live: releases that generations of the supervisor still run; nil when that is not known, and then no
  ///   release is removed.
  package init(live: @escaping (Operation) throws(StepFailure) -> Set<ReleaseID>?) { self.live = live }

  package func run(_ operation: Operation) throws(StepFailure) {
    let layout = operation.layout
    let files = DurableFiles(operation.effects, operation: operation.id)
    if operation.effects.mode == .act {
      try asFailure { () throws(SystemError) in
        let places = [layout.directory, layout.releases, layout.backups, layout.deploys]
        for directory in places + Leftovers.places(layout) { try files.sweep(directory) }
      }
    }
    let plan = try plan(operation, measuring: operation.effects.mode == .plan)
    var freed = plan.size.bytes
    let releases = Releases(layout, files)
    for id in plan.releases {
      freed &+= try releases.discard(id).bytes
      try asFailure { () throws(SystemError) in try files.remove(KnownContents.path(layout, id)) }
    }
    let store = BackupStore(operation)
    for name in plan.backups { try asFailure { () throws(SystemError) in try files.remove(store.path(name)) } }
    for id in plan.operations {
      try asFailure { () throws(SystemError) in _ = try files.discardTree(layout.operation(id)) }
    }
    for path in plan.leftovers {
      try asFailure { () throws(SystemError) in freed &+= try files.discardTree(path).bytes }
    }
    if !plan.isEmpty {
      operation.audience.note("removed \(plan.summary); \(ByteCount(freed)) are free again")
    }
    try MirrorUpkeep(operation: operation).run()
  }

  /// What is gone was not needed.
  package func undo(_: Operation) {}

  /// What would go. With `measuring` it says how large the releases are, each a walk through the whole of it; else
  /// ``Plan/size`` is that of the backups.
  package func plan(_ operation: Operation, measuring: Bool = true) throws(StepFailure) -> Plan {
    let history = DeployHistory.read(operation.layout)
    let live = try live(operation)
    let protected = protected(operation, history, live ?? [])
    var plan = Plan()
    if live == nil {
      operation.audience.note("no release is removed while older generations drain")
    } else {
      try chooseReleases(operation, history, protected, &plan)
      if measuring {
        let size = plan.releases.reduce(UInt64(0)) { $0 &+ Self.size($1, operation.layout).bytes }
        plan.size = ByteCount(size)
      }
    }
    let store = BackupStore(operation)
    let made = Set([operation.facts.backup].compactMap { $0 })
    for one in try store.prunable(releases: protected, names: made) {
      plan.backups.append(one.name)
      plan.size = ByteCount(plan.size.bytes &+ one.size.bytes)
    }
    let leftovers = Leftovers(operation: operation)
    for copy in leftovers.copies(history, protected) {
      plan.backups.append(copy.name)
      plan.size = ByteCount(plan.size.bytes &+ copy.size.bytes)
    }
    plan.operations = operations(operation, history)
    plan.leftovers = leftovers.paths(without: Set(plan.releases))
    for path in plan.leftovers where measuring {
      plan.size = ByteCount(plan.size.bytes &+ ((try? TreeSize.of(path))?.stored.bytes ?? 0))
    }
    return plan
  }

  private func protected(
    _ operation: Operation, _ history: DeployHistory, _ live: Set<ReleaseID>
  ) -> Set<ReleaseID> {
    var protected = live
    for id in [currentRelease(operation.layout), operation.facts.release, operation.facts.previous].compactMap({ $0 }) {
      protected.insert(id)
    }
    // Two: the one that serves is one of them, and the other is the way back.
    for record in history.releases.filter({ $0.verdict == .good }).prefix(2) { protected.insert(record.id) }
    // Whoever bakes or was cut off may need both of its releases.
    for summary in history.operations where summary.outcome.map({ !$0.isFinal }) ?? true {
      for id in [summary.facts.release, summary.facts.previous].compactMap({ $0 }) { protected.insert(id) }
    }
    return protected
  }

  private func chooseReleases(
    _ operation: Operation, _ history: DeployHistory, _ protected: Set<ReleaseID>, _ plan: inout Plan
  ) throws(StepFailure) {
    let layout = operation.layout
    let places = Dictionary(history.releases.map { ($0.id, $0.sequence) }) { first, _ in first }
    let found = try asFailure { () throws(SystemError) in
      try Releases(layout, DurableFiles(operation.effects, operation: operation.id)).list()
    }
    let deploy = operation.deploy
    let now = RealTime.seconds()
    var items: [PruneChoice.Item] = []
    for release in found {
      // Ages and sizes are looked for where a setting is about them: a size is a walk through the whole tree.
      let made = deploy.keepFor == nil ? nil : (try? ManifestText.origin(layout.manifest(release.id)))?.made
      items.append(
        PruneChoice.Item(
          name: release.id.text, sequence: places[release.id] ?? 0, age: .seconds(max(0, now - (made ?? now))),
          size: deploy.keepSize == nil ? ByteCount(0) : Self.size(release.id, layout)))
    }
    let choice = PruneChoice(keep: deploy.keep, keepFor: deploy.keepFor, keepSize: deploy.keepSize)
    for item in choice.removed(from: items, protected: Set(protected.map(\.text))) {
      plan.releases.append(ReleaseID(item.name))
    }
  }

  private static func size(_ release: ReleaseID, _ layout: Layout) -> ByteCount {
    (try? TreeSize.of(layout.release(release)))?.stored ?? ByteCount(0)
  }

  private func operations(_ operation: Operation, _ history: DeployHistory) -> [OperationID] {
    let there = Set(OperationIndex.all(operation.layout))
    // Putting an adopted tree back takes what lies there.
    let adoption = (try? Adoption.read(operation.layout))?.operation
    let ended = history.operations.filter { summary in
      summary.operation != adoption && there.contains(summary.operation) && summary.operation != operation.id
        && summary.outcome?.isFinal == true
    }
    return ended.dropFirst(Self.operationsKept).map(\.operation).reversed()
  }
}
