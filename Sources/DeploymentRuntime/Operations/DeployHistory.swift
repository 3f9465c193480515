package import Deployment
internal import Ledger
internal import LinuxSystem
package import Vocabulary

/// What `history`, `show` and `releases` read: the step logs, which are the truth, and for operations whose directory is
/// gone the ledger. Reading needs no lock and changes nothing.
package struct DeployHistory {
  /// The last one first.
  package var operations: [OperationSummary] = []
  /// The last one that something was said of first; those nothing is known of at the end.
  package var releases: [ReleaseRecord] = []
  /// Why the ledger could not be read: then older operations are missing.
  package var trouble: String?

  package static func read(_ layout: Layout, limit: Int = DeployLedger.operationsKept) -> DeployHistory {
    var history = DeployHistory()
    var all: [OperationID: OperationSummary] = [:]
    var verdicts: [(release: ReleaseID, verdict: ReleaseVerdict, sequence: Int64)] = []
    do throws(SQLiteError) {
      for lines in try DeployLedger.read(layout, limit: limit) {
        if let summary = OperationSummary(lines.map { ($0.time, $0.entry) }) { all[summary.operation] = summary }
      }
      verdicts = try DeployLedger.verdicts(layout)
    } catch {
      history.trouble = "the ledger \(layout.ledger) cannot be read: \(error.detail)"
    }
    for id in OperationIndex.all(layout) {
      let lines = StepLog.peek(layout, id)
      if let summary = OperationSummary(lines.map { ($0.time, $0.entry) }) { all[id] = summary }
    }
    let sorted = lastFirst(Array(all.values))
    history.operations = Array(sorted.prefix(limit))
    let told = Set(sorted.map(\.facts.sequence))
    history.releases = releases(layout, sorted, verdicts.filter { !told.contains($0.sequence) })
    return history
  }

  /// In the order of their sequence, whatever the clock did meanwhile; those that never had the lock where the clock puts
  /// them.
  private static func lastFirst(_ operations: [OperationSummary]) -> [OperationSummary] {
    var last = Int64.min
    let sequenced = operations.filter { $0.facts.sequence > 0 }.sorted { $0.facts.sequence < $1.facts.sequence }
    let placed = sequenced.map { summary in
      last = max(last, summary.started)
      return (last, summary.facts.sequence, summary)
    }
    let others = operations.filter { $0.facts.sequence == 0 }.map { ($0.started, Int64(0), $0) }
    return (placed + others).sorted { ($0.0, $0.1) > ($1.0, $1.1) }.map { $0.2 }
  }

  /// One operation with its records.
  package static func show(_ layout: Layout, _ id: OperationID) -> (summary: OperationSummary, lines: [LogLine])? {
    var lines = StepLog.peek(layout, id)
    if lines.isEmpty { lines = (try? DeployLedger.read(layout, id)) ?? [] }
    return OperationSummary(lines.map { ($0.time, $0.entry) }).map { ($0, lines) }
  }

  private static func releases(
    _ layout: Layout, _ operations: [OperationSummary],
    _ older: [(release: ReleaseID, verdict: ReleaseVerdict, sequence: Int64)]
  ) -> [ReleaseRecord] {
    var all: [ReleaseID: ReleaseRecord] = [:]
    for name in (try? directoryEntries(layout.releases)) ?? [] where !name.hasPrefix(".") && !name.contains(".") {
      all[ReleaseID(name)] = ReleaseRecord(id: ReleaseID(name))
    }
    for said in older { all[said.release, default: ReleaseRecord(id: said.release)].take(said.verdict, said.sequence) }
    for summary in operations.reversed() {
      let sequence = summary.facts.sequence
      for (release, verdict) in summary.verdicts {
        all[release, default: ReleaseRecord(id: release)].take(verdict, sequence)
      }
      guard let release = summary.facts.release, summary.intent.kind != .rollback else { continue }
      all[release]?.commit = summary.facts.commit
      all[release]?.operation = summary.operation
      all[release]?.made = summary.started
      all[release]?.who = summary.intent.who
    }
    return all.values.sorted { ($0.sequence, $0.id.text) > ($1.sequence, $1.id.text) }
  }
}

extension ReleaseRecord {
  fileprivate mutating func take(_ verdict: ReleaseVerdict, _ sequence: Int64) {
    guard sequence >= self.sequence else { return }
    self.verdict = verdict
    self.sequence = sequence
  }
}
