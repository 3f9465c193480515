import Deployment
import Glibc
import LinuxSystem
import Settings
import Vocabulary

/// What lies about in `deploys/` and `backups/` besides releases, archives and records. All of it can be made again, but for
/// the copies of databases, of which as many are kept as of archives.
struct Leftovers {
  let operation: Operation
  /// Seconds since 1970.
  var now = RealTime.seconds()

  /// A broken mirror is there for a person to look at, for so long.
  static let brokenFor: Int64 = 7 * 86_400

  /// Directories of their own in which something unfinished may lie.
  static func places(_ layout: Layout) -> [String] {
    [KnownContents.directory(layout), Submodules.directory(layout)].filter { access($0, F_OK) == 0 }
  }

  /// Whoever begins an operation needs less, also where it waits for another.
  static let unbegunFor: Int64 = 2 * 86_400

  // MARK: Copies of databases

  /// Those that go, the oldest first: see ``SQLiteBackup``. Never one made for a release of `protected`, nor by an operation
  /// that is not over.
  func copies(_ history: DeployHistory, _ protected: Set<ReleaseID>) -> [PruneChoice.Item] {
    let backups = operation.layout.backups
    var sequences: [OperationID: Int64] = [:]
    var needed: Set<OperationID> = [operation.id]
    for summary in history.operations {
      sequences[summary.operation] = summary.facts.sequence
      let isOver = summary.outcome?.isFinal ?? false
      if !isOver || summary.facts.release.map(protected.contains) ?? false { needed.insert(summary.operation) }
    }
    var items: [PruneChoice.Item] = []
    var kept: Set<String> = []
    for name in ((try? directoryEntries(backups)) ?? []).sorted() {
      guard let maker = Self.maker(of: name), let facts = facts("\(backups)/\(name)"), facts.st_mode & S_IFMT == S_IFREG
      else { continue }
      if needed.contains(maker) { kept.insert(name) }
      items.append(
        PruneChoice.Item(
          name: name, sequence: sequences[maker] ?? 0, age: .seconds(max(0, now - Int64(facts.st_mtim.tv_sec))),
          size: ByteCount(UInt64(facts.st_size))))
    }
    let deploy = operation.deploy
    return PruneChoice(keep: deploy.backup.keep, keepFor: deploy.keepFor, keepSize: deploy.keepSize)
      .removed(from: items, protected: kept)
  }

  /// `20261121T084512Z-3f9a-app.db`; nil for an archive, and for what is not ours.
  static func maker(of name: String) -> OperationID? {
    let bytes = Array(name.utf8)
    guard bytes.count > 22, !BackupStore.isName(name), bytes[8] == UInt8(ascii: "T"), bytes[15] == UInt8(ascii: "Z"),
      bytes[16] == UInt8(ascii: "-"), bytes[21] == UInt8(ascii: "-")
    else { return nil }
    let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) }
    guard bytes[..<8].allSatisfy(isDigit), bytes[9..<15].allSatisfy(isDigit),
      bytes[17..<21].allSatisfy({ isDigit($0) || (0x61...0x66).contains($0) })
    else { return nil }
    return OperationID(String(decoding: bytes[..<21], as: UTF8.self))
  }

  // MARK: The rest

  /// What no release but those of `gone` needs.
  func paths(without gone: Set<ReleaseID>) -> [String] {
    let layout = operation.layout
    let names = (try? directoryEntries(layout.releases)) ?? []
    let releases = Set(names.filter { !$0.hasPrefix(".") && !$0.contains(".") }.map { ReleaseID($0) }).subtracting(gone)
    var paths: [String] = []
    let sources = KnownContents.directory(layout)
    for name in ((try? directoryEntries(sources)) ?? []).sorted()
    where !name.hasPrefix(".") && !releases.contains(ReleaseID(name)) && !gone.contains(ReleaseID(name)) {
      paths.append("\(sources)/\(name)")
    }
    let modules = Submodules.directory(layout)
    let mirrors = ((try? directoryEntries(modules)) ?? []).filter { !$0.hasPrefix(".") }.sorted().map {
      "\(modules)/\($0)"
    }
    paths += unbegun()
    for path in ["\(layout.mirror).broken"] + mirrors where path.hasSuffix(".broken") {
      // A rename changes this one.
      guard let facts = facts(path), now - Int64(facts.st_ctim.tv_sec) > Self.brokenFor else { continue }
      paths.append(path)
    }
    let whole = mirrors.filter { $0.hasSuffix(".git") }
    if !whole.isEmpty, let used = used(by: releases) { paths += whole.filter { !used.contains($0) } }
    return paths
  }

  /// Directories of operations that never came to their first record: of a client that was killed, of a request that nobody
  /// took up.
  private func unbegun() -> [String] {
    let layout = operation.layout
    let there = Set(OperationIndex.all(layout).map(\.text))
    return ((try? directoryEntries(layout.deploys)) ?? []).sorted().compactMap { name in
      let path = "\(layout.deploys)/\(name)"
      guard name.utf8.count == 21, let id = Self.maker(of: "\(name)-x"), id != operation.id, !there.contains(name),
        let facts = facts(path), facts.st_mode & S_IFMT == S_IFDIR,
        now - Int64(facts.st_mtim.tv_sec) > Self.unbegunFor, !AbortPipe.isAttended(layout, id)
      else { return nil }
      return path
    }
  }

  /// Mirrors of submodules that the commits of these releases need; nil when that cannot be told.
  private func used(by releases: Set<ReleaseID>) -> Set<String>? {
    let layout = operation.layout
    let mirror = Mirror(operation, of: operation.deploy.repository ?? "", at: layout.mirror)
    var used: Set<String> = []
    for release in releases {
      guard let commit = (try? Manifest.read(layout.manifest(release)))?.origin.commit else { continue }
      do throws(StepFailure) {
        guard try mirror.has(commit) else { return nil }
        try Submodules(mirror: mirror, commit: commit, directory: "").note(&used)
      } catch { return nil }
    }
    return used
  }

  private func facts(_ path: String) -> stat? {
    var facts = stat()
    return lstat(path, &facts) == 0 ? facts : nil
  }
}
