import Deployment
import Settings

/// What the settings ask of a commit before it is exported.
enum CommitRules {
  static func check(_ commit: String, in mirror: Mirror) throws(StepFailure) {
    let deploy = mirror.operation.deploy
    if let ancestor = deploy.requiredAncestor { try check(commit, isReachableFrom: try Ref(ancestor), in: mirror) }
    if let signers = deploy.allowedSigners { try check(commit, isSignedByOneOf: signers, in: mirror) }
  }

  private static func check(_ commit: String, isReachableFrom ref: Ref, in mirror: Mirror) throws(StepFailure) {
    let tip = try ref.resolve(in: mirror)
    let result = try mirror.git.ask(["merge-base", "--is-ancestor", commit, tip])
    if result.hasSucceeded { return }
    guard result.outcome == .exited(1) else { return try result.succeeded() }
    throw StepFailure(
      .failed, "commit \(commit.prefix(12)) cannot be reached from \(ref.text), as require-ancestor asks",
      next: "merge it into \(ref.text), or name a commit that is in it")
  }

  /// Signatures by an SSH key of that file count, and no others: a PGP signature would be judged by whatever keyring
  /// lies about.
  private static func check(_ commit: String, isSignedByOneOf signers: String, in mirror: Mirror) throws(StepFailure) {
    let result = try mirror.git.ask([
      "-c", "gpg.ssh.allowedSignersFile=\(signers)", "-c", "gpg.program=/bin/false", "-c",
      "gpg.x509.program=/bin/false", "verify-commit", commit,
    ])
    guard !result.hasSucceeded else { return }
    throw StepFailure(
      .failed, "commit \(commit.prefix(12)) has no signature of a key in \(signers), as require-signature asks",
      next: "sign it (git commit -S), or add the signer's key to that file", lines: result.lastLines)
  }
}
