import DeploymentRuntime
import Settings
import Vocabulary

/// The doctor's judgement: facts in, findings out, the worst first. Touches nothing.
struct Examination {
  let facts: Facts

  /// systemd before this is refused: see ``missing(before:)``.
  static let oldestSystemd = 252
  /// What TimeoutStopSec= must leave after the budget, for killing, the last record and closing.
  static let reserve = Duration.seconds(15)

  var findings: [Finding] {
    var all: [Finding] = []
    switch facts.systemd {
    case .unknown(let why):
      all.append(
        Finding(
          id: "systemd-unknown", severity: .warning, what: "the unit could not be examined: \(why)",
          why: "most of what bites is in the unit", remedy: "run baton doctor where systemd runs, as root if need be"))
    case .known(let version, let unit):
      all += judge(systemd: version) + judge(unit, version)
    }
    all += judge(facts.host)
    all +=
      LeaseJudgement(leases: facts.leases, unknown: facts.leasesUnknown, settings: facts.settings, now: facts.now)
      .findings
    // Of equal weight the order above holds: sort(by:) is stable.
    let order = Finding.Severity.allCases
    return order.flatMap { severity in all.filter { $0.severity == severity } }
  }

  // MARK: systemd

  private static let features: [(since: Int, name: String)] = [
    (242, "ProtectHostname="), (243, "OOMPolicy="), (244, "ProtectKernelLogs="),
    (246, "FDPOLL=0 and BARRIER=1 of the notify protocol"),
  ]

  static func missing(before version: Int) -> [String] { features.filter { $0.since > version }.map(\.name) }

  private func judge(systemd version: Int) -> [Finding] {
    guard version < Self.oldestSystemd else { return [] }
    let missing = Self.missing(before: version)
    return [
      Finding(
        id: "systemd-version", severity: .error, what: "systemd is \(version), and baton needs \(Self.oldestSystemd)",
        why: missing.isEmpty
          ? "nothing before \(Self.oldestSystemd) is tested" : "it lacks \(missing.joined(separator: ", "))",
        remedy: "use a release of the system with systemd \(Self.oldestSystemd) or later, such as Debian 12")
    ]
  }

  private func judge(_ unit: UnitFacts, _ version: Int) -> [Finding] {
    switch unit.loadState {
    case "loaded": break
    case "not-found":
      return [
        Finding(
          id: "unit-missing", severity: .error, what: "there is no unit \(unit.name)",
          why: "systemd cannot start the service", remedy: "install units/baton@.service as docs/units.md says")
      ]
    default:
      return [
        Finding(
          id: "unit-not-loaded", severity: .error, what: "\(unit.name) is \(unit.loadState)",
          why: "systemd cannot start the service",
          remedy: "`systemctl status \(unit.name)` says why; `systemctl unmask` if it is masked")
      ]
    }
    let judgement = UnitJudgement(unit: unit, version: version, settings: facts.settings, host: facts.host)
    return judgement.stopping + judgement.talking + judgement.surviving + judgement.room
  }

  // MARK: The host

  private func judge(_ host: HostFacts) -> [Finding] {
    var all: [Finding] = []
    if let most = host.somaxconn {
      for socket in facts.settings.sockets where socket.backlog > most {
        if case .udp = socket.address { continue }
        all.append(
          Finding(
            id: "backlog", severity: .warning,
            what: "socket \(socket.name) wants a backlog of \(socket.backlog), and net.core.somaxconn is \(most)",
            why: "the kernel takes the smaller one, and clients beyond it are refused or wait while workers change",
            remedy: "sysctl -w net.core.somaxconn=\(socket.backlog), and the same in /etc/sysctl.d/"))
      }
    }
    all += bounds(host)
    if host.migratesRequests, facts.settings.handover.steering == .auto {
      all.append(
        Finding(
          id: "tcp-migrate-req", severity: .warning, what: "net.ipv4.tcp_migrate_req is 1",
          why:
            "connections that wait at a listener that closes go to any other by hash, also to an unproven generation; "
            + "baton closes none before it is quiet, so it gains nothing here",
          remedy: "sysctl -w net.ipv4.tcp_migrate_req=0, unless another program on this host needs it"))
    }
    if let gap = host.bootGap {
      all.append(
        Finding(
          id: "boot-order", severity: .warning, what: gap.what,
          why: "it would start from a release that is not complete, or that was never proved", remedy: gap.remedy))
    }
    all += strangers(host)
    return all
  }

  private func bounds(_ host: HostFacts) -> [Finding] {
    let missing = BoundsHere.missing(facts.settings, controllers: host.controllers)
    guard !missing.isEmpty else { return [] }
    let controllers = Set(missing.map(\.controller)).sorted().joined(separator: ", ")
    return [
      Finding(
        id: "cgroup-controllers", severity: .warning,
        what: "this host's cgroup v2 has no controller \(controllers), so there is no "
          + missing.map(\.text).joined(separator: ", "),
        why: "a worker may take all the memory, processor time or processes there are",
        remedy: "boot with systemd.unified_cgroup_hierarchy=1, so that version 1 does not hold the controllers")
    ]
  }

  private func strangers(_ host: HostFacts) -> [Finding] {
    guard let strangers = host.strangers else {
      return [
        Finding(
          id: "strangers-unknown", severity: .note, what: "it is not known who else listens on the service's ports",
          why: "only root may see that", remedy: "run baton doctor as root")
      ]
    }
    return facts.settings.sockets.compactMap { socket in
      guard let found = strangers[socket.name], !found.isEmpty else { return nil }
      return Finding(
        id: "stranger", severity: .error,
        what: "\(found.joined(separator: ", ")) \(found.count == 1 ? "listens" : "listen") on "
          + "\(socket.address.text) (socket \(socket.name)) too",
        why: "it takes connections that are meant for this service, or keeps it from starting",
        remedy: "stop it, or choose another address")
    }
  }
}
