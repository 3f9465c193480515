package import Deployment
import LinuxSystem
import Settings
import Vocabulary

/// Runs the build's commands in the new release, one after the other, as the user this process is. What runs now is
/// somewhere else and is not touched; a build that fails leaves a release that nothing points at.
package final class BuildStep: OperationStep {
  private let work: ReleaseWork

  package init(_ work: ReleaseWork) { self.work = work }

  package func run(_ operation: Operation) throws(StepFailure) {
    let build = operation.deploy.build
    guard let release = operation.facts.release else {
      throw StepFailure(.failed, "there is no release to build in")
    }
    let directory = operation.layout.release(release)
    let deadline = Instant.monotonicNow() + build.timeout
    let room = work.linked.isEmpty ? nil : BuildRoom(operation, directory)
    try room?.open()
    for arguments in build.commands {
      var command = CommandRun(arguments, in: directory, environment: operation.environment())
      command.timeout = max(deadline - .monotonicNow(), .milliseconds(1))
      command.memoryLimit = build.memoryLimit
      command.isBackground = true
      operation.audience.output(operation.masker.mask("$ \(command.subject)"))
      let result = try (room?.enter(command) ?? command).run(operation)
      if !result.leftBehind.isEmpty {
        let names = Set(result.leftBehind).sorted().joined(separator: ", ")
        operation.audience.note("the build left processes behind (\(names)); they were ended")
      }
      if case .timedOut = result.outcome {
        throw StepFailure(
          .failed, "the build was ended: it took longer than build-timeout, \(build.timeout.text)",
          next: "see why it hangs at: \(operation.masker.mask(command.subject)); or set build-timeout",
          lines: result.lastLines)
      }
      try result.succeeded(next: "mend the build (\(operation.masker.mask(command.subject))), then deploy again")
    }
    try room?.close()
    work.toolchain = toolchain(operation, directory)
  }

  package func undo(_ operation: Operation) throws(StepFailure) {
    // Of a deploy that was killed: the release goes, and nobody may still be writing into it.
    try Survivors.leave(operation)
  }

  private static let questions = [
    "go": "version", "cargo": "--version", "swift": "--version", "gcc": "--version", "cc": "--version",
    "make": "--version", "cmake": "--version", "npm": "--version", "node": "--version", "mvn": "--version",
    "gradle": "--version", "python3": "--version", "composer": "--version", "dotnet": "--version",
  ]

  /// The first line of what the first program says of its version, where it is one that is known to.
  private func toolchain(_ operation: Operation, _ directory: String) -> String? {
    guard operation.effects.mode == .act, let program = operation.deploy.build.commands.first?.first,
      let name = program.split(separator: "/").last.map(String.init), let question = Self.questions[name]
    else { return nil }
    var command = CommandRun([program, question], in: directory, environment: operation.environment())
    command.isReading = true
    command.output = .captured(limit: 1 << 16)
    command.timeout = .seconds(10)
    guard let result = try? command.run(operation), result.hasSucceeded,
      let line = result.text.split(separator: "\n").first
    else { return nil }
    return operation.masker.mask(name == "npm" || name == "node" ? "\(name) \(line)" : String(line))
  }
}

extension Survivors {
  /// As ``end(_:_:)``; what is left is an obstacle.
  static func leave(_ operation: Operation) throws(StepFailure) {
    let left = try asFailure { () throws(SystemError) in try end(operation.id, operation.effects) }
    guard let first = left.first else { return }
    throw StepFailure(
      .failed, "process \(first.pid) (\(first.command)) of operation \(operation.id) cannot be ended",
      next: "see what it waits for: cat /proc/\(first.pid)/stack")
  }
}
