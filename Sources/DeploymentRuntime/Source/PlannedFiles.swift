package import Deployment
import Glibc
import LinuxSystem
import Settings
import Vocabulary

/// What a plan has found out about the release that would be made. Empty where something is done.
package final class PlanFindings {
  /// Everything that stands in the way.
  package var refusals: [StepFailure] = []
  /// From the release that serves to the one that would; nil where that cannot be told.
  package var files: TreeDifferences?
  /// What of the release's files can be read already, at the places they would have.
  var tree: String?
  /// The record of an adoption, which nobody writes.
  var adoption: Adoption?
  /// Removed with this.
  var scratch: ScratchDirectory?

  package init() {}
}

extension Operation {
  /// Where files of a release can be read, also of one that is only planned.
  func tree(of release: ReleaseID) -> String { findings.tree ?? layout.release(release) }
}

/// Compares what a deploy would bring with what serves, and only reads: what it needs of a repository it fetches into a
/// directory that goes with the plan.
struct PlannedFiles {
  let operation: Operation

  /// Files that are named; the others are counted.
  static let limit = 200

  /// `items` may be in any order, directories included.
  func compare(_ items: [TreeItem], readAll: Bool = true) {
    guard let previous = operation.facts.previous else { return keep([], items) }
    do throws(ManifestError) {
      let manifest = try Manifest.read(operation.layout.manifest(previous))
      let outside = manifest.outside.union(operation.deploy.exclude.compactMap { TreePath($0) })
      let new = items.filter { item in !outside.contains { item.path.isInside($0) } }
      var old = manifest.items
      if !operation.deploy.build.commands.isEmpty {
        let paths = Set(new.map(\.path))
        old.removeAll { !paths.contains($0.path) }
        let files = manifest.items.count { $0.isNoDirectory } - old.count { $0.isNoDirectory }
        if files > 0 {
          operation.audience.note(
            "\(files) files of release \(previous) are not in the source: the build makes them, or they go")
        }
      }
      keep(readAll ? old : old.map(\.named), readAll ? new : new.map(\.named))
      if !readAll {
        operation.audience.note(
          "which of the files in both have changed is not told: release \(previous) is of no commit known here")
      }
    } catch {
      operation.audience.note("the files are not compared: release \(previous) has no manifest to be read")
    }
  }

  /// A release that is there already.
  func compare(with release: ReleaseID) {
    guard let previous = operation.facts.previous, release != previous,
      let old = try? Manifest.read(operation.layout.manifest(previous)),
      let new = try? Manifest.read(operation.layout.manifest(release))
    else { return }
    keep(old.items, new.items)
  }

  /// Git knows no directories, and of modes only whether a program may be run.
  private func keep(_ old: [TreeItem], _ new: [TreeItem]) {
    func plain(_ items: [TreeItem]) -> [TreeItem] {
      items.filter(\.isNoDirectory).map {
        TreeItem(path: $0.path, mode: $0.mode & 0o100 == 0 ? 0o644 : 0o755, content: $0.content)
      }
      .sorted { $0.path < $1.path }
    }
    operation.findings.files = TreeDifferences(from: plain(old), to: plain(new), limit: Self.limit)
  }
}

extension TreeItem {
  fileprivate var isNoDirectory: Bool { if case .directory = content { false } else { true } }
  /// Nothing known but that it is there.
  fileprivate var named: TreeItem { TreeItem(path: path, mode: 0, content: .file(size: 0, digest: nil)) }
}

// MARK: A repository

extension PlannedFiles {
  /// Fetches the commit alone, without its files where the server can do that, beside what the mirror has.
  func compare(_ commit: String, _ mirror: Mirror) throws(StepFailure) {
    let scratch: ScratchDirectory
    do throws(SystemError) { scratch = try ScratchDirectory() } catch {
      return operation.audience.note("the files are not compared: \(error)")
    }
    operation.findings.scratch = scratch
    let git = Git(operation, directory: "\(scratch.path)/git")
    guard try fetch(commit, mirror, git, scratch) else {
      return operation.audience.note("the files are not compared: the commit cannot be fetched before the deploy")
    }
    let new = try items(commit, git) ?? []
    let previous = operation.facts.previous.flatMap { try? Manifest.read(operation.layout.manifest($0)) }
    if let before = previous?.origin.commit, let old = try items(before, git) {
      keep(old, new)
    } else {
      compare(new, readAll: previous == nil)
    }
    guard let migrate = operation.deploy.migrate, case .files(let directory) = migrate.source else { return }
    let tree = "\(scratch.path)/tree"
    guard mkdir(tree, 0o700) == 0 else { return }
    if try run(git, ["checkout", "--quiet", commit, "--", ":(top,literal)\(directory)"], ["GIT_WORK_TREE": tree]) {
      operation.findings.tree = tree
    }
  }

