internal import Deployment
internal import Glibc
internal import LinuxSystem
internal import Settings
internal import Vocabulary

/// Whether what is asked for can be had: asked of the repository itself, or of the file, without making anything.
package struct TargetCheck {
  private let source: ReleaseSource

  package init(_ source: ReleaseSource) { self.source = source }

  package func look(_ operation: Operation) -> PreflightStep.Finding {
    do throws(StepFailure) {
      switch source {
      case .repository(let ref): return try askRepository(ref ?? operation.deploy.ref, operation)
      case .directory(let path):
        guard access(path, R_OK | X_OK) == 0 else {
          throw StepFailure(.refused, SystemError("read", path, errno: errno))
        }
        return .fine("the directory \(path)")
      case .archive(let path):
        guard access(path, R_OK) == 0 else { throw StepFailure(.refused, SystemError("read", path, errno: errno)) }
        var facts = stat()
        guard stat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
          throw StepFailure(.refused, "\(path) is no file", next: "a pipe's contents come by --from -")
        }
        return .fine("the archive \(path)")
      case .input: return .fine("standard input")
      }
    } catch {
      return .refusal(
        error.kind == .aborted ? error : StepFailure(.refused, error.what, next: error.next, lines: error.lines))
    }
  }

  private func askRepository(_ text: String, _ operation: Operation) throws(StepFailure) -> PreflightStep.Finding {
    guard let repository = operation.deploy.repository else {
      throw StepFailure(
        .refused, "[deploy] names no repository",
        next: "set repository, or deploy a directory or an archive with --from")
    }
    let ref = try Ref(text)
    let shown = Mirror.shown(repository)
    let names = ref.isHead ? ["HEAD"] : ["refs/heads/\(text)", "refs/tags/\(text)", "refs/tags/\(text)^{}", text]
    let result = try Git(operation).ask(
      ["ls-remote", "--quiet"] + GitConfiguration.trust(repository) + ["--", repository] + names)
    guard result.hasSucceeded else {
      throw StepFailure(
        .refused, "\(shown) cannot be asked: \(result.sentence)",
        next: "runuser -u \(operation.deploy.user) -- git ls-remote \(shown), until it answers", lines: result.lastLines
      )
    }
    // An annotated tag is followed by its commit.
    if let commit = result.text.split(separator: "\n").last?.prefix(while: { $0 != "\t" }) {
      return .fine("\(text) of \(shown) is commit \(commit.prefix(12))")
    }
    let isHash = (7...64).contains(text.utf8.count) && text.allSatisfy(\.isHexDigit)
    guard isHash else {
      throw StepFailure(
        .refused, "there is no branch, tag or commit \(text) in \(shown)", next: "git ls-remote \(shown) lists them")
    }
    // Only a fetch can tell whether some branch leads to it.
    return .fine("commit \(text.prefix(12)) of \(shown), if a branch or tag leads to it")
  }
}
