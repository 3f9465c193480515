package import Vocabulary

/// Which release a rollback goes to.
///
/// The last one that was marked good, by the order of the operations that said so: never by a name, a time or the order
/// of a directory. Bad ones are skipped, and nobody goes back to what already runs.
package enum RollbackTarget {
  package struct Candidate: Hashable, Sendable {
    package var record: ReleaseRecord
    /// Its directory is there and verifies, or an archive of it does.
    package var isRestorable: Bool
    /// Hash of the tree, where it is known: two releases with one tree are one.
    package var tree: String?
    /// Why the database has gone on too far for it.
    package var schema: String?

    package init(_ record: ReleaseRecord, isRestorable: Bool, tree: String? = nil, schema: String? = nil) {
      self.record = record
      self.isRestorable = isRestorable
      self.tree = tree
      self.schema = schema
    }
  }

  /// - Returns: the release, or why there is none.
  package static func choose(
    _ candidates: [Candidate], current: ReleaseID?, wish: ReleaseID? = nil
  ) -> Result<ReleaseID, StepFailure> {
    let running = candidates.first { $0.record.id == current }
    if let wish {
      guard let candidate = candidates.first(where: { $0.record.id == wish }) else {
        return .failure(StepFailure(.refused, "there is no release \(wish)", next: "baton releases"))
      }
      if let reason = objection(candidate, running, current) {
        return .failure(StepFailure(.refused, reason, next: remedy(candidate)))
      }
      return .success(wish)
    }
    let good = candidates.filter { $0.record.verdict == .good && $0.record.id != current }
      .sorted { $0.record.sequence > $1.record.sequence }
    var reasons: [String] = []
    for candidate in good {
      guard let reason = objection(candidate, running, current) else { return .success(candidate.record.id) }
      reasons.append(reason)
      // To skip over a tree that cannot be had is a way back; to skip over a schema is a decision for a person.
      if candidate.schema != nil { break }
    }
    let why = reasons.isEmpty ? "no other release was ever marked good" : reasons.joined(separator: "; ")
    return .failure(StepFailure(.refused, "there is no release to go back to: \(why)", next: "baton releases"))
  }

  /// Whoever wants one all the same has it proved again.
  private static func remedy(_ candidate: Candidate) -> String {
    guard candidate.record.verdict != .good, let commit = candidate.record.commit else { return "baton releases" }
    return
      "baton deploy --ref \(commit.prefix(12)) makes it anew and proves it; baton releases lists those that were proved"
  }

  private static func objection(_ candidate: Candidate, _ running: Candidate?, _ current: ReleaseID?) -> String? {
    let id = candidate.record.id
    if id == current { return "release \(id) is the one that runs" }
    switch candidate.record.verdict {
    case .bad: return "release \(id) is marked bad"
    case .new: return "release \(id) was never proved"
    case .good: break
    }
    if let tree = candidate.tree, tree == running?.tree { return "release \(id) is the same tree as the one that runs" }
    if !candidate.isRestorable { return "release \(id) has neither a sound directory nor a sound archive" }
    return candidate.schema.map { "release \(id) does not fit the database: \($0)" }
  }
}
