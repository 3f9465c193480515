import ControlProtocol
import Vocabulary

/// A service on one screen.
struct StatusText {
  let report: StatusReport
  /// Microseconds of the wall clock.
  let now: Int64

  var lines: [String] {
    var lines = header
    lines.append("")
    lines += engines
    lines.append("")
    lines += report.sockets.map(socket)
    if let handover = report.handover {
      lines.append(
        "handover  \(handover.phase.rawValue): \(handover.from.map { "generation \($0) → " } ?? "")generation "
          + "\(handover.to), \(ago(handover.since))")
    }
    if let last = report.lastHandover {
      let mark = Terminal.paint(last.outcome.rawValue, last.outcome == .done ? .green : .red)
      lines.append("last      \(mark) \(ago(last.ended)) ago, took \(last.took.text): \(last.reason)")
    }
    lines += report.warnings.map { "warning   " + Terminal.paint($0, .yellow) }
    return lines
  }

  private var header: [String] {
    let state = Terminal.paint(report.state.rawValue, colour(report.state))
    let name = Terminal.paint("\(report.service)", .bold)
    let title = report.description.isEmpty ? name : "\(name) — \(report.description)"
    let supervisor = report.supervisor
    var second = "\(state): \(report.text)"
    if let release = report.release, release.text != "-" { second += " (release \(release))" }
    return [
      title, second,
      "batond \(supervisor.version), pid \(supervisor.pid), up \(Self.coarse(supervisor.uptime)), "
        + "\(supervisor.rss) resident, steering \(supervisor.steering ? "on" : "off")",
    ]
  }

  private func colour(_ state: StatusReport.ServiceState) -> Terminal.Colour {
    switch state {
    case .serving: .green
    case .starting, .handover, .stopping, .degraded: .yellow
    case .failed: .red
    }
  }

  private var engines: [String] {
    var rows = [["ENGINE", "STATE", "GEN", "PID", "SINCE", "RESTARTS", "MEMORY", "NOTE"]]
    for engine in report.engines {
      rows.append([
        engine.name.rawValue, "\(engine.state.rawValue) \(engine.ready)/\(engine.wanted)", "", "", "", "", "",
        engine.handover == .exclusive ? "exclusive" : "",
      ])
      for worker in engine.workers.prefix(Self.maxWorkers) { rows.append(row(worker)) }
      if engine.workers.count > Self.maxWorkers {
        rows.append(["  … \(engine.workers.count - Self.maxWorkers) more", "", "", "", "", "", "", ""])
      }
    }
    return Self.aligned(rows)
  }

  /// Of one engine; --json has all.
  private static let maxWorkers = 16

  private func row(_ worker: StatusReport.Worker) -> [String] {
    let note = [worker.status, worker.lastExit.map { "last \($0)" }].compactMap { $0 }.joined(separator: "; ")
    return [
      "  \(worker.label)", worker.state.rawValue, "\(worker.generation)", worker.pid.map { "\($0)" } ?? "-",
      ago(worker.since), "\(worker.restarts)", worker.memory.map { "\($0)" } ?? "-", note,
    ]
  }

  private func socket(_ socket: StatusReport.Socket) -> String {
    let listeners = socket.listeners.map { listener in
      (listener.generation.map { "g\($0)" } ?? "shared") + (listener.steered ? "*" : "") + " \(listener.queue) waiting"
    }
    return "socket    \(socket.name) \(socket.address)  \(listeners.joined(separator: ", "))"
  }

  private func ago(_ time: WallTime) -> String { Self.coarse(.microseconds(max(0, now - time.microseconds))) }

  /// For people: one or two units.
  static func coarse(_ duration: Duration) -> String {
    let seconds = duration.nanoseconds / 1_000_000_000
    switch seconds {
    case ..<1: return "\(duration.milliseconds)ms"
    case ..<60: return "\(seconds)s"
    case ..<3_600: return "\(seconds / 60)m\(seconds % 60)s"
    case ..<86_400: return "\(seconds / 3_600)h\(seconds % 3_600 / 60)m"
    default: return "\(seconds / 86_400)d\(seconds % 86_400 / 3_600)h"
    }
  }

  static func aligned(_ rows: [[String]]) -> [String] {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = row.enumerated().map { $1 + String(repeating: " ", count: widths[$0] - $1.count) }
      var line = cells.joined(separator: "  ")
      while line.hasSuffix(" ") { line.removeLast() }
      return line
    }
  }
}
