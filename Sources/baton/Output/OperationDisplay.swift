import ControlProtocol
import Deployment
import DeploymentRuntime
import Glibc
import LinuxSystem
import Vocabulary

/// How an operation is shown.
enum OutputFormat: Hashable {
  case text
  /// The verdict alone, as one object.
  case json
  /// Everything, an object a line.
  case jsonLines

  var display: any OperationDisplay {
    switch self {
    case .text: Terminal.movesLines ? TerminalDisplay() : PlainDisplay()
    case .json: SilentDisplay()
    case .jsonLines: JSONLinesDisplay()
    }
  }
}

/// Shows what is new, as it comes.
protocol OperationDisplay: AnyObject {
  func show(_ news: OperationNews)
  /// Something between the person and this command, not of the operation.
  func say(_ text: String)
  /// Once a second at least.
  func tick()
  func finish()
}

extension OperationDisplay {
  func tick() {}
  func finish() {}
}

final class SilentDisplay: OperationDisplay {
  func show(_: OperationNews) {}
  func say(_ text: String) { Terminal.say("baton: \(text)") }
}

final class JSONLinesDisplay: OperationDisplay {
  func show(_ news: OperationNews) { Terminal.print(news.json) }
  func say(_ text: String) { Terminal.say("baton: \(text)") }
}

/// For logs: a line for everything, none of them changed later. That a step begins is said when something comes of it, or
/// when it takes long: how often it was looked at shows in no log.
final class PlainDisplay: OperationDisplay {
  private var beginning: OperationNews?
  private var since = Instant.monotonicNow()

  private static let long = Duration.seconds(1)

  func show(_ news: OperationNews) {
    switch news.kind {
    case .output:
      begin()
      Terminal.say("  | \(plain(news.text ?? ""))")
    // A line a percent would be a hundred lines a step.
    case .progress, .outcome: break
    case .step where news.phase == .began || news.phase == .undoing:
      beginning = news
      since = .monotonicNow()
    case .step:
      beginning = nil
      print(news)
    case .note, .warning:
      begin()
      print(news)
    }
  }

  func say(_ text: String) { Terminal.say("baton: \(text)") }
  func tick() { if .monotonicNow() - since >= Self.long { begin() } }

  private func begin() {
    if let beginning { print(beginning) }
    beginning = nil
  }

  private func print(_ news: OperationNews) { Terminal.say(NewsText(news).line.text(width: nil, colour: false)) }
}

/// One piece of news on one line: `done     build         32.15s`.
struct NewsText {
  let news: OperationNews

  init(_ news: OperationNews) { self.news = news }

  var line: StyledLine {
    switch news.kind {
    case .step: step
    case .warning: labelled("warning", .yellow, plain(news.text ?? ""))
    case .note, .output, .progress, .outcome: labelled("", nil, plain(news.text ?? ""))
    }
  }

  private var step: StyledLine {
    let name = news.step?.rawValue ?? ""
    let text = news.text.map { plain($0) } ?? ""
    return switch news.phase {
    case .began: labelled("begins", .faint, name)
    case .done: labelled("done", .green, name, news.took.map { Ages.took($0) })
    // Why is said at the end, with what to do.
    case .failed: labelled("failed", .red, name)
    case .undoing: labelled("undoing", .yellow, name)
    case .undone: labelled("undone", .yellow, name)
    case .notUndone: labelled("stuck", .red, name, text)
    case .restoring: labelled("restores", .yellow, "the previous release from its archive")
    case .leftOut: labelled("left out", .yellow, name, text)
    case .abortWaits: labelled("ending", .yellow, name, "comes to its end first")
    case .abortTooLate: labelled("too late", .yellow, "the release is good already")
    case nil: labelled("", nil, name)
    }
  }

  private func labelled(_ label: String, _ colour: StyledLine.Colour?, _ name: String, _ rest: String? = nil)
    -> StyledLine
  {
    var line = StyledLine(label, colour)
    line.append(String(repeating: " ", count: max(1, 10 - label.count)))
    guard let rest, !rest.isEmpty else {
      line.append(name)
      return line
    }
    line.append(name + String(repeating: " ", count: max(2, 14 - name.count)) + rest)
    return line
  }
}
