import DeploymentRuntime
import Settings
import Testing
import Vocabulary

@testable import baton

/// The doctor's judgement: one wrong fact, one finding. `UnitFacts` starts as `units/baton@.service` has it.
struct ExaminationTests {
  static func settings(_ more: String = "") throws -> Settings {
    let text = """
      [service]
      user = "root"
      directory = "/"
      [socket.http]
      listen = "127.0.0.1:8000"
      backlog = 4096
      [engine.web]
      command = ["/bin/true"]
      workers = 4
      sockets = ["http"]
      prove = { socket = "http", path = "/health" }
      \(more)
      """
    switch SettingsReader.examine(Array(text.utf8), file: "test.toml", isRoot: true) {
    case .success(let read): return read.settings
    case .failure(let errors): throw errors
    }
  }

  static func findings(
    version: Int = 257, settings more: String = "", change: (inout UnitFacts) -> Void = { _ in },
    host changeHost: (inout HostFacts) -> Void = { _ in }
  ) throws -> [Finding] {
    var unit = UnitFacts(name: "baton@test.service", loadState: "loaded")
    var host = HostFacts(somaxconn: 4096)
    change(&unit)
    changeHost(&host)
    let facts = Facts(
      service: try ServiceName("test"), settings: try settings(more), systemd: .known(version: version, unit: unit),
      host: host)
    return Examination(facts: facts).findings
  }

