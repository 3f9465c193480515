internal import CLinux
internal import Deployment
internal import Glibc
internal import LinuxSystem
internal import Vocabulary

/// The tree and the link to it change places in one instant; then each shared path does. Before, between and after, every
/// name of the tree means what it meant.
struct AdoptionExchange: OperationStep {
  var users: AdoptionExamination.Users = TreeUsers.of

  func run(_ operation: Operation) throws(StepFailure) {
    let (layout, files) = (operation.layout, AdoptionSteps.files(operation))
    let record = try AdoptionSteps.record(operation)
    let release = layout.release(record.release)
    if !Self.isExchanged(record, layout) {
      // Once more, in the last moment it can be refused without a trace.
      try AdoptionExamination(
        tree: record.tree, layout: layout, shared: record.shared, excluded: record.excluded, users: users
      ).refuseWriters()
      try asFailure { () throws(SystemError) in
        // It means something only where the tree is now, and from the exchange on.
        try files.replaceSymlink(release, with: Self.link(from: record.tree, layout))
        try files.replaceSymlink(layout.current, with: "releases/\(record.release)")
        try files.exchange(record.tree, release)
      }
    }
    let isPlanned = operation.effects.mode == .plan
    try SharedPaths(record.shared).link(into: isPlanned ? record.tree : release, layout, files)
    if !isPlanned { try Self.compare(record, layout) }
  }

  func undo(_ operation: Operation) throws(StepFailure) {
    let (layout, files) = (operation.layout, AdoptionSteps.files(operation))
    guard let record = try Adoption.read(layout), record.operation == operation.id else { return }
    let release = layout.release(record.release)
    if Self.isExchanged(record, layout) {
      for name in record.shared { try putBack(name, record, layout, files) }
    }
    try asFailure { () throws(SystemError) in
      let way = WayBack(link: record.tree, real: release, files)
      if Self.isExchanged(record, layout) { try way.go() }
      if (try? readLink(layout.current)) == Array("releases/\(record.release)".utf8) {
        try files.remove(layout.current)
      }
      try way.clear()
    }
  }

  /// What came out of the tree goes back into it, with all that was written since; a directory made for it stays.
  private func putBack(_ name: String, _ record: Adoption, _ layout: Layout, _ files: DurableFiles) throws(StepFailure)
  {
    guard let path = TreePath(name) else { return }
    let (own, shared) = ("\(layout.release(record.release))/\(name)", "\(layout.shared)/\(name)")
    let link = Array(SharedPaths.target(of: path).utf8)
    try asFailure { () throws(SystemError) in
      let way = WayBack(link: own, real: shared, files)
      let target = try? readLink(own)
      let isLinked = target == link || target == way.target
      if record.moved.contains(name) {
        let there = try? readLink(shared)
        let isThere = try FileFacts.ifPresent(shared) != nil && there != link && there != way.target
        if isLinked, isThere { try way.go() }
        if (try? readLink(shared)) == link { try files.remove(shared) }
        try way.clear()
      } else if isLinked {
        try files.remove(own)
      }
    }
  }

  /// Reality, and not what was meant to be: the tree's name is a link of ours, and the release a directory.
  static func isExchanged(_ record: Adoption, _ layout: Layout) -> Bool {
    let target = try? readLink(record.tree)
    let way = TemporaryName.way(record.tree, record.operation)
    return (target == Array(link(from: record.tree, layout).utf8) || target == Array(way.utf8))
      && (try? FileFacts.of(layout.release(record.release)).kind) == .directory
  }

  /// Relative beside `current`, so that the whole may be moved.
  static func link(from tree: String, _ layout: Layout) -> String {
    parentDirectory(of: tree) == layout.directory ? "current" : layout.current
  }

  /// The release is what its manifest says, or somebody wrote in the tree meanwhile.
  private static func compare(_ record: Adoption, _ layout: Layout) throws(StepFailure) {
    let differences: TreeDifferences
    do throws(ManifestError) {
      differences = try Manifest.read(layout.manifest(record.release))
        .differences(in: layout.release(record.release))
    } catch { throw StepFailure(.failed, "the release \(record.release): \(error)") }
    guard differences.isEmpty else {
      throw StepFailure(
        .failed, "\(record.tree) was changed while it was adopted: \(differences.summary)",
        next: "name what changes with --shared or --exclude", lines: differences.first.map(\.description))
    }
  }
}

/// Brings what lies at `real` back to the name `link`, which leads to it, in one exchange, for those too who are under way.
///
/// Who has read the link before the exchange comes to `real` after it, and must find there a link that leads back. One
/// name does both: beside `link` it leads to `real`, and beside `real` it leads to `link`.
private struct WayBack {
  let link: String
  let real: String
  let files: DurableFiles
  private let name: String

  init(link: String, real: String, _ files: DurableFiles) {
    self.link = link
    self.real = real
    self.files = files
    name = TemporaryName.way(link, files.operation)
  }

  var target: [UInt8] { Array(name.utf8) }
  private var here: String { "\(parentDirectory(of: link))/\(name)" }
  private var there: String { "\(parentDirectory(of: real))/\(name)" }

  func go() throws(SystemError) {
    try files.replaceSymlink(here, with: real)
    try files.replaceSymlink(there, with: link)
    try files.replaceSymlink(link, with: name)
    try files.exchange(link, real)
  }

  /// The exchange was synced since, and whoever was under way then has come to an end.
  func clear() throws(SystemError) {
    let isReturned = try FileFacts.ifPresent(real)?.kind == .link
    var names: [String] = []
    for name in [here, there] where try FileFacts.ifPresent(name) != nil { names.append(name) }
    guard isReturned || !names.isEmpty else { return }
    cl_wait_for_lookups()
    if isReturned { try files.remove(real) }
    for name in names { try files.remove(name) }
  }
}

extension TemporaryName {
  fileprivate static func way(_ path: String, _ operation: OperationID) -> String {
    let beside = beside(path, operation, "way-")
    return beside.split(separator: "/").last.map(String.init) ?? beside
  }
}
