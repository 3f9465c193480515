import Deployment
import Glibc
import LinuxSystem
import Settings
import Vocabulary

/// Brings the files of a commit into an empty directory that nobody else knows.
///
/// What the release before already has is linked (hard links), where that is safe; the rest is written by git itself on
/// all processors, which refuses paths that lead outside or into `.git`. See docs/decisions for the figures.
struct TreeExport {
  let mirror: Mirror
  let commit: String
  let directory: String
  /// Release to link from; nil: everything is written.
  var donor: ReleaseID?

  private var operation: Operation { mirror.operation }
  /// Git's, for this export alone.
  private var index: String { TemporaryName.beside("\(operation.layout.deploys)/index", operation.id) }

  /// At most so many files.
  static let limit = Manifest.itemLimit

  struct Outcome {
    var files: [GitFile]
    var linked: Set<TreePath>
    var known: KnownContents
    var submodules: [GitFile]
  }

  func run() throws(StepFailure) -> Outcome {
    defer { unlink(index) }
    let variables = ["GIT_INDEX_FILE": index, "GIT_WORK_TREE": directory]
    let files = try readIndex(variables)
    let attributes = try GitAttributes(of: files, mirror.git, index: variables)
    let wanted = files.filter { !attributes.isIgnored($0.path) }
    let large = wanted.filter { attributes.large.contains($0.path) }
    if !attributes.ignored.isEmpty {
      operation.audience.note("\(files.count - wanted.count) files are left out, as export-ignore says")
    }
    if attributes.substituted > 0 {
      operation.audience.note("\(attributes.substituted) files have export-subst, which is not done here")
    }
    let lfs = try LargeFiles.prepare(large, commit: commit, in: mirror)
    let print = Self.print(of: files)
    let linked = try link(wanted, print, isSafe: large.isEmpty)
    try write(wanted.filter { $0.kind != .submodule && linked[$0.path] == nil }, variables, lfs)
    try LargeFiles.check(large, in: directory)
    return Outcome(
      files: wanted, linked: Set(linked.keys), known: try known(wanted, linked, print),
      submodules: wanted.filter { $0.kind == .submodule })
  }

  private func readIndex(_ variables: [String: String]) throws(StepFailure) -> [GitFile] {
    unlink(index)
    let result = try mirror.git.command(
      ["read-tree", commit], with: variables, subject: "git read-tree \(commit.prefix(12))"
    )
    .run(operation)
    try result.succeeded(next: "see the commit: git -C \(mirror.path) fsck")
    return try GitFile.parse(
      try mirror.git.answer(["ls-files", "--stage", "-z"], with: variables).captured, limit: Self.limit)
  }

  /// Which attributes files this commit has, and where.
  private static func print(of files: [GitFile]) -> String {
    let name = Array(".gitattributes".utf8)
    let lines = files.filter { $0.path.name.elementsEqual(name) }.map { "\($0.object) \($0.path)" }
    return Digest.of(Array(lines.joined(separator: "\n").utf8)).hex
  }

  // MARK: Linking

  private func link(_ files: [GitFile], _ print: String, isSafe: Bool)
    throws(StepFailure) -> [TreePath: KnownContents.Entry]
  {
    guard isSafe, let donor, let known = KnownContents.read(operation.layout, donor), known.attributes == print else {
      return [:]
    }
    let from = operation.layout.release(donor)
    do throws(SystemError) {
      return try operation.effects.perform(.link, "\(from) -> \(directory)", planned: [:]) { () throws(SystemError) in
        try link(files, known: known, from: from)
      }
    } catch { throw StepFailure(.failed, error) }
  }

  private struct Candidate: Sendable {
    let path: TreePath
    /// Number of the directory it lies in, in the order they were met.
    let directory: Int
    let isProgram: Bool
    let entry: KnownContents.Entry
  }

  /// Room for one outcome a candidate, each written by one thread once and read after all have ended.
  private struct Outcomes: @unchecked Sendable {
    let codes: UnsafeMutableBufferPointer<Int32>
    /// No link was tried: the file is not what it was.
    static let changed: Int32 = -1
  }

  /// Files that one thread takes at a time: those of one directory, in which only one thread can make names at a time, and
  /// no more than this.
  private static let batch = 1_024

  private static func batches(_ candidates: [Candidate]) -> [Range<Int>] {
    var batches: [Range<Int>] = []
    var start = 0
    for index in candidates.indices.dropFirst() {
      guard index - start >= batch || candidates[index].directory != candidates[index - 1].directory else { continue }
      batches.append(start..<index)
      start = index
    }
    if start < candidates.count { batches.append(start..<candidates.count) }
    return batches
  }

