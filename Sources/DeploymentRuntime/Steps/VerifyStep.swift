package import Deployment
import Glibc
import LinuxSystem
import Settings
import Vocabulary

/// Makes the release complete: its artifacts are there, what outlives it is linked in, nobody but its owner may write it,
/// all of it is on the disk, and its manifest, written last, says so.
package final class VerifyStep: OperationStep {
  private let work: ReleaseWork
  private let who: String

  /// - Parameters:
  ///   - work: of the fetch and the build of the same release.
  ///   - who: asked for the deploy.
  package init(_ work: ReleaseWork, who: String) {
    self.work = work
    self.who = who
  }

  package func run(_ operation: Operation) throws(StepFailure) {
    guard let release = operation.facts.release else { throw StepFailure(.failed, "there is no release to verify") }
    let layout = operation.layout
    let directory = layout.release(release)
    let files = DurableFiles(operation.effects, operation: operation.id)
    let shared = try SharedPaths(operation.deploy.shared)
    guard operation.effects.mode == .act else { return try plan(directory, shared, operation, files) }
    for artifact in operation.deploy.artifacts { try check(artifact, in: directory) }
    try shared.link(into: directory, layout, files)
    let outside = try outside(shared, operation)
    // The one walk through the tree: what it met is looked at in memory from here on.
    let listing = try asFailure { () throws(SystemError) in
      try ReleaseModes.seal(directory, outside: outside, files)
    }
    try checkReading(directory, listing, operation)
    let origin = Manifest.Origin(
      release: release, operation: operation.id, source: work.source, ref: work.ref, commit: operation.facts.commit,
      who: who, made: RealTime.seconds(), toolchain: work.toolchain)
    do throws(ManifestError) {
      work.known = work.known?.confirmed(by: listing)
      let manifest = try Manifest.of(directory, listing, origin, outside: outside)
      try compare(manifest, operation)
      try keep(manifest, operation, files)
    } catch {
      throw StepFailure(.failed, "the release \(release) cannot be described: \(error)", next: "see \(directory)")
    }
  }

  package func undo(_ operation: Operation) throws(StepFailure) {
    guard let release = operation.facts.release, release != operation.facts.previous else { return }
    let files = DurableFiles(operation.effects, operation: operation.id)
    try asFailure { () throws(SystemError) in
      try files.sweep(operation.layout.releases, of: operation.id)
      try files.remove(operation.layout.manifest(release))
    }
  }

  private func plan(_ directory: String, _ shared: SharedPaths, _ operation: Operation, _ files: DurableFiles)
    throws(StepFailure)
  {
    try asFailure { () throws(SystemError) in
      for path in shared.paths { try files.replaceSymlink("\(directory)/\(path)", with: SharedPaths.target(of: path)) }
      try files.syncTree(directory)
      try files.write([], to: "\(directory).manifest")
    }
  }

  // MARK: Artifacts

  private func check(_ artifact: String, in directory: String) throws(StepFailure) {
    func refusal(_ reason: String, _ next: String) -> StepFailure {
      StepFailure(.failed, "the artifact \(artifact) \(reason)", next: next)
    }
    guard let path = TreePath(artifact), !path.isTop else {
      throw refusal("does not lie in the release", "name it relative to the release")
    }
    let place = "\(directory)/\(path)"
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    guard realpath(place, &buffer) != nil else {
      throw refusal(
        "is not there: \(ErrorNumber.name(errno)) \(ErrorNumber.text(errno))", "see what the build makes, and where")
    }
    var top = [CChar](repeating: 0, count: Int(PATH_MAX))
    guard realpath(directory, &top) != nil, Self.text(buffer).hasPrefix(Self.text(top) + "/") else {
      throw refusal("is a link that leads out of the release, to \(Self.text(buffer))", "let the build copy it")
    }
    var facts = stat()
    guard stat(place, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
      throw refusal("is no regular file", "name a file")
    }
    guard facts.st_size > 0 else { throw refusal("is empty", "see why the build makes it so") }
    guard facts.st_mode & 0o111 == 0o111 || access(place, X_OK) == 0 && facts.st_mode & 0o111 != 0 else {
      throw refusal("is not executable", "let the build set its mode: chmod +x \(artifact)")
    }
  }

  private static func text(_ path: [CChar]) -> String {
    String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  // MARK: The tree

  private func outside(_ shared: SharedPaths, _ operation: Operation) throws(StepFailure) -> Set<TreePath> {
    var outside = Set(shared.paths)
    for text in operation.deploy.exclude {
      guard let path = TreePath(text), !path.isTop else {
        throw StepFailure(.refused, "exclude has \"\(text)\", which does not lie in the tree")
      }
      outside.insert(path)
    }
    return outside
  }

  /// The service must be able to read what it is to run, and should not be able to write it.
  private func checkReading(_ directory: String, _ listing: TreeListing, _ operation: Operation) throws(StepFailure) {
    guard let name = operation.settings.service.user, let user = Users.identity(user: name, group: nil) else { return }
    let trouble = try asFailure { () throws(SystemError) in
      try ReleaseModes.trouble(in: directory, listing, for: user)
    }
    if let path = trouble.unreadable {
      throw StepFailure(
        .failed, "the service's user \(name) cannot read \(path) of the release",
        next: "let the build leave it readable (chmod o+rX), or open the directories above it")
    }
    if let path = trouble.writable, user.user != 0 {
      operation.audience.warn("the service's user \(name) can write its own release (\(path)); deploy as another user")
    }
  }

  /// A file that was linked from the release before must still be what that one's manifest says.
  private func compare(_ manifest: Manifest, _ operation: Operation) throws(ManifestError) {
    guard let donor = work.donor, !work.linked.isEmpty else { return }
    var before = try Manifest.read(operation.layout.manifest(donor)).items[...]
    // What a build replaced is no link any more.
    let still = work.known?.entries ?? [:]
    for item in manifest.items where work.linked.contains(item.path) && still[item.path] != nil {
      // Both are in the order of their paths.
      while let first = before.first, first.path < item.path { before = before.dropFirst() }
      guard let first = before.first, first.path == item.path, first.content == item.content else {
        throw .damaged(line: 0, "\(item.path) of release \(donor) is no longer what it was when that was made")
      }
    }
  }

  /// First all of the tree, then what says that it is whole.
  private func keep(_ manifest: Manifest, _ operation: Operation, _ files: DurableFiles) throws(ManifestError) {
    let release = manifest.origin.release
    let directory = operation.layout.release(release)
    do throws(SystemError) {
      if let known = work.known {
        try files.write(known.text, to: KnownContents.path(operation.layout, release))
      }
      try files.syncTree(directory)
    } catch { throw .system(error) }
    try files.write(manifest, to: operation.layout.manifest(release))
  }
}
