import Leases
import Settings
import Vocabulary

/// What of a loaded unit bites. Each setting is judged alone, against what `units/baton@.service` says and why.
struct UnitJudgement {
  let unit: UnitFacts
  let version: Int
  let settings: Settings
  let host: HostFacts

  private var dropIn: String { "systemctl edit \(unit.name)" }

  private func finding(
    _ id: String, _ severity: Finding.Severity, _ what: String, why: String, remedy: String
  ) -> Finding { Finding(id: id, severity: severity, what: what, why: why, remedy: remedy) }

  /// The usual remedy: one line in a drop-in.
  private func finding(
    _ id: String, _ severity: Finding.Severity, _ what: String, why: String, set line: String
  ) -> Finding { finding(id, severity, what, why: why, remedy: "\(dropIn), and there: \(line)") }

  // MARK: Stopping

  var stopping: [Finding] {
    var all: [Finding] = []
    let budget = settings.shutdown.timeout
    let wanted = budget + Examination.reserve
    if let timeout = unit.stopTimeout, timeout < wanted {
      all.append(
        finding(
          "stop-timeout", timeout <= budget ? .error : .warning,
          "TimeoutStopSec= is \(timeout.text), and [shutdown] timeout is \(budget.text)",
          why:
            "systemd kills everything before the shutdown has ended in order; it needs \(Examination.reserve.text) more "
            + "than the budget", set: "TimeoutStopSec=\(wanted.text)"))
    }
    switch unit.killMode {
    case "mixed": break
    case "control-group":
      all.append(
        finding(
          "kill-mode", .error, "KillMode= is control-group",
          why: "systemd sends SIGTERM to every worker at once, past the order of the shutdown", set: "KillMode=mixed"))
    default:
      all.append(
        finding(
          "kill-mode", .error, "KillMode= is \(unit.killMode)",
          why: "workers may outlive the service and hold its ports", set: "KillMode=mixed"))
    }
    if unit.oomPolicy != "continue" {
      all.append(
        finding(
          "oom-policy", .warning, "OOMPolicy= is \(unit.oomPolicy)",
          why: "one worker that is killed for want of memory stops the whole service", set: "OOMPolicy=continue"))
    }
    return all
  }

  // MARK: Talking to systemd

  var talking: [Finding] {
    var all = typeFindings
    switch unit.notifyAccess {
    case "main": break
    case "none":
      all.append(
        finding(
          "notify-access", .error, "NotifyAccess= is none",
          why: "systemd hears nothing of batond: no readiness, no watchdog, no descriptor store",
          set: "NotifyAccess=main"))
    default:
      all.append(
        finding(
          "notify-access", .warning, "NotifyAccess= is \(unit.notifyAccess)",
          why: "a worker that is taken over may speak for the service, such as STOPPING=1 or another MAINPID=",
          set: "NotifyAccess=main"))
    }
    if !unit.canReload {
      all.append(
        finding(
          "reload", .warning, "the unit has no ExecReload=", why: "systemctl reload does nothing but fail",
          set: "ExecReload=/usr/bin/baton reload %i"))
    }
    if unit.needsDaemonReload {
      all.append(
        finding(
          "daemon-reload", .warning, "the unit's files changed after systemd read them",
          why: "what is loaded is not what is on disk", remedy: "systemctl daemon-reload"))
    }
    if settings.engines.contains(where: { $0.lease != nil }) {
      let limit = settings.leases.timing.watchdogLimit
      if unit.watchdog.map({ $0 > limit }) ?? true {
        all.append(
          finding(
            "watchdog", .error,
            "WatchdogSec= is \(unit.watchdog?.text ?? "not set"), and engines with a lease need \(limit.text) or less",
            why:
              "while batond stands still nobody ends them, and another host may start them when the lease has expired",
            set: "WatchdogSec=\(limit.milliseconds / 1_000)"))
      }
    } else if unit.watchdog == nil {
      all.append(
        finding(
          "watchdog", .note, "WatchdogSec= is not set", why: "a batond that hangs is not noticed", set: "WatchdogSec=15"
        ))
    }
    return all
  }

  private var typeFindings: [Finding] {
    switch unit.type {
    case "notify": []
    case "notify-reload":
      [
        finding(
          "type", .warning, "Type= is notify-reload",
          why: "systemctl reload ends with 0 also when the new generation was refused",
          set: "Type=notify, with ExecReload=/usr/bin/baton reload %i")
      ]
    default:
      [
        finding(
          "type", .error, "Type= is \(unit.type)",
          why: "systemd calls the service started before it answers"
            + (version < 253 ? "; systemd \(version) reads notify-reload, which it does not know, as simple" : ""),
          set: "Type=notify")
      ]
    }
  }

