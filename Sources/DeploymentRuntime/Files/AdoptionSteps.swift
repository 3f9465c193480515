package import Deployment
internal import Glibc
package import LinuxSystem
internal import Vocabulary

/// Adoption as an operation: each step done or undone from any instant, the tree whole at every one of them.
package enum AdoptionSteps {
  /// What a person asked for.
  package struct Wish: Hashable, Sendable {
    package var tree: String
    package var shared: [String]
    package var excluded: [String]
    /// The deploy user.
    package var user: UInt32
    package var group: UInt32
    package var who: String
    /// nil: whoever is found at work in the tree.
    package var service: Identity?

    package init(
      tree: String, shared: [String], excluded: [String], user: UInt32, group: UInt32, who: String, service: Identity?
    ) {
      self.tree = tree
      self.shared = shared
      self.excluded = excluded
      self.user = user
      self.group = group
      self.who = who
      self.service = service
    }
  }

  /// Makes an archive of a tree with its manifest and answers its name in `backups/`.
  package typealias Archive = (Operation, _ tree: String, Manifest) throws(StepFailure) -> String

  /// The steps of an adoption that begins, or, with nil, of one that was cut off and is undone from its record.
  package static func make(
    _ wish: Wish?, archive: @escaping Archive, users: @escaping AdoptionExamination.Users = TreeUsers.of
  ) -> [Step: any OperationStep] {
    let notes = AdoptionNotes()
    return [
      .preflight: AdoptionPreflight(wish: wish, users: users, notes: notes),
      .backup: AdoptionBackup(wish: wish, notes: notes, archive: archive), .fetch: AdoptionOwners(),
      .verify: AdoptionManifest(who: wish?.who ?? ""), .activate: AdoptionExchange(users: users),
      .healthCheck: AdoptionHealth(notes: notes),
    ]
  }

  static func files(_ operation: Operation) -> DurableFiles {
    DurableFiles(operation.effects, operation: operation.id)
  }

  static func record(_ operation: Operation) throws(StepFailure) -> Adoption {
    if let planned = operation.findings.adoption { return planned }
    guard let record = try Adoption.read(operation.layout), record.operation == operation.id else {
      throw StepFailure(.failed, "there is no record of this adoption")
    }
    return record
  }

  /// A plain copy in `backups/`, compared with the manifest: for where there are no archives.
  package static func copy(_ operation: Operation, _ tree: String, _ manifest: Manifest) throws(StepFailure) -> String {
    let (layout, files) = (operation.layout, files(operation))
    let name = "\(manifest.origin.release)"
    let target = "\(layout.backups)/\(name)"
    try asFailure { () throws(SystemError) in
      let temporary = TemporaryName.beside(target, operation.id)
      try files.discardTree(target)
      try files.removeTree(temporary)
      try files.copyTree(tree, to: temporary, skipping: manifest.outside)
      try files.syncTree(temporary)
      try files.move(temporary, to: target)
    }
    guard operation.effects.mode == .act else { return name }
    do throws(ManifestError) {
      // A copy has no setuid bits; everything else is the same.
      let found = try manifest.differences(in: target)
      if found.first.allSatisfy({ $0.kind == .mode }) { return name }
      throw .changing(found.first.first { $0.kind != .mode }?.path ?? .top)
    } catch {
      throw StepFailure(
        .failed, "the copy of \(tree): \(error)", next: "name what changes with --shared or --exclude")
    }
  }

  /// Puts everything back, in the order that keeps the tree whole. For a person who wants it back, and again after a kill.
  package static func undoAll(_ operation: Operation) throws(StepFailure) {
    try AdoptionExchange().undo(operation)
    try AdoptionManifest(who: "").undo(operation)
    try AdoptionOwners().undo(operation)
    try AdoptionBackup(wish: nil, notes: AdoptionNotes()) { (_, _, _) throws(StepFailure) in "" }.undo(operation)
  }
}

/// What the preflight saw, for the steps after it.
final class AdoptionNotes {
  var findings: AdoptionExamination.Findings?
  /// What the first bad answer was before anything was changed.
  var ill: String?
}

struct AdoptionPreflight: OperationStep {
  let wish: AdoptionSteps.Wish?
  let users: AdoptionExamination.Users
  let notes: AdoptionNotes

  func run(_ operation: Operation) throws(StepFailure) {
    guard let wish else { throw StepFailure(.refused, "nothing says which tree is to be adopted") }
    if let old = try Adoption.read(operation.layout), old.operation != operation.id {
      throw StepFailure(
        .refused, "\(old.tree) \(old.isUndoing ? "is being put back" : "has been adopted as release \(old.release)")",
        next: old.isUndoing ? "end that: baton adopt --undo" : "put it back first: baton adopt --undo")
    }
    let findings = try AdoptionExamination(
      tree: wish.tree, layout: operation.layout, shared: wish.shared, excluded: wish.excluded, users: users
    ).look()
    notes.findings = findings
    operation.facts.commit = findings.commit
    operation.facts.release = ReleaseID.make(commit: findings.commit)
    operation.audience.note("\(wish.tree) can be adopted: \(findings.entries) entries")
    if wish.service == nil, findings.service == nil {
      operation.audience.warn("nobody is at work in \(wish.tree), so who must be able to read it is not known")
    }
    try AdoptionHealth(notes: notes).look(operation)
  }

