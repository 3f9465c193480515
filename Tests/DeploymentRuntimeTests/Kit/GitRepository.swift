import Glibc
import Settings
import Vocabulary

@testable import DeploymentRuntime
@testable import LinuxSystem

/// A real repository with a work tree, in a scratch directory.
final class GitRepository {
  let scratch: Scratch
  let name: String
  private let runner: OperationFixture

  struct GitFailed: Error { let lines: [String] }

  init(in scratch: Scratch, _ name: String = "repo") throws {
    self.scratch = scratch
    self.name = name
    runner = try OperationFixture()
    scratch.make(name)
    try git("init", "--quiet", "--initial-branch=main")
  }

  var path: String { scratch.path(name) }
  var head: String { get throws { try git("rev-parse", "HEAD") } }

  @discardableResult
  func git(_ arguments: String...) throws -> String { try git(arguments) }

  @discardableResult
  func git(_ arguments: [String], input: [UInt8] = []) throws -> String {
    var command = CommandRun(
      ["git"] + arguments, in: path,
      environment: [
        "PATH": CommandEnvironment.path, "HOME": scratch.directory, "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_ALLOW_PROTOCOL": "file",
      ])
    command.output = .captured(limit: 1 << 24)
    command.input = .bytes(input)
    let result = try command.run(runner.operation)
    guard result.hasSucceeded else { throw GitFailed(lines: result.lastLines) }
    return result.text
  }

  func write(_ name: String, _ text: String, mode: mode_t = 0o644) {
    scratch.write("\(self.name)/\(name)", text, mode: mode)
  }

  /// The new commit.
  @discardableResult
  func commit(_ files: [String: String] = [:]) throws -> String {
    for (name, text) in files { write(name, text) }
    try git("add", "--all")
    try git("commit", "--quiet", "--allow-empty", "--message=change")
    return try head
  }
}
