import ControlProtocol
import JSON
import Testing
import Vocabulary

@testable import baton

struct LeaseJudgementTests {
  static let now = WallTime(microseconds: 1_795_000_000_000_000)

  static func findings(
    _ state: StatusReport.LeaseState, since seconds: Int64 = 1, holder: String? = nil, error: String? = nil,
    count: Int = 1
  ) -> [Finding] {
    let leases = (1...count).map { number in
      StatusReport.Lease(
        name: LeaseName(unchecked: "robots-\(number)"), state: state,
        since: WallTime(microseconds: now.microseconds - seconds * 1_000_000), engines: [], works: state == .held,
        token: nil, remaining: nil, holder: holder, holderToken: nil, store: "redis://h:6379/0", storeError: error)
    }
    return LeaseJudgement(leases: leases, now: now).findings
  }

  @Test func whatIsWellSaysNothing() {
    #expect(Self.findings(.held, since: 100_000).isEmpty)
    #expect(Self.findings(.waiting, since: 299, holder: "shop@b:1").isEmpty)
    #expect(Self.findings(.ending).isEmpty, "given back, and taken by nobody")
  }

  @Test func aServiceThatCannotBeAskedIsSaid() {
    let found = LeaseJudgement(leases: [], unknown: "permission denied", now: Self.now).findings
    #expect(found.map(\.id) == ["lease-unknown"] && found.first?.what.contains("permission denied") == true)
  }

  @Test func aStoreThatCannotBeAskedIsSaidOnce() {
    let found = Self.findings(.held, error: "no answer for 2500 ms", count: 3)
    #expect(found.map(\.id) == ["lease-store"])
    #expect(found.first?.severity == .error && found.first?.what.contains("no answer for 2500 ms") == true)
  }

  @Test func twoHoldersAreNamed() {
    let found = Self.findings(.ending, holder: "shop@b:1")
    #expect(found.map(\.id) == ["lease-two-holders"])
    #expect(found.first?.severity == .error && found.first?.what.contains("shop@b:1") == true)
  }

  @Test func settingsThatMoveLeasesUnderWhatRunsAreSaid() throws {
    let lease = StatusReport.Lease(
      name: LeaseName(unchecked: "robots"), state: .held, since: Self.now, engines: [], works: true, token: 1,
      remaining: nil, holder: nil, holderToken: nil, timeToLive: .seconds(30), store: "redis://h:6379/0",
      storeError: nil)
    func found(_ rest: String, lease name: String = "lease = \"robots\"") throws -> [Finding] {
      let settings = try ExaminationTests.settings(
        "[engine.robots]\ncommand = [\"/bin/true\"]\n\(name)\n\(rest)")
      return LeaseJudgement(leases: [lease], settings: settings, now: Self.now).findings
    }
    #expect(try found("[redis]\nurl = \"redis://u:secret@h:6379/0\"").isEmpty, "another password is no other place")
    let moved = try found("[redis]\nurl = \"redis://u:secret@other:6379/0\"")
    #expect(moved.map(\.id) == ["lease-moved"] && moved.first?.what.contains("redis://other:6379/0") == true)
    #expect(moved.first?.what.contains("secret") == false)
    #expect(try found("[leases]\nttl = \"9s\"\n[redis]\nurl = \"redis://h:6379/0\"").map(\.id) == ["lease-moved"])
    #expect(try found("[redis]\nurl = \"redis://other:6379/0\"", lease: "").isEmpty, "no engine has a lease any more")
  }

  @Test func aLongWaitIsAMatterOfWhoHasIt() {
    let standby = Self.findings(.waiting, since: 301, holder: "shop@b:1")
    #expect(standby.map(\.id) == ["lease-waits"] && standby.first?.severity == .note)
    let nobody = Self.findings(.waiting, since: 301)
    #expect(nobody.map(\.id) == ["lease-waits"] && nobody.first?.severity == .warning)
  }
}
