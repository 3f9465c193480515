package import Deployment
package import Vocabulary

/// Finishes or undoes what was cut off: run by `baton recover`, by the boot unit and before every operation.
package struct Recover {
  private let layout: Layout
  private let effects: Effects
  private let make: (OperationID, Intent) throws(StepFailure) -> Assembly

  /// `make` gives everything a recorded operation is made of, as it was when it began.
  package init(
    _ layout: Layout, effects: Effects, make: @escaping (OperationID, Intent) throws(StepFailure) -> Assembly
  ) {
    self.layout = layout
    self.effects = effects
    self.make = make
  }

  /// What is left over, without the lock and without doing anything: for `status` and preflight.
  package static func halfDone(_ layout: Layout) -> [OperationID] {
    OperationIndex.all(layout).filter { id in
      Recovery.isHalfDone(StepLog.peek(layout, id).map(\.entry)) && !StepLog.isAlive(layout, id)
    }
  }

  /// All of them, the last one first: each is undone from what it found, and the last one found the others' work.
  ///
  /// - Returns: what became of each; nothing when there was nothing to do.
  /// - Throws: `busy` when another operation is at work; `failed` when the lock cannot be had.
  package func run(
    _ moment: Moment, who: String, patience: Duration = .zero
  ) throws(StepFailure) -> [OperationOutcome] {
    guard !Self.candidates(layout, moment).isEmpty else { return [] }
    let lock = try OperationLock.acquire(
      layout, "recover", OperationID("-"), who: who, patience: patience, effects: effects)
    defer { lock.release() }
    var outcomes: [OperationOutcome] = []
    // Looked at again: whoever held the lock may have ended meanwhile.
    let found = Self.candidates(layout, moment).sorted { $0.sequence > $1.sequence }
    for candidate in found {
      do throws(StepFailure) {
        let executor = Executor(try make(candidate.id, candidate.intent))
        if let outcome = executor.resume(moment, under: lock) { outcomes.append(outcome) }
      } catch {
        outcomes.append(
          OperationOutcome(
            operation: candidate.id, outcome: .stuck, facts: OperationFacts(), failure: error, residue: [:]))
      }
    }
    return outcomes
  }

  private struct Candidate {
    var id: OperationID
    var intent: Intent
    var sequence: Int64
  }

  private static func candidates(_ layout: Layout, _ moment: Moment) -> [Candidate] {
    OperationIndex.all(layout).compactMap { id in
      let entries = StepLog.peek(layout, id).map(\.entry)
      guard case .began(let intent)? = entries.first else { return nil }
      guard Recovery.isHalfDone(entries) || (moment == .bake && Recovery.isBaking(entries)) else { return nil }
      // Somebody in preflight, or waiting for the lock, has begun nothing and is not to be disturbed.
      guard !StepLog.isAlive(layout, id) else { return nil }
      return Candidate(id: id, intent: intent, sequence: Recovery.sequence(entries))
    }
  }
}
