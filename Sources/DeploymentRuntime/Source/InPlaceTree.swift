import Deployment
import Glibc
import LinuxSystem

/// A tree that runs from a checkout: changes made to it on the host would be lost with the next release, silently. Such
/// a tree is refused with what was changed, and nothing is put away for it.
enum InPlaceTree {
  /// Changes that are shown.
  private static let lineLimit = 40

  static func check(_ operation: Operation) throws(StepFailure) {
    for top in [operation.layout.directory, operation.layout.current] {
      guard (try? FileFacts.ifPresent("\(top)/.git")) != nil else { continue }
      try check(top, operation)
    }
  }

  private static func check(_ top: String, _ operation: Operation) throws(StepFailure) {
    let git = Git(operation)
    let place = ["GIT_DIR": "\(top)/.git", "GIT_WORK_TREE": top]
    let status = try git.ask(
      ["status", "--porcelain=v1", "--untracked-files=no", "--ignore-submodules=none", "--no-renames"], with: place)
    guard status.hasSucceeded else {
      throw StepFailure(
        .refused, "\(top) is a checkout that git cannot read: \(status.sentence)",
        next: "repair it, or move \(top)/.git away", lines: status.lastLines)
    }
    let changed = status.text.split(separator: "\n")
    guard !changed.isEmpty else { return }
    let difference = try git.ask(["diff", "--no-color", "--no-ext-diff", "--no-textconv", "HEAD"], with: place)
    let lines = (changed + difference.text.split(separator: "\n")).prefix(lineLimit).map {
      operation.masker.mask(String($0))
    }
    throw StepFailure(
      .refused, "\(top) has \(changed.count) changed files that are in no commit; a deploy would leave them behind",
      next: "commit them, or put them into shared/ and name them in [deploy] shared; then: git -C \(top) checkout -- .",
      lines: lines)
  }
}
