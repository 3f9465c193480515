import Deployment
import Testing
import Vocabulary

/// Which files are applied, in which order, and what speaks against it.
@Suite struct MigrationPlanTests {
  private let old = ReleaseID("old")

  private func applied(_ script: MigrationScript, release: String = "old") -> AppliedMigration {
    AppliedMigration(
      name: script.name, checksum: script.file.checksum, state: .done, isContract: script.directives.isContract,
      release: ReleaseID(release), operation: OperationID("o"), appliedAt: "2026-01-01", duration: nil)
  }

  private func scripts(_ names: String..., text: String = "SELECT 1") -> [MigrationScript] {
    names.map { examine(text, name: $0) }
  }

  @Test func theOrderIsOfNumbers() {
    let names = [
      "10_b.sql", "9_a.sql", "0011_c.sql", "1.10_x.sql", "1.9_x.sql", "V1__x.sql", "zeta.sql", "alpha10.sql",
      "alpha9.sql", "20260101120000_t.sql", "99999999999999999999999999_u.sql",
    ]
    let plan = MigrationPlan(names.map { examine("SELECT 1", name: $0) }, applied: [], targets: [])
    #expect(
      plan.pending.map(\.name) == [
        "V1__x.sql", "1.9_x.sql", "1.10_x.sql", "9_a.sql", "10_b.sql", "0011_c.sql", "20260101120000_t.sql",
        "99999999999999999999999999_u.sql", "alpha9.sql", "alpha10.sql", "zeta.sql",
      ])
    #expect(plan.refusals == [])
  }

  @Test func theOrderIsTotal() {
    let names = ["1_a", "01_a", "1_b", "1.0", "1", "V1", "v1_a", "a1", "a01", "a", "b", "0", "00", "a1b2", "a1b10"]
    for left in names {
      for right in names {
        let pair = (MigrationName(left) < MigrationName(right), MigrationName(right) < MigrationName(left))
        #expect(left == right ? pair == (false, false) : pair.0 != pair.1, "\(left) \(right)")
      }
    }
  }

  @Test func theSameNumberTwiceIsRefused() {
    let plan = MigrationPlan(scripts("7_a.sql", "007_b.sql"), applied: [], targets: [])
    #expect(plan.refusals.map(\.what) == ["7_a.sql and 007_b.sql have the same number"])
  }

  @Test func whatIsAppliedIsSkipped() {
    let scripts = scripts("1.sql", "2.sql", "3.sql")
    let plan = MigrationPlan(scripts, applied: scripts.prefix(2).map { applied($0) }, targets: [])
    #expect(plan.pending.map(\.name) == ["3.sql"])
    #expect(plan.refusals == [] && plan.warnings == [])
  }

  @Test func aChangedFileIsRefused() {
    let before = scripts("1.sql")
    let plan = MigrationPlan(scripts("1.sql", text: "SELECT 2"), applied: before.map { applied($0) }, targets: [])
    #expect(plan.refusals.first?.what == "1.sql was changed after it was applied (2026-01-01, release old)")
    #expect(plan.pending == [])
  }

  @Test func aMissingFileIsWarnedOf() {
    let plan = MigrationPlan(scripts("2.sql"), applied: scripts("1.sql").map { applied($0) }, targets: [])
    #expect(plan.warnings == ["1.sql is applied (release old) and this release does not bring it"])
    #expect(plan.refusals == [])
  }

  @Test func aReleaseThatDoesNotKnowAnAppliedContractIsRefused() {
    let contract = scripts("1.sql", text: "-- baton: contract\nDROP TABLE a")
    let plan = MigrationPlan(scripts("2.sql"), applied: contract.map { applied($0) }, targets: [])
    #expect(plan.refusals.count == 1 && plan.refusals[0].what.contains("a schema that is gone"))
  }

  @Test func aLateFileIsRefusedUnlessItSaysSo() {
    let record = scripts("5.sql").map { applied($0) }
    let late = MigrationPlan(scripts("5.sql", "4.sql"), applied: record, targets: [])
    #expect(late.refusals.map(\.what) == ["4.sql is new and its place is before 5.sql, which is applied"])
    let said = MigrationPlan(
      scripts("5.sql") + scripts("4.sql", text: "-- baton: out-of-order\nSELECT 1"), applied: record, targets: [])
    #expect(said.refusals == [] && said.pending.map(\.name) == ["4.sql"])
  }

  @Test func aFindingRefusesTheFileAndAContractMayDoIt() {
    let refused = MigrationPlan(scripts("1.sql", text: "DROP TABLE a"), applied: [], targets: [])
    #expect(refused.refusals.first?.what.hasPrefix("1.sql:1:1: DROP TABLE a: ") == true)
    let contract = MigrationPlan(
      scripts("1.sql", text: "-- baton: contract\nDROP TABLE a"), applied: [], targets: [])
    #expect(contract.refusals == [] && contract.pending.count == 1)
  }

  @Test func whatIsAppliedIsNotJudgedAnyMore() {
    let scripts = scripts("1.sql", text: "DROP TABLE a")
    #expect(MigrationPlan(scripts, applied: scripts.map { applied($0) }, targets: []).refusals == [])
  }

  // MARK: Contracts

  @Test func aContractIsHeldUntilWhatIsGoneBackToKnowsIt() {
    let files = scripts("1.sql", "3.sql") + scripts("2.sql", text: "-- baton: contract\nDROP TABLE a")
    let ignorant = ReleaseMigrations(release: old, names: ["1.sql"])
    let held = MigrationPlan(files, applied: [], targets: [ignorant])
    #expect(held.pending.map(\.name) == ["1.sql", "3.sql"])
    #expect(held.held.map(\.script.name) == ["2.sql"] && held.held[0].because == old)

    let knowing = ReleaseMigrations(release: old, names: ["1.sql", "2.sql", "3.sql"])
    let records = held.pending.map { applied($0) }
    let next = MigrationPlan(files, applied: records, targets: [knowing])
    // Its place is before what is applied: being held back is why.
    #expect(next.pending.map(\.name) == ["2.sql"] && next.held == [] && next.refusals == [])
    #expect(MigrationPlan(files, applied: records, targets: [knowing, ignorant]).held.count == 1)
  }

  @Test func whatCannotBeSeenHoldsAContract() {
    let contract = scripts("1.sql", text: "-- baton: contract\nDROP TABLE a")
    let target = ReleaseMigrations(release: old, names: nil)
    #expect(MigrationPlan(contract, applied: [], targets: [target]).held.count == 1)
    #expect(MigrationPlan(contract, applied: [], targets: []).pending.count == 1)
  }

  @Test func aHeldContractIsJudgedToo() {
    let contract = scripts("1.sql", text: "-- baton: contract\nBEGIN")
    let plan = MigrationPlan(contract, applied: [], targets: [ReleaseMigrations(release: old, names: [])])
    #expect(plan.refusals.count == 1)
  }

  @Test func whatBeganAndDidNotEndIsNamed() {
    let scripts = scripts("1.sql", "2.sql", text: "VACUUM a")
    var record = applied(scripts[0])
    record.state = .begun
    let plan = MigrationPlan(scripts, applied: [record], targets: [])
    #expect(plan.interrupted.map(\.name) == ["1.sql"] && plan.pending.map(\.name) == ["1.sql", "2.sql"])
    // It may be corrected: nothing says that it was applied.
    record.checksum = "another"
    #expect(MigrationPlan(scripts, applied: [record], targets: []).refusals == [])
  }

  // MARK: Going back

  @Test func aReleaseOutsideItsWindowIsRefused() {
    let contract = scripts("2.sql", text: "-- baton: contract\nDROP TABLE a").map { applied($0, release: "new") }
    let records = scripts("1.sql").map { applied($0) } + contract
    let reason = MigrationWindow.refusal(of: ReleaseMigrations(release: old, names: ["1.sql"]), applied: records)
    #expect(
      reason == "release old was made for a schema that is gone: since then a contract was applied (2.sql, by "
        + "release new, 2026-01-01)")
    for target in [
      ReleaseMigrations(release: old, names: ["1.sql", "2.sql"]),
      ReleaseMigrations(release: ReleaseID("new"), names: nil),
    ] { #expect(MigrationWindow.refusal(of: target, applied: records) == nil) }
    let unseen = ReleaseMigrations(release: old, names: nil)
    #expect(
      MigrationWindow.refusal(of: unseen, applied: records)?.hasPrefix("which migrations release old brings") == true)
    #expect(MigrationWindow.refusal(of: unseen, applied: scripts("1.sql").map { applied($0) }) == nil)
  }

  @Test(arguments: ["4_a.down.sql"]) func aWayBackIsNone(name: String) {
    #expect(MigrationName.isWayBack(name) && !MigrationName.isWayBack("4_a.sql"))
  }
}
