import Deployment
import Glibc
import LinuxSystem
import Vocabulary

/// `current` moved away from a release that the unit may run, so that whoever goes on from any instant knows that the unit
/// has yet to be started again: the link that named the release changes places with the one that takes its place, in one
/// rename, and lies beside `current` until then. No record could say it in that very instant.
struct ReturnedPointer {
  let operation: Operation
  /// The one it is moved away from.
  let release: ReleaseID
  let unit: String

  private var current: String { operation.layout.current }
  private var mark: String { TemporaryName.beside(current, operation.id, "left-") }
  private var files: DurableFiles { DurableFiles(operation.effects, operation: operation.id) }

  /// It was moved, and nobody knows that the unit was started again since.
  var isMoved: Bool { releaseNamed(by: mark, operation.layout) == release }

  /// `previous`: nil where there was no release before.
  func move(to previous: ReleaseID?) throws(StepFailure) {
    // The unit is not started yet.
    if operation.isBooting { return try movePlainly(to: previous) }
    do throws(SystemError) {
      if let previous { try exchange(with: previous) } else { try files.rename(current, over: mark) }
    } catch {
      if isMoved { throw StepFailure(.failed, error) }
      writeDown()
      try movePlainly(to: previous)
    }
  }

  private func exchange(with previous: ReleaseID) throws(SystemError) {
    try files.makeSymlink(mark, to: "releases/\(previous)")
    try files.exchange(mark, current)
  }

  /// Where names cannot change places (NFS) the records have to say it. The service goes before them.
  private func writeDown() {
    guard !operation.facts.isExposed else { return }
    operation.facts.isExposed = true
    do throws(StepFailure) {
      try operation.recordFacts()
    } catch {
      operation.audience.warn(
        "it could not be recorded that \(unit) may run release \(release): \(error.what). `current` goes back all the "
          + "same. Should this be cut off before \(unit) is started again, it runs on with that release and nobody knows: "
          + "`systemctl restart \(unit)` then")
    }
  }

  private func movePlainly(to previous: ReleaseID?) throws(StepFailure) {
    try asFailure { () throws(SystemError) in
      guard let previous else { return try files.remove(current) }
      try Releases(operation.layout, files).point(to: previous)
    }
  }

  /// The unit was started again, or there is nothing to be gone on with.
  func clear() {
    do throws(SystemError) { try files.remove(mark) } catch {
      operation.audience.warn("\(error); the next deploy removes it")
    }
  }
}
