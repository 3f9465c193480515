internal import Deployment
internal import LinuxSystem
internal import Settings
internal import Vocabulary

/// Whether there is room for a new release, what its build leaves, and a backup: half as much again as the last release
/// takes, in bytes and in inodes.
enum SpaceCheck {
  /// Where nothing is there to be measured.
  private static let least = ByteCount(64 << 20)

  static func look(_ operation: Operation, backup: Bool) -> PreflightStep.Finding {
    do throws(SystemError) {
      let space = try DiskSpace.at(operation.layout.directory)
      var bytes = least.bytes
      var inodes: UInt64 = 1_000
      if let current = currentRelease(operation.layout) {
        let size = try TreeSize.of(operation.layout.release(current))
        // An archive is smaller, but nobody knows by how much.
        let whole = size.stored.bytes / 2 * 3 + (backup ? size.content.bytes : 0)
        bytes = max(bytes, whole)
        inodes = max(inodes, UInt64(size.entries) / 2 * 3)
      }
      let need = ByteCount(bytes)
      let place = operation.layout.directory
      if space.free < need {
        return .refusal(
          StepFailure(
            .refused, "\(place) has \(space.free) free, and a release needs \(need)",
            next: "baton prune --dry-run says what may go; or make room"))
      }
      if let free = space.freeInodes, free < inodes {
        return .refusal(
          StepFailure(
            .refused, "\(place) has \(free) inodes free, and a release needs \(inodes)",
            next: "baton prune --dry-run says what may go; or make room"))
      }
      return .fine("\(space.free) free, \(need) needed")
    } catch {
      return .weak("it could not be measured: \(error)")
    }
  }
}

/// Whether there is something to go back to, and whether it is proved.
enum WayBackCheck {
  static func look(_ operation: Operation, waived: Bool) -> PreflightStep.Finding {
    let layout = operation.layout
    guard let current = currentRelease(layout) else {
      return .fine("nothing is deployed yet, and that is what a failure goes back to")
    }
    let reason: String
    let record = DeployHistory.read(layout).releases.first { $0.id == current }
    let isThere = ((try? FileFacts.ifPresent(layout.release(current))) ?? nil)?.kind == .directory
    switch record?.verdict {
    case .good where isThere: return .fine("release \(current), which is marked good")
    case .good: reason = "the directory of release \(current) is gone"
    case .bad: reason = "release \(current), which serves, is marked bad"
    case .new, nil: reason = "release \(current), which serves, was never proved"
    }
    if waived { return .weak("\(reason); begun all the same with --no-rollback") }
    return .refusal(
      StepFailure(
        .refused, "there is no proven way back: \(reason)",
        next: "baton rollback goes to the last good one; --no-rollback begins all the same"))
  }
}
