package import Deployment
internal import Glibc
package import LinuxSystem
internal import Settings
package import Vocabulary

extension BackupStore {
  /// Which backups may go: all but the newest `[backup] keep`, and never one that is needed.
  ///
  /// Needed are: of each release of `releases` (what runs, the last good one, those that live) its newest, and those named
  /// in `names` (the one being made). A file that cannot be read as a backup is never chosen: somebody must look at it.
  package func prunable(releases: Set<ReleaseID>, names: Set<String>) throws(StepFailure) -> [Found] {
    let (found, _) = try list()
    var protected = names
    for release in releases {
      if let newest = found.first(where: { $0.head.release == release }) { protected.insert(newest.name) }
    }
    let now = RealTime.seconds()
    let items = found.map { one in
      PruneChoice.Item(
        name: one.name, sequence: one.head.sequence, age: .seconds(max(0, now - one.head.made)), size: one.size)
    }
    let choice = PruneChoice(keep: settings.backup.keep, keepFor: settings.keepFor, keepSize: settings.keepSize)
    let gone = Set(choice.removed(from: items, protected: protected).map(\.name))
    return found.filter { gone.contains($0.name) }.reversed()
  }

  /// Removes those of ``prunable(releases:names:)``, the oldest first.
  @discardableResult
  package func prune(releases: Set<ReleaseID>, names: Set<String>) throws(StepFailure) -> [Found] {
    let gone = try prunable(releases: releases, names: names)
    for one in gone { try asFailure { () throws(SystemError) in try files.remove(path(one.name)) } }
    return gone
  }

  /// The newest sound archive of a release: for a way back whose directory is not what it was. Each is read whole.
  package func newestSound(of release: ReleaseID, abort: Descriptor? = nil) throws(StepFailure) -> Found? {
    for one in try list().found where one.head.release == release && one.head.service == service {
      do throws(ArchiveError) {
        _ = try BackupArchive(path(one.name), abort: abort).verify()
        return one
      } catch {
        if error.reason == .aborted { throw error.failure }
      }
    }
    return nil
  }
}
