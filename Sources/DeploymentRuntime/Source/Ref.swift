import Deployment

/// A branch, a tag or a commit as a person names it. Resolved to a full commit once; a branch that moves afterwards
/// changes nothing.
struct Ref {
  let text: String

  /// Refuses what git would read as something else than a name.
  init(_ text: String) throws(StepFailure) {
    let isNamed = text.unicodeScalars.allSatisfy {
      $0.value > 0x20 && $0.value != 0x7F && !"~^:?*[\\".unicodeScalars.contains($0)
    }
    guard !text.isEmpty, text.utf8.count <= 255, isNamed, !text.hasPrefix("-"), !text.contains(".."),
      !text.contains("@{")
    else {
      throw StepFailure(
        .refused, "\"\(text)\" is no branch, tag or commit", next: "name one, as git branch and git tag list them")
    }
    self.text = text
  }

  /// What the repository itself calls its head: its default branch.
  var isHead: Bool { text == "HEAD" }
  /// Where a mirror keeps that.
  static let headHere = "refs/baton/HEAD"

  private var isFullCommit: Bool {
    [40, 64].contains(text.utf8.count) && text.allSatisfy { $0.isHexDigit && !$0.isUppercase }
  }

  /// The full commit in a mirror that is up to date.
  func resolve(in mirror: Mirror) throws(StepFailure) -> String {
    if isFullCommit {
      if try !mirror.has(text) { try? mirror.fetch(commit: text) }
      guard try mirror.has(text) else { throw try missing(in: mirror) }
      return text
    }
    if isHead || text.hasPrefix("refs/") {
      guard let commit = try commit(isHead ? Self.headHere : text, in: mirror) else { throw try missing(in: mirror) }
      return commit
    }
    let branch = try commit("refs/heads/\(text)", in: mirror)
    let tag = try commit("refs/tags/\(text)", in: mirror)
    if let branch, let tag, branch != tag {
      throw StepFailure(
        .refused, "\(text) is a branch and a tag of \(mirror.shownURL), at different commits",
        next: "write refs/heads/\(text) or refs/tags/\(text)")
    }
    if let found = branch ?? tag { return found }
    if text.utf8.count >= 7, text.allSatisfy({ $0.isHexDigit }), let found = try commit(text, in: mirror) {
      return found
    }
    throw try missing(in: mirror)
  }

  private func commit(_ name: String, in mirror: Mirror) throws(StepFailure) -> String? {
    let result = try mirror.git.ask(["rev-parse", "--verify", "--quiet", "--end-of-options", "\(name)^{commit}"])
    return result.hasSucceeded ? result.text : nil
  }

  private func missing(in mirror: Mirror) throws(StepFailure) -> StepFailure {
    let list = try mirror.git.ask(["for-each-ref", "--count=8", "--sort=-committerdate", "--format=%(refname:short)"])
    let names = list.text.split(separator: "\n").joined(separator: ", ")
    return StepFailure(
      .failed, "there is no branch, tag or commit \(text) in \(mirror.shownURL)",
      next: names.isEmpty ? "the repository is empty: push something" : "name one that is there, such as \(names)")
  }
}