  private func link(_ files: [GitFile], known: KnownContents, from: String) throws(SystemError)
    -> [TreePath: KnownContents.Entry]
  {
    let source = try Descriptor.open(from, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    let target = try Descriptor.open(directory, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    var candidates: [Candidate] = []
    var made: Set<TreePath> = [.top]
    var parent = TreePath.top
    var directory = 0
    // In the order of git's index: files of one directory follow each other.
    for file in files where file.kind == .file || file.kind == .program {
      guard let entry = known.entries[file.path], entry.object == file.object else { continue }
      if file.path.parent != parent {
        (parent, directory) = (file.path.parent, directory + 1)
        try makeDirectories(parent, in: target, &made)
      }
      candidates.append(
        Candidate(path: file.path, directory: directory, isProgram: file.kind == .program, entry: entry))
    }
    let outcomes = Outcomes(codes: .allocate(capacity: candidates.count))
    outcomes.codes.initialize(repeating: Outcomes.changed)
    defer { outcomes.codes.deallocate() }
    let all = candidates
    let batches = Self.batches(all)
    let (sourceNumber, targetNumber) = (source.raw, target.raw)
    Parallel.each(of: batches.count) { number in
      for index in batches[number] {
        outcomes.codes[index] = Self.link(all[index], from: sourceNumber, to: targetNumber)
      }
    }
    var linked: [TreePath: KnownContents.Entry] = [:]
    linked.reserveCapacity(all.count)
    for (candidate, code) in zip(all, outcomes.codes) {
      switch code {
      case 0: linked[candidate.path] = candidate.entry
      // Another file system, too many links, or a kernel that protects links: written instead.
      case Outcomes.changed, EXDEV, EMLINK, EPERM, ENOENT: continue
      default: throw SystemError("link", "\(directory)/\(candidate.path)", errno: code)
      }
    }
    return linked
  }

  private static func link(_ candidate: Candidate, from source: Int32, to target: Int32) -> Int32 {
    candidate.path.withPointer { path in
      var facts = stat()
      guard fstatat(source, path, &facts, AT_SYMLINK_NOFOLLOW) == 0, facts.st_mode & S_IFMT == S_IFREG,
        candidate.entry.agrees(facts), (facts.st_mode & 0o111 != 0) == candidate.isProgram
      else { return Outcomes.changed }
      return linkat(source, path, target, path, 0) == 0 ? 0 : errno
    }
  }

  /// Only directories are made, and nothing else is there yet: no path can lead through a link.
  private func makeDirectories(_ path: TreePath, in target: Descriptor, _ made: inout Set<TreePath>) throws(SystemError)
  {
    guard made.insert(path).inserted else { return }
    try makeDirectories(path.parent, in: target, &made)
    let code = path.withPointer { mkdirat(target.raw, $0, 0o755) == 0 ? 0 : errno }
    if code != 0, code != EEXIST { throw SystemError("make the directory", "\(directory)/\(path)", errno: code) }
    // Whatever the umask says: the service is not of our group, and git makes its directories like this as well.
    if code == 0 { _ = path.withPointer { fchmodat(target.raw, $0, 0o755, 0) } }
  }

  // MARK: Writing

  private func write(_ files: [GitFile], _ variables: [String: String], _ lfs: [String: String]) throws(StepFailure) {
    guard !files.isEmpty else { return }
    var command = mirror.git.command(
      ["checkout-index", "--quiet", "-z", "--stdin"], with: variables.merging(lfs) { $1 },
      subject: "git checkout-index into \(directory)")
    var list: [UInt8] = []
    list.reserveCapacity(files.reduce(0) { $0 + $1.path.bytes.count + 1 })
    for file in files {
      list += file.path.bytes
      list.append(0)
    }
    command.input = .bytes(list)
    let result = try command.run(operation)
    try result.succeeded(next: "see that there is room on the disk, then try again")
  }

  private func known(_ files: [GitFile], _ linked: [TreePath: KnownContents.Entry], _ print: String)
    throws(StepFailure) -> KnownContents
  {
    var known = KnownContents(attributes: print, entries: linked)
    guard operation.effects.mode == .act else { return known }
    do throws(SystemError) {
      let top = try Descriptor.open(directory, flags: O_RDONLY | O_DIRECTORY)
      known.entries.reserveCapacity(files.count)
      for file in files where (file.kind == .file || file.kind == .program) && linked[file.path] == nil {
        guard let facts = KnownContents.facts(of: file.path, in: top) else {
          throw SystemError("find", "\(directory)/\(file.path), which git said it wrote,", errno: ENOENT)
        }
        known.entries[file.path] = KnownContents.Entry(file.object, facts)
      }
    } catch { throw StepFailure(.failed, error) }
    return known
  }
}