  @Test func aUnitThatDoesNotWaitForTheRecoveryIsNamedWithItsDropIn() throws {
    #expect(try Self.findings().isEmpty)
    let found = try Self.findings(host: { $0.bootGap = BootOrder.gap("shop.service") })
    #expect(found.map(\.id) == ["boot-order"])
    #expect(
      found.first?.remedy
        == "systemctl edit shop.service, and there: [Unit] Wants=baton-recover.service After=baton-recover.service")
  }

  @Test(arguments: [252, 253, 254, 257, 260]) func whatIsShippedIsSound(version: Int) throws {
    #expect(try Self.findings(version: version) == [])
  }

  struct Wrong: CustomTestStringConvertible {
    let id: String
    let severity: Finding.Severity
    let change: @Sendable (inout UnitFacts) -> Void
    var testDescription: String { id }
    init(_ id: String, _ severity: Finding.Severity, _ change: @escaping @Sendable (inout UnitFacts) -> Void) {
      (self.id, self.severity, self.change) = (id, severity, change)
    }
  }

  static let wrongs: [Wrong] = [
    Wrong("unit-missing", .error) { $0.loadState = "not-found" },
    Wrong("unit-not-loaded", .error) { $0.loadState = "masked" },
    Wrong("stop-timeout", .error) { $0.stopTimeout = .seconds(30) },
    Wrong("stop-timeout", .warning) { $0.stopTimeout = .seconds(44) },
    Wrong("kill-mode", .error) { $0.killMode = "control-group" },
    Wrong("kill-mode", .error) { $0.killMode = "process" },
    Wrong("oom-policy", .warning) { $0.oomPolicy = "stop" },
    Wrong("type", .error) { $0.type = "simple" },
    Wrong("type", .warning) { $0.type = "notify-reload" },
    Wrong("notify-access", .error) { $0.notifyAccess = "none" },
    Wrong("notify-access", .warning) { $0.notifyAccess = "all" },
    Wrong("reload", .warning) { $0.canReload = false },
    Wrong("daemon-reload", .warning) { $0.needsDaemonReload = true },
    Wrong("watchdog", .note) { $0.watchdog = nil },
    Wrong("restart", .error) { $0.restart = "no" },
    Wrong("restart", .warning) { $0.restart = "on-failure" },
    Wrong("start-limit", .warning) { $0.startLimit = .init(starts: 5, interval: .seconds(10)) },
    Wrong("descriptor-store", .error) { $0.descriptorStoreMax = 0 },
    Wrong("descriptor-store", .warning) { $0.descriptorStoreMax = 2 },
    Wrong("delegate", .warning) { $0.isDelegated = false },
    Wrong("open-files", .error) { $0.openFiles = 100 },
    Wrong("probe-mark", .warning) { $0.capabilities = 1 << 7 | 1 << 6 },
    Wrong("user", .error) { $0.user = "nobody" },
    Wrong("hidden-processes", .warning) {
      $0.user = "root"
      $0.isDelegated = false
      $0.protectProc = "invisible"
    },
  ]

  @Test(arguments: wrongs) func oneWrongFactIsFound(wrong: Wrong) throws {
    let found = try Self.findings { wrong.change(&$0) }
    let matching = found.filter { $0.id == wrong.id }
    #expect(matching.map(\.severity) == [wrong.severity], "\(found)")
    for finding in found {
      #expect(!finding.what.isEmpty && !finding.why.isEmpty && !finding.remedy.isEmpty)
    }
  }

  @Test func theStopTimeoutFollowsTheBudgetOfTheSettings() throws {
    let found = try Self.findings(settings: "[shutdown]\ntimeout = \"2m\"")
    #expect(found.map(\.id) == ["stop-timeout"])
    #expect(found.first?.remedy.contains("TimeoutStopSec=2m15s") == true)
    #expect(try Self.findings(settings: "[shutdown]\ntimeout = \"2m\"") { $0.stopTimeout = nil } == [])
  }

  @Test func anOldSystemdIsRefusedByName() throws {
    let found = try #require(try Self.findings(version: 241).first)
    #expect(found.id == "systemd-version" && found.severity == .error)
    for name in ["OOMPolicy=", "BARRIER=1", "ProtectHostname="] { #expect(found.why.contains(name)) }
    #expect(Examination.missing(before: 245) == ["FDPOLL=0 and BARRIER=1 of the notify protocol"])
    #expect(Examination.missing(before: 252) == [])
  }

  @Test func aRefusedReloadThatLooksDoneIsNamed() throws {
    let found = try #require(try Self.findings(version: 252) { $0.type = "simple" }.first)
    #expect(found.why.contains("notify-reload"))
  }

  @Test func theHostIsComparedWithTheSockets() throws {
    #expect(try Self.findings(host: { $0.somaxconn = 128 }).map(\.id) == ["backlog"])
    #expect(try Self.findings(host: { $0.somaxconn = nil }) == [])
    #expect(try Self.findings(host: { $0.controllers = [] }) == [])
    let bounded = try Self.findings(settings: "pids-max = 9", host: { $0.controllers = ["memory"] })
    #expect(bounded.map(\.id) == ["cgroup-controllers"])
    #expect(bounded.first?.what.contains("pids-max of engine web") == true)
    #expect(try Self.findings(host: { $0.migratesRequests = true }).map(\.id) == ["tcp-migrate-req"])
    #expect(
      try Self.findings(settings: "[handover]\nsteering = \"off\"", host: { $0.migratesRequests = true }) == [])
    #expect(try Self.findings(host: { $0.strangers = nil }).map(\.id) == ["strangers-unknown"])
    let http = try SocketName("http")
    let found = try Self.findings(host: { $0.strangers = [http: ["nginx (pid 812)"]] })
    #expect(found.map(\.id) == ["stranger"])
    #expect(found.first?.what == "nginx (pid 812) listens on 127.0.0.1:8000 (socket http) too")
  }

  @Test func withoutSystemdTheRestIsStillExamined() throws {
    let facts = Facts(
      service: try ServiceName("test"), settings: try Self.settings(), systemd: .unknown("no bus"),
      host: HostFacts(somaxconn: 1))
    #expect(Set(Examination(facts: facts).findings.map(\.id)) == ["systemd-unknown", "backlog"])
  }

  /// While batond stands still nobody ends what runs under its lease.
  @Test func aLeaseNeedsAWatchdogThatEndsBatondInTime() throws {
    let lease = "lease = \"robots\""
    #expect(try Self.findings(settings: lease).isEmpty)
    for (more, watchdog) in [
      (lease, nil), (lease, Duration.seconds(18)), ("\(lease)\n[leases]\nttl = \"20s\"", .seconds(15)),
    ] {
      let found = try Self.findings(settings: more) { $0.watchdog = watchdog }
      #expect(found.map(\.id) == ["watchdog"] && found.first?.severity == .error)
    }
    #expect(try Self.findings(settings: "\(lease)\n[leases]\nttl = \"20s\"") { $0.watchdog = .seconds(11) }.isEmpty)
  }

  /// `check` knows what the doctor knows, and says whose word it is.
  @Test func theWatchdogIsWhatSystemdHas() throws {
    func warned(_ ttl: String, found: Duration?) throws -> String? {
      let text = """
        [service]
        user = "root"
        directory = "/"
        [engine.robots]
        command = ["/bin/true"]
        lease = "robots"
        [leases]
        ttl = "\(ttl)"
        """
      let read = try SettingsReader.examine(Array(text.utf8), file: "demo.toml", isRoot: true).get()
      let warnings = WatchdogHere.warnings(read, file: "demo.toml", unit: "baton@demo.service", found: found)
      #expect(warnings.allSatisfy { $0.line == 8 && $0.file == "demo.toml" })
      return warnings.first?.message
    }
    #expect(try warned("30s", found: nil) == nil)
    #expect(try warned("30s", found: .seconds(17)) == nil)
    #expect(try warned("30s", found: .seconds(18))?.hasSuffix("WatchdogSec= of baton@demo.service is 18s") == true)
    #expect(try warned("30s", found: .zero)?.hasSuffix("WatchdogSec= of baton@demo.service is not set") == true)
    #expect(try warned("20s", found: .seconds(11)) == nil, "a drop-in has made it shorter")
    let unknown = try warned("20s", found: nil)
    #expect(unknown?.contains("within 11.333") == true && unknown?.contains("baton doctor looks at it") == true)
  }

  @Test func theWorstComesFirst() throws {
    let found = try Self.findings {
      $0.watchdog = nil
      $0.oomPolicy = "stop"
      $0.killMode = "process"
    }
    #expect(found.map(\.severity) == [.error, .warning, .note])
  }
}
