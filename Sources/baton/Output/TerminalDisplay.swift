import ControlProtocol
import Deployment
import DeploymentRuntime
import Glibc
import LinuxSystem
import Vocabulary

/// On a terminal: a line for each step that is over, and below them the one under way with its latest output, redrawn in
/// place. The output of a step that fails is shown whole.
final class TerminalDisplay: OperationDisplay {
  private var step: Step?
  private var isUndoing = false
  private var since: Instant = .zero
  private var progress: String?
  private var output: [String] = []
  private var left = 0
  /// Lines on the screen that are redrawn.
  private var drawn = 0
  private let colour = Host.variable("NO_COLOR") == nil

  /// Of a step's output; what is more is in the operation's log.
  private static let kept = 2_000
  private static let shown = 5

  func show(_ news: OperationNews) {
    switch news.kind {
    case .output:
      output.append(news.text ?? "")
      if output.count > Self.kept {
        left += 1
        output.removeFirst()
      }
    case .progress: progress = Self.progress(news)
    case .note, .warning: settle(NewsText(news).line)
    case .outcome: break
    case .step: take(news)
    }
    draw()
  }

  private func take(_ news: OperationNews) {
    switch news.phase {
    case .began, .undoing:
      step = news.step
      isUndoing = news.phase == .undoing
      since = .monotonicNow()
      progress = nil
      output = []
      left = 0
    case .failed:
      let lines = output
      let missing = left
      step = nil
      settle(NewsText(news).line)
      if missing > 0 { settle(StyledLine("  | … \(missing) lines before these are in the operation's log", .faint)) }
      for line in lines { settle(StyledLine("  | \(plain(line))"), indent: nil) }
      output = []
    case .done, .undone, .notUndone, .leftOut:
      step = nil
      output = []
      settle(NewsText(news).line)
    case .restoring, .abortWaits, .abortTooLate, nil: settle(NewsText(news).line)
    }
  }

  private static func progress(_ news: OperationNews) -> String? {
    guard let done = news.done else { return nil }
    let unit = news.text ?? ""
    func amount(_ value: Int64) -> String {
      unit == "bytes" ? "\(ByteCount(UInt64(max(0, value))))" : "\(value)"
    }
    guard let total = news.total, total > 0 else { return "\(amount(done))\(unit == "bytes" ? "" : " \(unit)")" }
    let percent = min(100, max(0, done) * 100 / total)
    return "\(percent)%  \(amount(done)) of \(amount(total))\(unit == "bytes" ? "" : " \(unit)")"
  }

  // MARK: The screen

  func say(_ text: String) {
    settle(StyledLine("baton: \(text)", .yellow))
    draw()
  }

  func tick() { draw() }

  func finish() { erase() }

  /// Above what is redrawn, for good.
  private func settle(_ line: StyledLine, indent: Int? = 10) {
    erase()
    // What programs print is shown as it came.
    let width = indent == nil ? nil : Terminal.size(of: STDERR_FILENO)?.columns
    for part in line.wrapped(to: width, indent: indent ?? 0) {
      Terminal.say(part.text(width: nil, colour: colour))
    }
  }

  private func erase() {
    guard drawn > 0 else { return }
    Terminal.sayRaw("\u{1B}[\(drawn)A\r\u{1B}[J")
    drawn = 0
  }

  private func draw() {
    guard let step else { return erase() }
    var line = StyledLine(isUndoing ? "undoing" : "now", .yellow)
    line.append(String(repeating: " ", count: isUndoing ? 3 : 7) + step.rawValue)
    line.append(String(repeating: " ", count: max(2, 14 - step.rawValue.count)))
    line.append(Ages.text(.monotonicNow() - since))
    if let progress { line.append("  \(progress)") }
    let lines = [line] + output.suffix(Self.shown).map { StyledLine("  | \(plain($0))", .faint) }
    let width = max(20, (Terminal.size(of: STDERR_FILENO)?.columns ?? 80) - 1)
    let text = lines.map { $0.text(width: width, colour: colour) + "\u{1B}[K\n" }.joined()
    // One write: a screen half drawn would flicker.
    Terminal.sayRaw((drawn > 0 ? "\u{1B}[\(drawn)A\r" : "") + text + (drawn > lines.count ? "\u{1B}[J" : ""))
    drawn = lines.count
  }
}