  private func fetch(_ commit: String, _ mirror: Mirror, _ git: Git, _ scratch: ScratchDirectory)
    throws(StepFailure) -> Bool
  {
    guard try run(Git(operation), ["init", "--quiet", "--bare", "--template=", "\(scratch.path)/git"]) else {
      return false
    }
    if access("\(mirror.path)/objects", R_OK) == 0 {
      do throws(SystemError) { try scratch.write("\(mirror.path)/objects\n", to: "git/objects/info/alternates") } catch
      {
        return false
      }
      if try mirror.has(commit) { return true }
    }
    for (key, value) in [("url", mirror.url), ("promisor", "true"), ("partialclonefilter", "blob:none")] {
      guard try run(git, ["config", "remote.origin.\(key)", value]) else { return false }
    }
    return try run(
      git,
      ["fetch", "--quiet", "--depth=1", "--filter=blob:none", "--no-tags", "--no-write-fetch-head", "origin", commit])
  }

  /// It changes nothing but the scratch directory: no effect.
  private func run(_ git: Git, _ arguments: [String], _ added: [String: String] = [:]) throws(StepFailure) -> Bool {
    var command = git.command(arguments, with: added)
    command.isReading = true
    command.isQuiet = true
    return try command.run(operation).hasSucceeded
  }

  /// nil when this commit is not there. An object's name stands for its contents.
  private func items(_ commit: String, _ git: Git) throws(StepFailure) -> [TreeItem]? {
    // One that is missing would be fetched.
    let added = ["GIT_NO_LAZY_FETCH": "1"]
    let result = try git.ask(["ls-tree", "-r", "-z", "--full-tree", commit], with: added)
    guard result.hasSucceeded else { return nil }
    return try GitFile.parse(result.captured, limit: Manifest.itemLimit).map { file in
      TreeItem(
        path: file.path, mode: file.kind == .program ? 0o100 : 0,
        content: .file(size: 0, digest: Digest.of(Array(file.object.utf8))))
    }
  }
}

// MARK: An archive

extension PlannedFiles {
  func compare(_ archive: ArchiveSource, _ place: (ArchiveEntry) -> TreePath?) throws(StepFailure) {
    var contents = Contents()
    do throws(ArchiveError) {
      try ArchiveReader(archive, abort: operation.abort).read(&contents)
    } catch { throw error.failure }
    compare(
      contents.items.compactMap { item in
        let entry = ArchiveEntry(path: item.path, kind: .directory, mode: item.mode, modified: 0)
        return place(entry).map { TreeItem(path: $0, mode: item.mode, content: item.content) }
      })
  }

  private struct Contents: ArchiveVisitor {
    var items: [TreeItem] = []
    private var hash = RunningHash()
    private var size: UInt64 = 0

    mutating func begin(_ entry: ArchiveEntry) -> Bool {
      switch entry.kind {
      case .file: return true
      case .directory: break
      case .link(let target): items.append(TreeItem(path: entry.path, mode: 0o777, content: .link(target: target)))
      case .hardLink(let target):
        if let same = items.last(where: { $0.path == target }) {
          items.append(TreeItem(path: entry.path, mode: same.mode, content: same.content))
        }
      }
      return false
    }

    mutating func data(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
      // A hole reads as zeros.
      while size < offset {
        let zeros = [UInt8](repeating: 0, count: Int(min(offset - size, 65_536)))
        zeros.withUnsafeBytes { hash.update($0) }
        size += UInt64(zeros.count)
      }
      hash.update(bytes)
      size += UInt64(bytes.count)
    }

    mutating func end(_ entry: ArchiveEntry) {
      if case .file(let whole) = entry.kind, size < whole {
        data(UnsafeRawBufferPointer(start: nil, count: 0), at: whole)
      }
      items.append(
        TreeItem(path: entry.path, mode: entry.mode, content: .file(size: size, digest: hash.digest())))
      hash = RunningHash()
      size = 0
    }
  }
}
