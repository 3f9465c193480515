package import Deployment
internal import Glibc
package import LinuxSystem
internal import Settings
package import Vocabulary

extension BackupStore {
  /// What unpacking took, and the sync after it.
  package struct Took: Hashable, Sendable {
    package var unpacking: Duration = .zero
    package var syncing: Duration = .zero
  }

  /// The path of an archive that a person names: one of `backups/` by its name, another by its path.
  package func path(of archive: String) throws(StepFailure) -> String {
    if archive.contains("/") { return archive }
    guard Self.isName(archive) else {
      throw StepFailure(.refused, "\(archive) is no name of a backup", next: "baton backup list shows them")
    }
    return path(archive)
  }

  /// Puts the release of an archive back below `releases/`: unpacked aside, verified, synced, renamed, its shared paths
  /// linked, its manifest last. One that is there and is what its manifest says is left as it is; one that is not is
  /// replaced in one exchange. Run again after a kill, it begins anew.
  ///
  /// - Throws: `refused` where `current` names that release, unless `replacesCurrent`: never over a tree that runs.
  @discardableResult
  package func restoreRelease(
    from archive: String, replacesCurrent: Bool = false, abort: Descriptor? = nil, audience: any OperationAudience
  ) throws(StepFailure) -> ReleaseID {
    let (file, head) = try head(of: archive)
    let id = head.release
    let releases = Releases(layout, files)
    let (target, temporary) = (layout.release(id), TemporaryName.beside(layout.release(id), files.operation))
    if let manifest = try? releases.verify(id) {
      audience.note("the release \(id) is there, and is what its manifest says (\(manifest.items.count) entries)")
      return id
    }
    if !replacesCurrent, case .release(id)? = try? releases.pointer() {
      throw StepFailure(
        .refused, "\(layout.current) names the release \(id), which is not what its manifest says",
        next: "roll back to another one first, or unpack with --to DIRECTORY")
    }
    try asFailure { () throws(SystemError) in
      try files.removeTree(temporary)
      try files.makeDirectory(layout.releases)
    }
    do throws(StepFailure) {
      let backup = try unpack(file, temporary, abort, audience)
      // In a plan nothing is known of what is in it.
      guard let backup else { return id }
      let shared = settings.shared.filter { TreePath($0).map { backup.manifest.outside.contains($0) } ?? false }
      try SharedPaths(shared).link(into: temporary, layout, files)
      try put(temporary, at: target, backup.manifest, id)
    } catch {
      _ = try? files.removeTree(temporary)
      throw error
    }
    return id
  }

  func head(of archive: String) throws(StepFailure) -> (path: String, head: BackupHead) {
    let path = try path(of: archive)
    do throws(ArchiveError) {
      let head = try BackupArchive(path).head()
      guard head.service == service else {
        throw ArchiveError(path, .differs(entry: "backup.txt", why: "is of the service \(head.service)"))
      }
      return (path, head)
    } catch { throw error.failure }
  }

  private func unpack(
    _ file: String, _ temporary: String, _ abort: Descriptor?, _ audience: any OperationAudience
  ) throws(StepFailure) -> Backup? {
    var backup: Backup?
    do throws(ArchiveError) {
      backup = try files.effects.perform(.write, temporary, planned: nil) { () throws(ArchiveError) -> Backup? in
        do throws(SystemError) { try retrying("make the directory", temporary) { mkdir(temporary, 0o700) } } catch {
          throw ArchiveError(file, .system(error))
        }
        return try BackupArchive(file, abort: abort).extract(release: temporary) {
          audience.progress(done: Int64(clamping: $0), total: nil, unit: "bytes")
        }
      }
    } catch { throw error.failure }
    try asFailure { () throws(SystemError) in try files.syncTree(temporary) }
    return backup
  }

  private func put(
    _ temporary: String, at target: String, _ manifest: Manifest, _ id: ReleaseID
  ) throws(StepFailure) {
    try asFailure { () throws(SystemError) in
      if try FileFacts.ifPresent(target) == nil {
        try files.move(temporary, to: target)
      } else {
        try files.exchange(temporary, target)
        try files.removeTree(temporary)
      }
    }
    do throws(ManifestError) { try files.write(manifest, to: layout.manifest(id)) } catch {
      throw StepFailure(.failed, "the manifest of the release \(id): \(error)")
    }
  }

  /// Unpacks all of an archive into a new directory, as it lies in it: `release/`, `shared/`, `release.manifest`.
  @discardableResult
  package func restore(
    from archive: String, to directory: String, abort: Descriptor? = nil, audience: any OperationAudience
  ) throws(StepFailure) -> Took {
    var took = Took()
    let began = Instant.monotonicNow()
    let (file, _) = try head(of: archive)
    let temporary = TemporaryName.beside(directory, files.operation)
    try asFailure { () throws(SystemError) in
      guard try FileFacts.ifPresent(directory) == nil else { throw SystemError("make", directory, errno: EEXIST) }
      try files.removeTree(temporary)
    }
    do throws(StepFailure) {
      do throws(ArchiveError) {
        try files.effects.perform(.write, temporary) { () throws(ArchiveError) in
          for name in ["", "/release", "/shared"] {
            do throws(SystemError) {
              try retrying("make the directory", temporary + name) { mkdir(temporary + name, 0o700) }
            } catch { throw ArchiveError(file, .system(error)) }
          }
          let backup = try BackupArchive(file, abort: abort).extract(
            release: "\(temporary)/release", shared: "\(temporary)/shared"
          ) { audience.progress(done: Int64(clamping: $0), total: nil, unit: "bytes") }
          do throws(SystemError) {
            let manifest = try Descriptor.open(
              "\(temporary)/release.manifest", flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
            try writeAll(ManifestText.text(of: backup.manifest), to: manifest, temporary)
          } catch { throw ArchiveError(file, .system(error)) }
        }
      } catch { throw error.failure }
      took.unpacking = .monotonicNow() - began
      try asFailure { () throws(SystemError) in
        try files.syncTree(temporary)
        try files.move(temporary, to: directory)
      }
      took.syncing = .monotonicNow() - began - took.unpacking
      return took
    } catch {
      _ = try? files.removeTree(temporary)
      throw error
    }
  }
}
