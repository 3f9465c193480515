internal import Deployment
internal import Settings

/// `[[deploy.checklist]]`: what runs is run, what is only said must have been confirmed.
package enum ChecklistCheck {
  static func look(
    _ operation: Operation, _ when: Settings.Deploy.ChecklistItem.When, isConfirmed: Bool
  ) -> PreflightStep.Finding {
    let items = operation.deploy.checklist.filter { $0.when == when }
    guard !items.isEmpty else { return .fine("nothing on it") }
    let texts = items.filter { $0.run == nil }.map(\.text)
    if !texts.isEmpty, !isConfirmed {
      return .refusal(
        StepFailure(
          .refused, "not confirmed: \(texts.joined(separator: "; "))", next: "--yes confirms what is on the checklist"))
    }
    for text in texts { operation.audience.note("checklist: \(text): confirmed") }
    return .fine("\(items.count) of \(items.count)")
  }
}
