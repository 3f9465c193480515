import ControlProtocol
import Vocabulary

/// One event on one line: `2026-11-21 05:43:07.123  worker-exited  g13  web.2 ended with SIGKILL`.
struct EventText {
  let event: EventReport

  var line: StyledLine {
    var line = StyledLine(Ages.clock(event.time), .faint)
    let kind = plain(event.kind)
    line.append("  \(kind)" + String(repeating: " ", count: max(0, 20 - kind.count)), colour)
    let generation = event.generation.map { "g\($0)" } ?? "-"
    line.append("  \(generation)" + String(repeating: " ", count: max(0, 4 - generation.count)) + "  ")
    line.append(plain(event.text))
    if let pid = event.pid { line.append(" (pid \(pid))", .faint) }
    return line
  }

  private var colour: StyledLine.Colour? {
    let words = event.kind.split(separator: "-")
    if words.contains(where: { ["failed", "aborted", "refused", "fault", "killed", "cut"].contains($0) }) {
      return .red
    }
    return words.contains("serving") ? .green : nil
  }
}
