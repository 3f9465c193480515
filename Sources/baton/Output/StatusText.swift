import ControlProtocol
import JSON
import Vocabulary

/// A service on one screen. Every state is a word; colour only helps to find it.
struct StatusText {
  let report: StatusReport
  let now: WallTime

  /// For a screen of `height` rows: workers of whom there is nothing to say are counted where it is too small.
  func lines(height: Int?) -> [StyledLine] {
    let full = lines(isShort: false)
    // One row is the prompt's.
    guard let height, full.count > height - 1 else { return full }
    return lines(isShort: true)
  }

  private func lines(isShort: Bool) -> [StyledLine] {
    var lines = header
    if !report.engines.isEmpty { lines += [StyledLine()] + engines(isShort: isShort) }
    if !report.sockets.isEmpty { lines += [StyledLine()] + sockets }
    return lines
  }

  // MARK: What holds

  private var header: [StyledLine] {
    var title = StyledLine(report.service.rawValue, .bold)
    if !report.description.isEmpty { title.append(" — \(plain(report.description))") }
    let supervisor = report.supervisor
    var lines = [
      title, labelled(report.state.rawValue, colour(report.state), "\(plain(report.text)) (for \(age(report.since)))"),
      labelled(
        "batond", nil,
        "\(plain(supervisor.version)), pid \(supervisor.pid), up \(Ages.text(supervisor.uptime)), \(supervisor.rss), "
          + "steering \(supervisor.steering ? "on" : "off")"),
    ]
    if let release = report.release, release.text != "-" { lines.append(labelled("release", nil, plain(release.text))) }
    if let handover = report.handover {
      let from = handover.from.map { "\($0) → " } ?? ""
      let release = handover.release.map { " (release \(plain($0.text)))" } ?? ""
      lines.append(
        labelled(
          "handover", .yellow,
          "\(from)\(handover.to)\(release) \(handover.phase.rawValue) for \(age(handover.since))"))
    }
    if let last = report.lastHandover {
      let from = last.from.map { "\($0) → " } ?? ""
      var line = labelled("last", nil, "\(from)\(last.to) ")
      line.append(last.outcome.rawValue, last.outcome == .done ? .green : .red)
      line.append(" \(age(last.ended)) ago in \(Ages.took(last.took))")
      lines += [line, labelled("why", nil, plain(last.reason))]
    }
    if let drains = report.drains {
      for drain in drains {
        let release = drain.release.text == "-" ? "" : " (release \(plain(drain.release.text)))"
        lines.append(
          labelled(
            "draining", .yellow,
            "generation \(drain.generation), "
              + (drain.connections.map { count($0, "connection") } ?? "connections not counted") + ", "
              + "cut in \(Ages.text(left(until: drain.until)))\(release)"))
      }
    } else if !report.draining.isEmpty {
      let list = report.draining.map(\.description).joined(separator: ", ")
      let others = (report.liveReleases ?? []).filter { $0 != report.release && $0 != report.handover?.release }
      let releases = others.filter { $0.text != "-" }.map { plain($0.text) }.joined(separator: ", ")
      let of = releases.isEmpty ? "" : " (release \(releases))"
      lines.append(labelled("draining", .yellow, "generation \(list)\(of)"))
    }
    if let cut { lines.append(labelled("cut", .yellow, "\(cut), since the start")) }
    return lines + report.warnings.map { labelled("warning", .yellow, plain($0)) }
  }

  private var cut: String? {
    let counted = report.connectionsCut ?? 0
    let uncounted = report.cutsUncounted ?? 0
    let known = counted > 0 ? "\(count(counted, "connection")) of workers that were killed" : nil
    guard uncounted > 0 else { return known }
    guard let known else { return "connections of \(count(uncounted, "killed process", "es")) were not counted" }
    return known + "; those of \(count(uncounted, "other")) were not counted"
  }

  private func labelled(_ label: String, _ colour: StyledLine.Colour?, _ text: String) -> StyledLine {
    var line = StyledLine(label, colour)
    line.append(String(repeating: " ", count: max(0, 8 - label.count)) + "  " + text)
    return line
  }

  private func count(_ number: Int, _ word: String, _ plural: String = "s") -> String {
    "\(number) \(word)\(number == 1 ? "" : plural)"
  }

  private func left(until time: WallTime) -> Duration {
    .microseconds(max(0, time.microseconds - now.microseconds))
  }

