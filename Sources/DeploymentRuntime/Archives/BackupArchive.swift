internal import Glibc
package import LinuxSystem

/// A backup as a file: what it says of itself, whether it is whole, and what is in it, unpacked.
package struct BackupArchive {
  package let path: String
  private let limits: ArchiveLimits
  private let abort: Descriptor?

  /// More than a manifest's items: those of the release, of what is shared, and our own.
  package static let entryLimit = 2 * Manifest.itemLimit + 16

  package init(_ path: String, limits: ArchiveLimits = ArchiveLimits(entries: entryLimit), abort: Descriptor? = nil) {
    self.path = path
    self.limits = limits
    self.abort = abort
  }

  /// Reads its first entry alone: cheap, and proof of nothing.
  package func head() throws(ArchiveError) -> BackupHead {
    let stream = try ArchiveStream(try open(), subject: path, limits: limits, abort: abort)
    guard let first = try stream.next(), first.path == BackupLayout.head else { throw ArchiveError(path, .notABackup) }
    var text: [UInt8] = []
    try stream.data { (bytes, _) throws(ArchiveError) in
      if text.count + bytes.count > BackupHead.sizeLimit { throw ArchiveError(path, .notABackup) }
      text += bytes
    }
    guard let head = BackupHead(text: text) else { throw ArchiveError(path, .notABackup) }
    return head
  }

  /// Reads all of it, and compares every entry with the manifests in it.
  ///
  /// - Throws: what is wrong with it, by name.
  package func verify(progress: (UInt64) -> Void = { _ in }) throws(ArchiveError) -> Backup {
    let hasIndex = try ArchiveIndex.read(try open(), path) != nil
    var inspection = BackupInspection(path)
    try ArchiveReader(.path(path), limits: limits, abort: abort).read(&inspection, progress: progress)
    let backup = try inspection.conclude()
    guard hasIndex || !backup.head.hasIndex else { throw ArchiveError(path, .damaged("its index is missing")) }
    return backup
  }

  /// As ``verify(progress:)``, for one that was just written. What was taken over was unpacked and compared, chunk by
  /// chunk, when it was first written: by induction it need only be the bytes it was then. All else is unpacked and
  /// compared, and shown to lie where the index says, so that the next one can rely on that.
  func verify(_ outline: BackupOutline) throws(ArchiveError) -> Backup {
    guard outline.hasIndex else { return try verify() }
    let file = try open()
    guard let index = try ArchiveIndex.read(file, path), index.chunks == outline.chunks else {
      throw ArchiveError(path, .damaged("its index is not what was written"))
    }
    guard try ArchiveIndex.areSound(index.chunks, in: file, path, abort: abort) else {
      throw ArchiveError(path, .damaged("its chunks are not what was written, or taken over"))
    }
    var inspection = BackupInspection(path)
    try ArchiveReader(.parts(path, outline.rest), limits: limits, abort: abort).read(&inspection)
    return try inspection.conclude(known: outline.knownItems)
  }

  /// Unpacks the release into `release`, and what is shared into `shared`, where that is wanted: both must exist, be empty
  /// and be known to nobody else. All of it is verified but the index, which nobody needs to go back; a failure leaves
  /// there what it had unpacked. Nothing is synced.
  ///
  /// Links of the release that lead outside are made if its manifest has them: a virtual environment's interpreter.
  package func extract(
    release: String?, shared: String? = nil, progress: (UInt64) -> Void = { _ in }
  ) throws(ArchiveError) -> Backup {
    var inspection = BackupInspection(path)
    var parts = BackupExtraction(
      inspection: inspection,
      release: try release.map { (directory) throws(ArchiveError) in try part(directory) },
      shared: try shared.map { (directory) throws(ArchiveError) in try part(directory) })
    try ArchiveReader(.path(path), limits: limits, abort: abort).read(&parts, progress: progress)
    inspection = parts.inspection
    let backup = try inspection.conclude()
    // Links last, when it is certain that the manifest has them.
    try parts.finish()
    return backup
  }

  private func part(_ directory: String) throws(ArchiveError) -> TreeExtractor {
    var extraction = ArchiveReader.Extraction()
    extraction.withheld = 0
    extraction.mayLeadOutside = { _, _ in true }
    return try TreeExtractor(directory, extraction, subject: path)
  }

  private func open() throws(ArchiveError) -> Descriptor {
    do throws(SystemError) {
      return try Descriptor.open(path, flags: O_RDONLY | O_NONBLOCK | O_NOFOLLOW)
    } catch { throw ArchiveError(path, .system(error)) }
  }
}

/// Sends each part of a backup to its place, and all of it to the inspection.
private struct BackupExtraction: ArchiveVisitor {
  private(set) var inspection: BackupInspection
  private var release: TreeExtractor?
  private var shared: TreeExtractor?
  private var current: TreePath = .top

  init(inspection: BackupInspection, release: TreeExtractor?, shared: TreeExtractor?) {
    self.inspection = inspection
    self.release = release
    self.shared = shared
  }

  mutating func begin(_ entry: ArchiveEntry) throws(ArchiveError) -> Bool {
    current = entry.path
    let wanted = try inspection.begin(entry)
    var placed = entry
    if let path = BackupLayout.path(entry.path, below: BackupLayout.release) {
      placed.path = path
      _ = try release?.begin(placed)
    } else if let path = BackupLayout.path(entry.path, below: BackupLayout.shared) {
      placed.path = path
      _ = try shared?.begin(placed)
    }
    return wanted
  }

  mutating func data(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ArchiveError) {
    try inspection.data(bytes, at: offset)
    if current.isInside(BackupLayout.release) {
      try release?.data(bytes, at: offset)
    } else if current.isInside(BackupLayout.shared) {
      try shared?.data(bytes, at: offset)
    }
  }

  mutating func end(_ entry: ArchiveEntry) throws(ArchiveError) {
    try inspection.end(entry)
    if current.isInside(BackupLayout.release) {
      try release?.end(entry)
    } else if current.isInside(BackupLayout.shared) {
      try shared?.end(entry)
    }
  }

  mutating func finish() throws(ArchiveError) {
    try release?.finish()
    try shared?.finish()
  }
}