  // MARK: Surviving a crash

  var surviving: [Finding] {
    var all: [Finding] = []
    if unit.restart != "always" {
      all.append(
        finding(
          "restart", unit.restart == "no" ? .error : .warning, "Restart= is \(unit.restart)",
          why: unit.restart == "no"
            ? "a batond that crashes stays down" : "an end that looks clean, such as a stray SIGHUP, stays the end",
          set: "Restart=always"))
    }
    if let limit = unit.startLimit {
      all.append(
        finding(
          "start-limit", .warning, "StartLimitBurst= gives up after \(limit.starts) starts in \(limit.interval.text)",
          why: "the unit then fails, the descriptor store is emptied, and what waits in the sockets is lost",
          set: "[Unit] StartLimitIntervalSec=0"))
    }
    let wanted = settings.sockets.count * (settings.handover.maxDraining + 3)
    if unit.descriptorStoreMax < wanted {
      let none = unit.descriptorStoreMax == 0
      all.append(
        finding(
          "descriptor-store", none ? .error : .warning,
          "FileDescriptorStoreMax= is \(unit.descriptorStoreMax), and up to \(wanted) listeners may be kept",
          why: none
            ? "listening sockets close when batond crashes, and clients are refused until it is back"
            : "\(settings.sockets.count) sockets in up to \(settings.handover.maxDraining + 3) generations: some are lost "
              + "with a crash of batond", set: "FileDescriptorStoreMax=512"))
    }
    if !unit.isDelegated {
      all.append(
        finding(
          "delegate", .warning, "Delegate= is no",
          why: "workers get no cgroup of their own: what they start is told apart by session and descent only"
            + (settings.engines.allSatisfy(\.bounds.keys.isEmpty)
              ? "" : ", and memory-max, cpu-max and pids-max are not in force"),
          set: "Delegate=yes"))
    }
    return all
  }

  // MARK: Room and rights

  var room: [Finding] {
    var all: [Finding] = []
    let workers = settings.engines.reduce(0) { $0 + $1.workers }
    // Two generations side by side, six descriptors a worker, and some for sockets, the ledger and clients.
    let wanted = UInt64(workers * 2 * 6 + settings.sockets.count * (settings.handover.maxDraining + 3) + 128)
    if let limit = unit.openFiles, limit < wanted {
      all.append(
        finding(
          "open-files", .error, "LimitNOFILE= is \(limit), and a handover of \(workers) workers may need \(wanted)",
          why: "workers cannot be started when it is reached", set: "LimitNOFILE=\(max(65_536, wanted))"))
    }
    all += rights
    let hides = unit.protectProc == "invisible" || unit.protectProc == "ptraceable"
    if hides || host.hidesProcesses, let user = unit.user, !unit.isDelegated {
      all.append(
        finding(
          "hidden-processes", .warning,
          hides ? "ProtectProc= is \(unit.protectProc)" : "/proc is mounted with hidepid=, and batond runs as \(user)",
          why: "processes that workers start as other users are not seen, and may be left over", set: "Delegate=yes"))
    }
    return all
  }

  private var rights: [Finding] {
    var all: [Finding] = []
    let users = Set(([settings.service.user] + settings.engines.map(\.user)).compactMap { $0 })
    if let user = unit.user, users.contains(where: { $0 != user }) {
      all.append(
        finding(
          "user", .error, "User= is \(user), and the settings run engines as \(users.sorted().joined(separator: ", "))",
          why: "only root may start programs as somebody else",
          remedy: "leave User= out of the unit, or `user` out of the settings"))
    }
    let marks = unit.capabilities & (1 << 12 | 1 << 13) != 0
    if !marks, settings.handover.steering == .auto, settings.engines.contains(where: { $0.prove != nil }) {
      all.append(
        finding(
          "probe-mark", .warning, "batond has neither CAP_NET_RAW nor CAP_NET_ADMIN",
          why:
            "it cannot mark its probes and tells them apart by a source address of 127.0.0.0/8 instead; a socket on ::1 "
            + "alone cannot be proved so",
          set: unit.user == nil ? "CapabilityBoundingSet=CAP_NET_RAW" : "AmbientCapabilities=CAP_NET_RAW"))
    }
    return all
  }
}
