package import Deployment
internal import Glibc
package import LinuxSystem
package import Settings
package import Vocabulary

/// The backups of one service, in `backups/`.
///
/// A name `RELEASE_OPERATION.tar.zst` (or `.tar.gz`) is given only to what was written, synced, read back and compared with
/// its manifests. Which is newer is decided by the place of the operation that made it, never by times or names.
package struct BackupStore {
  package let layout: Layout
  package let service: ServiceName
  package let settings: Settings.Deploy
  package let files: DurableFiles

  package init(_ layout: Layout, _ service: ServiceName, _ settings: Settings.Deploy, _ files: DurableFiles) {
    self.layout = layout
    self.service = service
    self.settings = settings
    self.files = files
  }

  package init(_ operation: Operation) {
    self.init(
      operation.layout, operation.service, operation.deploy, DurableFiles(operation.effects, operation: operation.id))
  }

  package func path(_ name: String) -> String { "\(layout.backups)/\(name)" }

  /// One archive below `backups/`, looked at and not verified.
  package struct Found: Hashable, Sendable {
    package let name: String
    package let size: ByteCount
    package let head: BackupHead
  }

  /// A file with a backup's name that cannot be read as one: never chosen, never pruned.
  package struct Broken: Hashable, Sendable {
    package let name: String
    package let why: String
  }

  /// More are not looked at.
  private static let limit = 10_000

  /// The newest first.
  package func list() throws(StepFailure) -> (found: [Found], broken: [Broken]) {
    var found: [Found] = []
    var broken: [Broken] = []
    for name in try names() {
      let size = try asFailure { () throws(SystemError) in try FileFacts.ifPresent(path(name))?.size ?? 0 }
      do throws(ArchiveError) {
        found.append(Found(name: name, size: ByteCount(size), head: try BackupArchive(path(name)).head()))
      } catch { broken.append(Broken(name: name, why: error.description)) }
    }
    found.sort { ($0.head.sequence, $0.name) > ($1.head.sequence, $1.name) }
    return (found, broken)
  }

  private func names() throws(StepFailure) -> [String] {
    try asFailure { () throws(SystemError) in
      guard try FileFacts.ifPresent(layout.backups) != nil else { return [] }
      return try directoryEntries(layout.backups).filter(Self.isName).sorted().suffix(Self.limit)
    }
  }

  /// No path of somebody's choice: a name below `backups/`.
  package static func isName(_ name: String) -> Bool {
    !name.hasPrefix(".") && !name.contains("/") && (name.hasSuffix(".tar.zst") || name.hasSuffix(".tar.gz"))
  }

  /// The names that an archive of a release, made by this operation, may have.
  package static func names(of release: ReleaseID, by operation: OperationID) -> [String] {
    [Settings.Deploy.Backup.Format.zst, .gz].map { "\(release)_\(operation).tar.\($0.rawValue)" }
  }

  // MARK: Making one

  /// An archive that was made, or found.
  package struct Made: Hashable, Sendable {
    package var name: String
    /// Not there before.
    package var isNew = true
    /// Bytes of it, unpacked, that were taken over from another one without being compressed again.
    package var takenOver: ByteCount = ByteCount(0)
    package var writing: Duration = .zero
    package var syncing: Duration = .zero
    package var readingBack: Duration = .zero
  }

  /// Makes one of a release as it lies on the disk, or finds the one that says the same.
  package func create(
    of release: ReleaseID, sequence: Int64, abort: Descriptor? = nil, audience: any OperationAudience
  ) throws(StepFailure) -> Made {
    let shared = try sharedFiles()
    for left in shared.leftOut { audience.warn("not in the backup: \(left)") }
    let manifestText = try manifestText(of: release)
    let name = "\(release)_\(files.operation).tar.\(settings.backup.format.rawValue)"
    if try isDone(name, manifestText.manifest) { return Made(name: name, isNew: false) }
    let (found, _) = try list()
    if let same = try unchanged(found, release, shared, manifestText) { return Made(name: same, isNew: false) }
    let head = BackupHead(
      service: service, release: release, operation: files.operation, sequence: sequence, made: RealTime.seconds(),
      fingerprint: shared.fingerprint, shared: paths, hasIndex: settings.backup.format == .zst)
    let source = BackupWriter.Source(
      head: head, manifestText: manifestText.bytes, manifest: manifestText.manifest, release: layout.release(release),
      shared: layout.shared, sharedFiles: shared,
      staging: TemporaryName.beside(path("database"), files.operation))
    return try write(source, name, bases: found, abort, audience)
  }

  /// Of an earlier try of the same operation. One that is not sound goes.
  private func isDone(_ name: String, _ manifest: Manifest) throws(StepFailure) -> Bool {
    guard try asFailure({ () throws(SystemError) in try FileFacts.ifPresent(path(name)) }) != nil else { return false }
    do throws(ArchiveError) {
      if try BackupArchive(path(name)).verify().manifest == manifest { return true }
    } catch {}
    try asFailure { () throws(SystemError) in try files.remove(path(name)) }
    return false
  }

  private var paths: [TreePath] { settings.backup.shared.compactMap { TreePath($0) } }

  private func sharedFiles() throws(StepFailure) -> SharedFiles {
    do throws(ArchiveError) {
      return try SharedFiles.look(
        at: layout.shared, paths, excluded: Set(settings.exclude.compactMap { TreePath($0) }))
    } catch { throw error.failure }
  }

  private func manifestText(of release: ReleaseID) throws(StepFailure) -> (bytes: [UInt8], manifest: Manifest) {
    let path = layout.manifest(release)
    do throws(ManifestError) {
      let bytes: [UInt8]
      do throws(SystemError) { bytes = try readFile(path, limit: ManifestText.sizeLimit) } catch {
        throw .system(error)
      }
      return (bytes, try ManifestText.parse(bytes))
    } catch {
      throw StepFailure(
        .failed, "the release \(release) cannot be backed up: its manifest: \(error)",
        next: "baton adopt takes over a tree that baton did not make")
    }
  }

  /// One of this very release, whose shared files nobody has written to since, and that is still whole.
  private func unchanged(
    _ found: [Found], _ release: ReleaseID, _ shared: SharedFiles, _ text: (bytes: [UInt8], manifest: Manifest)
  ) throws(StepFailure) -> String? {
    let suffix = ".\(settings.backup.format.rawValue)"
    guard shared.fingerprint != nil || shared.items.isEmpty else { return nil }
    for one in found where one.head.release == release && one.name.hasSuffix(suffix) && one.head.service == service {
      guard one.head.shared == paths, shared.items.isEmpty || one.head.fingerprint == shared.fingerprint else {
        continue
      }
      do throws(ArchiveError) {
        let backup = try BackupArchive(path(one.name)).verify()
        if backup.manifest == text.manifest, backup.shared.items.count == shared.items.count { return one.name }
      } catch { continue }
    }
    return nil
  }

  private func write(
    _ source: BackupWriter.Source, _ name: String, bases: [Found], _ abort: Descriptor?,
    _ audience: any OperationAudience
  ) throws(StepFailure) -> Made {
    let temporary = TemporaryName.beside(path(name), files.operation)
    do throws(ArchiveError) {
      var made: Made
      do throws(ArchiveError) {
        made = try writeAndReadBack(source, name, temporary, bases: bases, abort, audience)
      } catch {
        guard case .damaged = error.reason, !bases.isEmpty, files.effects.mode == .act else { throw error }
        audience.warn("an older archive is damaged (baton backup verify says which): nothing is taken over from it")
        made = try writeAndReadBack(source, name, temporary, bases: [], abort, audience)
      }
      do throws(SystemError) { try files.move(temporary, to: path(name)) } catch {
        throw ArchiveError(path(name), .system(error))
      }
      return made
    } catch {
      if files.effects.mode == .act { unlink(temporary) }
      throw error.failure
    }
  }

  private func writeAndReadBack(
    _ source: BackupWriter.Source, _ name: String, _ temporary: String, bases: [Found], _ abort: Descriptor?,
    _ audience: any OperationAudience
  ) throws(ArchiveError) -> Made {
    let total = Int64(clamping: source.manifest.contentSize.bytes)
    var made = Made(name: name)
    var outline = BackupOutline()
    made = try files.effects.perform(.write, temporary, planned: made) { () throws(ArchiveError) -> Made in
      // Of an earlier try of the same operation.
      unlink(temporary)
      do throws(ArchiveError) {
        return try writeAndSync(source, made, temporary, bases: bases, abort, &outline) {
          audience.progress(done: Int64(clamping: $0), total: total, unit: "bytes")
        }
      } catch {
        // On a full disk nothing half-written is left.
        unlink(temporary)
        unlink(source.staging)
        throw error
      }
    }
    guard files.effects.mode == .act else { return made }
    let began = Instant.monotonicNow()
    try readBack(temporary, source, outline, abort)
    made.readingBack = .monotonicNow() - began
    return made
  }

  private func writeAndSync(
    _ source: BackupWriter.Source, _ begun: Made, _ temporary: String, bases: [Found], _ abort: Descriptor?,
    _ outline: inout BackupOutline, _ progress: @escaping (UInt64) -> Void
  ) throws(ArchiveError) -> Made {
    var made = begun
    let began = Instant.monotonicNow()
    let isFramed = settings.backup.format == .zst
    let file: Descriptor
    do throws(SystemError) {
      file = try Descriptor.open(temporary, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
      try retrying("set the mode of", temporary) { fchmod(file.raw, 0o600) }
    } catch { throw ArchiveError(temporary, .system(error)) }
    let writer = try BackupWriter(
      source, to: file, subject: layout.backups, settings.backup.format, level: settings.backup.level, abort: abort,
      progress: progress)
    let base = isFramed ? bases.lazy.compactMap { BackupWriter.Base(path($0.name)) }.first : nil
    outline = try writer.write(base: base, index: isFramed)
    made.takenOver = ByteCount(outline.takenOver)
    made.writing = .monotonicNow() - began
    do throws(SystemError) { try retrying("sync", temporary) { fsync(file.raw) } } catch {
      throw ArchiveError(temporary, .system(error))
    }
    made.syncing = .monotonicNow() - began - made.writing
    return made
  }

  /// What was written is what was meant.
  private func readBack(
    _ temporary: String, _ source: BackupWriter.Source, _ outline: BackupOutline, _ abort: Descriptor?
  ) throws(ArchiveError) {
    let backup = try BackupArchive(temporary, abort: abort).verify(outline)
    guard backup.head == source.head, backup.manifest == source.manifest else {
      throw ArchiveError(temporary, .damaged("it is not what was written"))
    }
  }
}
