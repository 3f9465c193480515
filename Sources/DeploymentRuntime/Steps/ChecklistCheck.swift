package import Deployment
internal import LinuxSystem
internal import Settings
internal import Vocabulary

/// `[[deploy.checklist]]`: what has a command is run, what is only said must have been confirmed.
package enum ChecklistCheck {
  /// For one command.
  static let limit = Duration.seconds(60)

  static func look(
    _ operation: Operation, _ when: Settings.Deploy.ChecklistItem.When, isConfirmed: Bool,
    limit: Duration = Self.limit
  ) -> PreflightStep.Finding {
    let items = operation.deploy.checklist.filter { $0.when == when }
    guard !items.isEmpty else { return .fine("nothing on it") }
    let texts = items.filter { $0.run == nil }.map(\.text)
    if !texts.isEmpty, !isConfirmed {
      return .refusal(
        StepFailure(
          .refused, "not confirmed: \(texts.joined(separator: "; "))", next: "--yes confirms what is on the checklist"))
    }
    do throws(StepFailure) {
      try run(items, operation, limit)
    } catch {
      if error.kind == .aborted { return .refusal(error) }
      return .refusal(StepFailure(.refused, error.what, next: error.next, lines: error.lines))
    }
    return .fine("\(items.count) of \(items.count)")
  }

  /// Runs what is on the list after the health check: what it says is a verdict on the release.
  package static func runAfter(_ operation: Operation) throws(StepFailure) {
    try run(operation.deploy.checklist.filter { $0.when == .after }, operation, limit)
  }

  private static func run(
    _ items: [Settings.Deploy.ChecklistItem], _ operation: Operation, _ limit: Duration
  ) throws(StepFailure) {
    for item in items {
      guard let command = item.run else { continue }
      let release = currentRelease(operation.layout).map { operation.layout.release($0) }
      var run = CommandRun(
        command, in: release ?? operation.layout.directory, environment: operation.environment(),
        subject: "checklist: \(item.text)")
      run.timeout = limit
      // It only looks; a plan shows what it says.
      run.isReading = true
      let result = try run.run(operation)
      guard result.hasSucceeded else {
        throw StepFailure(
          .failed, "checklist: \(item.text): \(result.sentence)", next: "see to it, then ask again",
          lines: result.lastLines)
      }
    }
  }
}