  private func age(_ time: WallTime) -> String {
    Ages.text(.microseconds(max(0, now.microseconds - time.microseconds)))
  }

  private func colour(_ state: StatusReport.ServiceState) -> StyledLine.Colour {
    switch state {
    case .serving: .green
    case .starting, .handover, .stopping, .degraded: .yellow
    case .failed: .red
    }
  }

  // MARK: Engines and their workers

  private func engines(isShort: Bool) -> [StyledLine] {
    var table = Table(rightAligned: [2, 3, 4, 5, 6])
    table.append(["ENGINE", "STATE", "GEN", "PID", "SINCE", "RESTARTS", "MEMORY", "NOTE"].map { ($0, .faint) })
    for engine in report.engines {
      table.append(row(engine))
      var counted: [GenerationID: Int] = [:]
      for worker in engine.workers where isShort && isQuiet(worker) { counted[worker.generation, default: 0] += 1 }
      for worker in engine.workers {
        // One is as short in full; of the others the first stands for all.
        guard isQuiet(worker), let count = counted[worker.generation], count != 1 else {
          table.append(row(worker))
          continue
        }
        if count > 0 { table.append(row(engine.workers.filter { isQuiet($0) && $0.generation == worker.generation })) }
        counted[worker.generation] = 0
      }
    }
    return table.lines
  }

  /// There is nothing to say of it but that it works.
  private func isQuiet(_ worker: StatusReport.Worker) -> Bool {
    worker.state == .ready && worker.restarts == 0
  }

  private func row(_ engine: StatusReport.Engine) -> [Table.Cell] {
    let words = [
      engine.handover == .exclusive ? "exclusive" : nil, engine.stage == .engines ? nil : engine.stage.rawValue,
    ]
    let sockets = engine.sockets.isEmpty ? nil : "on " + engine.sockets.map(\.rawValue).joined(separator: ", ")
    let colour: StyledLine.Colour =
      switch engine.state {
      case .ready: .green
      case .starting, .degraded, .stopping, .stopped, .standby: .yellow
      case .failed: .red
      }
    return [
      (engine.name.rawValue, .bold), ("\(engine.state.rawValue) \(engine.ready)/\(engine.wanted)", colour), ("", nil),
      ("", nil), ("", nil), ("", nil), ("", nil),
      ((words + [sockets]).compactMap { $0 }.joined(separator: ", "), nil),
    ]
  }

  private func row(_ worker: StatusReport.Worker) -> [Table.Cell] {
    let colour: StyledLine.Colour? =
      switch worker.state {
      case .ready: nil
      case .starting, .draining, .waiting, .exited: .yellow
      case .failed: .red
      }
    let note = [worker.lastExit.map { "last \($0)" }, worker.status].compactMap { $0 }.joined(separator: "; ")
    return [
      ("  \(plain(worker.label))", nil), (worker.state.rawValue, colour), ("\(worker.generation)", nil),
      (worker.pid.map { "\($0)" } ?? "-", nil), (age(worker.since), nil), ("\(worker.restarts)", nil),
      (worker.memory.map { "\($0)" } ?? "-", nil), (plain(note), nil),
    ]
  }

  private func row(_ workers: [StatusReport.Worker]) -> [Table.Cell] {
    let memory = workers.compactMap(\.memory).reduce(0) { $0 &+ $1.bytes }
    let youngest = workers.map(\.since).max() ?? now
    return [
      ("  \(workers.count) workers", nil), ("ready", nil), (workers.first.map { "\($0.generation)" } ?? "", nil),
      ("", nil),
      (age(youngest), nil), ("0", nil), (memory == 0 ? "-" : "\(ByteCount(memory))", nil), ("", nil),
    ]
  }

  // MARK: Sockets

  private var sockets: [StyledLine] {
    var table = Table(rightAligned: [2])
    table.append(["SOCKET", "ADDRESS", "WAITING", "TAKEN BY"].map { ($0, .faint) })
    for socket in report.sockets {
      let waiting = socket.listeners.reduce(0) { $0 &+ $1.queue }
      let listeners = socket.listeners.map { listener in
        guard let generation = listener.generation else { return "all generations" }
        return "generation \(generation)" + (listener.steered || socket.listeners.count == 1 ? "" : " (kept apart)")
      }
      table.append([
        (socket.name.rawValue, nil), (plain(socket.address), nil), ("\(waiting)", nil),
        (listeners.joined(separator: ", "), nil),
      ])
    }
    return table.lines
  }
}