  func undo(_: Operation) {}
}

/// Writes down what is going to be, and makes an archive of the tree before anything in it is changed.
struct AdoptionBackup: OperationStep {
  let wish: AdoptionSteps.Wish?
  let notes: AdoptionNotes
  let archive: AdoptionSteps.Archive

  func run(_ operation: Operation) throws(StepFailure) {
    guard let wish, let release = operation.facts.release, let findings = notes.findings else {
      throw StepFailure(.failed, "nothing says which tree is to be adopted")
    }
    let (layout, files) = (operation.layout, AdoptionSteps.files(operation))
    let directory = try asFailure { () throws(SystemError) in try FileFacts.of(layout.directory) }
    try asFailure { () throws(SystemError) in
      try Releases(layout, files).prepare()
      try files.makeDirectory(layout.operation(operation.id), mode: 0o750)
    }
    let record = Adoption(
      tree: wish.tree, release: release, operation: operation.id, shared: wish.shared, excluded: findings.excluded,
      moved: findings.moved, user: wish.user, directoryUser: directory.user, directoryGroup: directory.group,
      service: wish.service ?? findings.service)
    try record.write(layout, files)
    if operation.effects.mode == .plan { operation.findings.adoption = record }
    let manifest = try AdoptionManifest.manifest(of: wish.tree, record, operation, who: wish.who)
    operation.facts.backup = try archive(operation, wish.tree, manifest)
  }

  /// The archive stays: it does no harm, and may be all that is left of something.
  func undo(_ operation: Operation) throws(StepFailure) {
    guard let record = try Adoption.read(operation.layout), record.operation == operation.id else { return }
    try asFailure { () throws(SystemError) in
      let (layout, files) = (operation.layout, AdoptionSteps.files(operation))
      var folders = [layout.directory, layout.releases, layout.shared, layout.deploys, layout.backups]
      folders += [parentDirectory(of: record.tree), record.tree]
      for name in record.shared {
        folders += [parentDirectory(of: "\(record.tree)/\(name)"), parentDirectory(of: "\(layout.shared)/\(name)")]
      }
      for folder in Set(folders).sorted() { try files.sweep(folder, of: operation.id) }
    }
    try AdoptionPlaces.giveBack(record, operation)
    try asFailure { () throws(SystemError) in
      let files = AdoptionSteps.files(operation)
      try files.remove(Adoption.path(operation.layout))
    }
  }
}

/// The tree becomes the deploy user's, still in its old place; the service reads as before.
struct AdoptionOwners: OperationStep {
  func run(_ operation: Operation) throws(StepFailure) {
    let record = try AdoptionSteps.record(operation)
    let path = Adoption.owners(operation.layout, operation.id)
    try asFailure { () throws(SystemError) in
      let found = try Ownership.of(record.tree, outside: record.outside)
      try AdoptionSteps.files(operation).write(found.text, to: path, mode: 0o600)
      try operation.effects.perform(.owner, record.tree) { () throws(SystemError) in
        try found.handOver(record.tree, to: record.user, service: record.service)
      }
    }
  }

  func undo(_ operation: Operation) throws(StepFailure) {
    let path = Adoption.owners(operation.layout, operation.id)
    guard let record = try Adoption.read(operation.layout), record.operation == operation.id, access(path, F_OK) == 0
    else { return }
    try asFailure { () throws(SystemError) in
      let found = try Ownership.read(path)
      try operation.effects.perform(.owner, record.tree) { () throws(SystemError) in
        try found.restore(record.tree, from: record.user)
      }
      try AdoptionSteps.files(operation).remove(path)
    }
  }
}

struct AdoptionManifest: OperationStep {
  let who: String

  func run(_ operation: Operation) throws(StepFailure) {
    let record = try AdoptionSteps.record(operation)
    let manifest = try Self.manifest(of: record.tree, record, operation, who: who)
    do throws(ManifestError) {
      let files = AdoptionSteps.files(operation)
      try files.write(manifest, to: operation.layout.manifest(record.release))
    } catch { throw StepFailure(.failed, "the manifest of \(record.tree): \(error)") }
  }

  func undo(_ operation: Operation) throws(StepFailure) {
    guard let record = try Adoption.read(operation.layout), record.operation == operation.id else { return }
    try asFailure { () throws(SystemError) in
      try AdoptionSteps.files(operation).remove(operation.layout.manifest(record.release))
    }
  }

  static func manifest(of tree: String, _ record: Adoption, _ operation: Operation, who: String) throws(StepFailure)
    -> Manifest
  {
    let origin = Manifest.Origin(
      release: record.release, operation: operation.id, source: tree, commit: operation.facts.commit, who: who,
      made: RealTime.seconds())
    do throws(ManifestError) {
      return try Manifest.of(tree, origin, outside: record.outside)
    } catch .changing(let path) {
      throw StepFailure(
        .refused, "\(path) of \(tree) changes while it is read",
        next: "name it, or a directory above it, with --shared or --exclude")
    } catch { throw StepFailure(.failed, "the manifest of \(tree): \(error)") }
  }
}
