package import Deployment
import Glibc
import LinuxSystem
import Settings
import Vocabulary

/// Makes the directory of the new release and fills it from its source. The release is not complete before
/// ``VerifyStep`` has written its manifest.
package final class FetchStep: OperationStep {
  private let source: ReleaseSource
  private let work: ReleaseWork

  package init(_ source: ReleaseSource, _ work: ReleaseWork) {
    self.source = source
    self.work = work
  }

  package func run(_ operation: Operation) throws(StepFailure) {
    try InPlaceTree.check(operation)
    work.source = source.name(repository: operation.deploy.repository)
    let files = DurableFiles(operation.effects, operation: operation.id)
    try asFailure { () throws(SystemError) in
      try Releases(operation.layout, files).prepare()
      try files.makeDirectory(KnownContents.directory(operation.layout))
    }
    switch source {
    case .repository(let ref): try fetch(ref ?? operation.deploy.ref, operation, files)
    case .directory(let path): try copy(path, operation, files)
    case .archive(let path): try unpack(.path(path), operation, files)
    case .input(let descriptor): try unpack(.descriptor(descriptor, name: "standard input"), operation, files)
    }
  }

  /// Removes the release, whatever of it there is. Its records were kept in ``OperationFacts/release`` before anything
  /// was made.
  package func undo(_ operation: Operation) throws(StepFailure) {
    // Of a deploy that was killed.
    try Survivors.leave(operation)
    let layout = operation.layout
    let files = DurableFiles(operation.effects, operation: operation.id)
    try asFailure { () throws(SystemError) in
      for directory in [layout.deploys, layout.releases, KnownContents.directory(layout)] {
        try files.sweep(directory, of: operation.id)
      }
    }
    guard let release = operation.facts.release, release != operation.facts.previous else { return }
    try Releases(layout, files).discard(release)
    try asFailure { () throws(SystemError) in try files.remove(KnownContents.path(layout, release)) }
  }

  // MARK: From a repository

  private func fetch(_ text: String, _ operation: Operation, _ files: DurableFiles) throws(StepFailure) {
    guard let repository = operation.deploy.repository else {
      throw StepFailure(
        .refused, "[deploy] names no repository",
        next: "set repository, or deploy a directory or an archive with --from")
    }
    let ref = try Ref(text)
    work.ref = text
    try GitConfiguration.write(operation, trusting: repository)
    let mirror = Mirror(operation, of: repository, at: operation.layout.mirror)
    if operation.effects.mode == .plan { return try plan(ref, mirror, operation) }
    try mirror.update(for: ref)
    let commit = try ref.resolve(in: mirror)
    try CommitRules.check(commit, in: mirror)
    operation.facts.commit = commit
    operation.audience.note("\(text) is commit \(commit)")
    let directory = try begin(operation, files)
    do throws(StepFailure) {
      try export(commit, mirror, directory, operation)
    } catch {
      // Objects can be broken that a fetch does not look at.
      guard error.kind == .failed, try mirror.isBroken() else { throw error }
      try files.clear(directory)
      try mirror.renew()
      try mirror.update(for: ref)
      try export(commit, mirror, directory, operation)
    }
  }

  private func export(_ commit: String, _ mirror: Mirror, _ directory: String, _ operation: Operation)
    throws(StepFailure)
  {
    // A build may write into files in place, and a link is the same file in both releases.
    work.needsRoom = !operation.deploy.build.commands.isEmpty
    var donor = operation.facts.previous
    if let release = donor, access(KnownContents.path(operation.layout, release), R_OK) != 0 { donor = nil }
    if donor != nil, work.needsRoom, !BuildRoom.isAvailable(operation) {
      operation.audience.note(
        "all files are copied: no overlay here, in which a build could not change those of the release before")
      donor = nil
    }
    let outcome = try TreeExport(mirror: mirror, commit: commit, directory: directory, donor: donor).run()
    try Submodules(mirror: mirror, commit: commit, directory: directory).export(outcome.submodules)
    work.known = outcome.known
    (work.donor, work.linked) = (donor, outcome.linked)
    let same = donor == nil ? "" : ", \(outcome.linked.count) of them as in the release before"
    let count = outcome.files.count
    operation.audience.note("\(count) file\(count == 1 ? "" : "s")\(same)")
  }

  /// Says what would be fetched, of what the mirror already has and the repository says.
  private func plan(_ ref: Ref, _ mirror: Mirror, _ operation: Operation) throws(StepFailure) {
    let names = ["refs/heads/\(ref.text)", "refs/tags/\(ref.text)", "refs/tags/\(ref.text)^{}", ref.text]
    let list = try Git(operation).answer(
      ["ls-remote", "--quiet"] + GitConfiguration.trust(mirror.url) + ["--", mirror.url]
        + (ref.isHead ? ["HEAD"] : names))
    // The last one: an annotated tag is followed by its commit.
    let commit = list.text.split(separator: "\n").last?.prefix { $0 != "\t" }
    operation.facts.commit = commit.map(String.init) ?? ref.text
    _ = try begin(operation, DurableFiles(operation.effects, operation: operation.id))
    if commit == nil {
      operation.audience.note("\(ref.text) is no branch or tag; as a commit it is looked for when it is fetched")
    }
    try PlannedFiles(operation: operation).compare(operation.facts.commit ?? ref.text, mirror)
  }

  // MARK: From elsewhere

  private func copy(_ path: String, _ operation: Operation, _ files: DurableFiles) throws(StepFailure) {
    let directory = try begin(operation, files, isMade: false)
    let git: Set<TreePath> = TreePath(".git").map { [$0] } ?? []
    if operation.effects.mode == .plan {
      do throws(ManifestError) {
        PlannedFiles(operation: operation).compare(try TreeContents.read(path, outside: git))
      } catch { throw StepFailure(.failed, "\(path) cannot be read: \(error)") }
      operation.findings.tree = path
    }
    do throws(SystemError) {
      try files.copyTree(path, to: directory, skipping: git)
    } catch {
      throw StepFailure(.failed, error, next: "a release holds directories, files and links only")
    }
  }

  private func unpack(_ archive: ArchiveSource, _ operation: Operation, _ files: DurableFiles) throws(StepFailure) {
    let directory = try begin(operation, files)
    var extraction = ArchiveReader.Extraction()
    if let top = try LeadingDirectory.find(in: archive, operation) {
      operation.audience.note("all of \(archive.name) lies below \(top)/: the release begins there")
      extraction.place = { $0.path.below(top) }
    }
    if operation.effects.mode == .plan { try PlannedFiles(operation: operation).compare(archive, extraction.place) }
    do throws(ArchiveError) {
      try operation.effects.perform(.write, "\(archive.name) -> \(directory)") { () throws(ArchiveError) in
        try ArchiveReader(archive, abort: operation.abort).extract(into: directory, extraction)
      }
    } catch { throw error.failure }
  }

  // MARK: The directory

  /// Names the release, writes that down, and makes its directory.
  private func begin(_ operation: Operation, _ files: DurableFiles, isMade: Bool = true) throws(StepFailure) -> String {
    let release = ReleaseID.make(commit: operation.facts.commit)
    operation.facts.release = release
    try operation.recordFacts()
    guard isMade else { return operation.layout.release(release) }
    return try asFailure { () throws(SystemError) in try Releases(operation.layout, files).create(release) }
  }
}

/// What fetch, build and verify of one release know of each other's work.
package final class ReleaseWork {
  /// For the manifest.
  var source = ""
  var ref: String?
  /// What lies in the release just as git has it.
  var known: KnownContents?
  /// One line of the build's compiler.
  var toolchain: String?

  /// The release that files were linked from, and which.
  var donor: ReleaseID?
  var linked: Set<TreePath> = []
  /// A build follows, and must not write into what is linked.
  var needsRoom = false

  package init() {}
}

extension DurableFiles {
  /// Empties a directory that nobody knows yet.
  func clear(_ directory: String) throws(StepFailure) {
    do throws(SystemError) {
      try removeTree(directory)
      try makeDirectory(directory)
    } catch { throw StepFailure(.failed, error) }
  }
}
