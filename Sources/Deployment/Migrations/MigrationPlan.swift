package import Vocabulary

/// What the ledger in the database says of one migration.
package struct AppliedMigration: Hashable, Sendable {
  package enum State: String, Hashable, Sendable, CaseIterable {
    /// One that cannot run in a transaction began, and its end was never recorded.
    case begun
    case done
  }

  package var name: String
  package var checksum: String
  package var state: State
  package var isContract: Bool
  /// What applied it.
  package var release: ReleaseID
  package var operation: OperationID
  /// As the database writes the time.
  package var appliedAt: String
  package var duration: Duration?

  package init(
    name: String, checksum: String, state: State, isContract: Bool, release: ReleaseID, operation: OperationID,
    appliedAt: String, duration: Duration?
  ) {
    self.name = name
    self.checksum = checksum
    self.state = state
    self.isContract = isContract
    self.release = release
    self.operation = operation
    self.appliedAt = appliedAt
    self.duration = duration
  }
}

/// The migrations a release brings.
package struct ReleaseMigrations: Hashable, Sendable {
  package let release: ReleaseID
  /// nil where that cannot be seen.
  package let names: Set<String>?

  package init(release: ReleaseID, names: Set<String>?) {
    self.release = release
    self.names = names
  }
}

/// Which of a release's migrations are to be applied now, and what speaks against it. Decided from facts alone.
package struct MigrationPlan: Hashable, Sendable {
  /// Why a file cannot be applied, or the files cannot.
  package struct Refusal: Hashable, Sendable {
    package let what: String
    package let next: String
  }

  package struct Held: Hashable, Sendable {
    package let script: MigrationScript
    /// The release that may be gone back to and does not know this step.
    package let because: ReleaseID
  }

  /// In the order they are to be applied.
  package private(set) var pending: [MigrationScript] = []
  package private(set) var held: [Held] = []
  package private(set) var refusals: [Refusal] = []
  package private(set) var warnings: [String] = []
  /// Began and never ended; the first of what is to be done.
  package private(set) var interrupted: [AppliedMigration] = []

  /// - Parameters:
  ///   - scripts: those of the release, in any order.
  ///   - applied: what the database has of this service.
  ///   - targets: the releases that may be gone back to once these are applied.
  package init(_ scripts: [MigrationScript], applied: [AppliedMigration], targets: [ReleaseMigrations]) {
    let scripts = scripts.sorted { MigrationName($0.name) < MigrationName($1.name) }
    let known = Dictionary(applied.map { ($0.name, $0) }) { first, _ in first }
    refuseDuplicates(scripts)
    refuseChanged(scripts, known)
    noteMissing(scripts, applied)
    let latest = applied.map { MigrationName($0.name) }.max()
    for script in scripts where known[script.name] == nil || known[script.name]?.state == .begun {
      if let record = known[script.name] { interrupted.append(record) }
      refuseFindings(script)
      if script.directives.isContract, let target = Self.ignorant(of: script.name, targets) {
        held.append(Held(script: script, because: target.release))
        continue
      }
      if !script.directives.isContract, let latest, MigrationName(script.name) < latest, known[script.name] == nil {
        refuseLate(script, after: latest.text)
      }
      pending.append(script)
    }
  }

  private static func ignorant(of name: String, _ targets: [ReleaseMigrations]) -> ReleaseMigrations? {
    targets.first { !($0.names?.contains(name) ?? false) }
  }

  private mutating func refuseDuplicates(_ scripts: [MigrationScript]) {
    var seen: [[String]: String] = [:]
    for script in scripts {
      guard let number = MigrationName(script.name).number else { continue }
      if let other = seen[number] {
        refusals.append(
          Refusal(
            what: "\(other) and \(script.name) have the same number", next: "give one of them a number of its own"))
      }
      seen[number] = script.name
    }
  }

  private mutating func refuseChanged(_ scripts: [MigrationScript], _ known: [String: AppliedMigration]) {
    for script in scripts {
      // One that never came to its end may be corrected.
      guard let record = known[script.name], record.state == .done, record.checksum != script.file.checksum else {
        continue
      }
      refusals.append(
        Refusal(
          what: "\(script.name) was changed after it was applied (\(record.appliedAt), release \(record.release))",
          next: "put the applied text back, and write what is new into a new file"))
    }
  }

  /// What the database has and the release does not bring.
  private mutating func noteMissing(_ scripts: [MigrationScript], _ applied: [AppliedMigration]) {
    let names = Set(scripts.map(\.name))
    for record in applied.sorted(by: { MigrationName($0.name) < MigrationName($1.name) })
    where !names.contains(record.name) {
      if record.isContract {
        refusals.append(
          Refusal(
            what: "the database has had \(record.name), a contract of release \(record.release), and this release does "
              + "not know it: it was made for a schema that is gone",
            next: "deploy a release that brings \(record.name)"))
      } else {
        warnings.append("\(record.name) is applied (release \(record.release)) and this release does not bring it")
      }
    }
  }

  private mutating func refuseFindings(_ script: MigrationScript) {
    for finding in script.refusals {
      refusals.append(
        Refusal(
          what: "\(finding.file):\(finding.position): \(finding.what): \(finding.danger)",
          next: finding.rule.isContract && !finding.instead.contains("contract")
            ? "\(finding.instead); or mark the file \"-- baton: contract\"" : finding.instead))
    }
  }

  private mutating func refuseLate(_ script: MigrationScript, after latest: String) {
    guard !script.directives.isOutOfOrder else { return }
    refusals.append(
      Refusal(
        what: "\(script.name) is new and its place is before \(latest), which is applied",
        next: "give it a higher number, or say \"-- baton: out-of-order\" in it if it bears that"))
  }
}
