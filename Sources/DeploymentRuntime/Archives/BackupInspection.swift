internal import Vocabulary

/// Watches a backup go by, and says in the end whether it is whole and what its manifests say.
struct BackupInspection: ArchiveVisitor {
  private let subject: String
  private(set) var head: BackupHead?
  private(set) var manifest: Manifest?
  private(set) var sharedManifest: Manifest?
  private var release: [TreeItem] = []
  private var shared: [TreeItem] = []
  private var text: [UInt8] = []
  private var hash = RunningHash()
  private var reached: UInt64 = 0
  /// The file under way is to be read, not only to be hashed.
  private var isText = false

  init(_ subject: String) { self.subject = subject }

  mutating func begin(_ entry: ArchiveEntry) throws(ArchiveError) -> Bool {
    guard head != nil || entry.path == BackupLayout.head else { throw ArchiveError(subject, .notABackup) }
    switch entry.kind {
    case .file:
      text = []
      hash = RunningHash()
      reached = 0
      isText = [BackupLayout.head, BackupLayout.manifest, BackupLayout.sharedManifest].contains(entry.path)
      return true
    case .directory: try note(entry, .directory)
    case .link(let target): try note(entry, .link(target: target))
    case .hardLink: throw strange(entry, "is a hard link, which no backup has")
    }
    return false
  }

  mutating func data(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ArchiveError) {
    guard offset == reached else {
      throw ArchiveError(subject, .damaged("a file in it is sparse, which no backup has"))
    }
    reached += UInt64(bytes.count)
    hash.update(bytes)
    if isText {
      guard text.count + bytes.count <= ManifestText.sizeLimit else {
        throw ArchiveError(subject, .tooMuch("a manifest of more than \(ManifestText.sizeLimit) bytes"))
      }
      text += bytes
    }
  }

  mutating func end(_ entry: ArchiveEntry) throws(ArchiveError) {
    switch entry.path {
    case BackupLayout.head: head = BackupHead(text: text)
    case BackupLayout.manifest: manifest = try parse(entry)
    case BackupLayout.sharedManifest: sharedManifest = try parse(entry)
    default: try note(entry, .file(size: reached, digest: hash.digest()))
    }
  }

  private func parse(_ entry: ArchiveEntry) throws(ArchiveError) -> Manifest {
    do throws(ManifestError) { return try ManifestText.parse(text) } catch { throw strange(entry, "is \(error)") }
  }

  private mutating func note(_ entry: ArchiveEntry, _ content: TreeItem.Content) throws(ArchiveError) {
    if let path = BackupLayout.path(entry.path, below: BackupLayout.release) {
      if !path.isTop { release.append(TreeItem(path: path, mode: Self.mode(entry), content: content)) }
    } else if let path = BackupLayout.path(entry.path, below: BackupLayout.shared) {
      if !path.isTop { shared.append(TreeItem(path: path, mode: Self.mode(entry), content: content)) }
    } else {
      throw strange(entry, "has no place in a backup")
    }
  }

  private static func mode(_ entry: ArchiveEntry) -> UInt32 { if case .link = entry.kind { 0o777 } else { entry.mode } }

  private func strange(_ entry: ArchiveEntry, _ why: String) -> ArchiveError {
    ArchiveError(subject, .differs(entry: "\(entry.path)", why: why))
  }

  /// - Throws: `differs` with the first entry that is not as its manifest says; `damaged` where one of the manifests is
  ///   missing.
  ///
  /// Items of the release's manifest that are `known` were not shown.
  func conclude(known: [Range<Int>] = []) throws(ArchiveError) -> Backup {
    guard let head else { throw ArchiveError(subject, .notABackup) }
    guard let manifest, manifest.origin.release == head.release else {
      throw ArchiveError(subject, .damaged("it has no manifest of its release"))
    }
    guard let sharedManifest else { throw ArchiveError(subject, .damaged("it has no manifest of what is shared")) }
    try compare(Self.without(known, manifest.items), release, BackupLayout.release)
    try compare(sharedManifest.items, shared, BackupLayout.shared)
    return Backup(head: head, manifest: manifest, shared: sharedManifest)
  }

  private static func without(_ known: [Range<Int>], _ items: [TreeItem]) -> [TreeItem] {
    var rest: [TreeItem] = []
    var start = 0
    for range in known {
      rest += items[start..<range.lowerBound]
      start = range.upperBound
    }
    return rest + items[start...]
  }

  private func compare(_ items: [TreeItem], _ found: [TreeItem], _ top: TreePath) throws(ArchiveError) {
    let differences = TreeDifferences(from: items, to: found.sorted { $0.path < $1.path }, limit: 1)
    guard let first = differences.first.first else { return }
    let entry = "\(BackupLayout.path(first.path, in: top))"
    throw ArchiveError(subject, .differs(entry: entry, why: "(\(first.kind)); \(differences.summary)"))
  }
}

/// A backup that was read to its end and is what its manifests say.
package struct Backup: Hashable, Sendable {
  package let head: BackupHead
  package let manifest: Manifest
  /// Of `shared/`, as far as it is in the backup.
  package let shared: Manifest
}
