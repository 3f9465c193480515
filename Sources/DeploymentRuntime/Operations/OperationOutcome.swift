package import Deployment
package import Vocabulary

/// How an operation ended, in what a person needs: what failed, what holds now, what to do next.
package struct OperationOutcome: Hashable, Sendable {
  package var operation: OperationID
  package var outcome: Outcome
  package var facts: OperationFacts
  /// Where it failed; nil: nowhere, or between steps.
  package var step: Step?
  package var failure: StepFailure?
  /// What could not be undone, or was left out though the release is good.
  package var residue: [Step: StepFailure]
  /// Why its end could not be recorded. What it says of the releases is so all the same, but the operation counts as
  /// half-done until somebody records it.
  package var unrecorded: StepFailure?

  /// Something was begun, and nothing but the record of its end is missing: nobody else knows that it ended.
  private var missingRecord: StepFailure? {
    facts.sequence > 0 && outcome.exitStatus != Self.needsPerson ? unrecorded : nil
  }

  private static let needsPerson: Int32 = 2

  package var exitStatus: Int32 { missingRecord == nil ? outcome.exitStatus : Self.needsPerson }

  /// What failed; nil where nothing did.
  package var what: String? {
    let step = step.map { "\($0.rawValue) failed: " } ?? ""
    let failed: String? =
      switch outcome {
      case .good, .baking: nil
      case .refused, .busy, .aborted: failure?.what ?? outcome.rawValue
      case .failed, .stuck: failure.map { step + $0.what } ?? outcome.rawValue
      }
    guard let missingRecord else { return failed }
    return (failed.map { "\($0); and " } ?? "")
      + "the end of the operation could not be recorded: \(missingRecord.what)"
  }

  /// What holds now.
  package var holds: String {
    let old = facts.previous.map { "release \($0) serves as before" } ?? "no release is deployed, as before"
    switch outcome {
    case .good: return "release \(facts.release.map(\.text) ?? "-") serves and is marked good"
    case .baking: return "release \(facts.release.map(\.text) ?? "-") serves; its bake is still to come"
    case .refused, .busy: return "nothing was begun"
    case .failed, .aborted: return facts.sequence > 0 ? old : "nothing was begun"
    case .stuck: return "neither the old nor the new release is known to serve"
    }
  }

  /// What a person does next.
  package var next: String? {
    if let missingRecord { return "\(missingRecord.next ?? "see to the disk"), then baton recover" }
    switch outcome {
    case .good, .baking: return nil
    case .stuck:
      let reason = residue.values.compactMap(\.next).first ?? failure?.next
      return "\(reason.map { "\($0), then " } ?? "see that the old release can run, then ")baton recover"
    case .refused, .busy, .failed, .aborted: return failure?.next
    }
  }
}
