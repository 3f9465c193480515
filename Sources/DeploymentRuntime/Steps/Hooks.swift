package import Deployment
import LinuxSystem
import Settings
import Vocabulary

/// The commands of `[deploy.hooks]`, run as the deploy user with the build's environment and BATON_STEP, BATON_HOOK,
/// BATON_OUTCOME (`ok` or `failed`) and, where something failed, BATON_FAILURE.
///
/// A `before-STEP` that fails, fails the step. An `after-STEP` or `failed` that fails is warned about and changes nothing:
/// the step has done its work, and undoing a good release because a chat server is away helps nobody.
package struct Hooks: OperationHooks {
  /// Each command at most.
  static let limit: Duration = .seconds(300)

  private let commands: [String: [[String]]]
  private let limit: Duration

  package init(_ commands: [String: [[String]]]) { self.init(commands, limit: Self.limit) }

  init(_ commands: [String: [[String]]], limit: Duration) {
    self.commands = commands
    self.limit = limit
  }

  package func before(_ step: Step, _ operation: Operation) throws(StepFailure) {
    try run("before-\(step.rawValue)", ["BATON_STEP": step.rawValue, "BATON_OUTCOME": "ok"], operation)
  }

  package func after(_ step: Step, _ operation: Operation) throws(StepFailure) {
    do throws(StepFailure) {
      try run("after-\(step.rawValue)", ["BATON_STEP": step.rawValue, "BATON_OUTCOME": "ok"], operation)
    } catch {
      if error.kind == .aborted { throw error }
      warn(error, operation)
    }
  }

  package func failed(_ step: Step?, _ failure: StepFailure, _ operation: Operation) {
    let reason = String(
      decoding: operation.masker.mask(failure.what).utf8.prefix(4_096).filter { $0 != 0 }, as: UTF8.self)
    var variables = ["BATON_OUTCOME": "failed", "BATON_FAILURE": reason]
    variables["BATON_STEP"] = step?.rawValue
    do throws(StepFailure) {
      try run("failed", variables, operation, ignoringAbort: true)
    } catch { warn(error, operation) }
  }

  private func warn(_ failure: StepFailure, _ operation: Operation) {
    operation.audience.warn("\(failure.what); the deploy goes on")
  }

  private func run(
    _ name: String, _ variables: [String: String], _ operation: Operation, ignoringAbort: Bool = false
  ) throws(StepFailure) {
    for arguments in commands[name] ?? [] {
      var command = CommandRun(
        arguments, in: directory(operation),
        environment: operation.environment(adding: variables.merging(["BATON_HOOK": name]) { $1 }),
        subject: "hook \(name): \(CommandRun.line(of: arguments))")
      command.timeout = limit
      command.ignoresAbort = ignoringAbort
      let result = try command.run(operation)
      guard !result.hasSucceeded else { continue }
      throw StepFailure(
        .failed, operation.masker.mask(result.sentence), next: "see [deploy.hooks] \(name)", lines: result.lastLines)
    }
  }

  /// The new release, once it is there.
  private func directory(_ operation: Operation) -> String {
    let release = operation.facts.release.map(operation.layout.release)
    if let release, (try? FileFacts.ifPresent(release)) != nil { return release }
    return operation.layout.directory
  }
}
