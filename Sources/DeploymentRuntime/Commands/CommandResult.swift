package import Deployment
package import LinuxSystem
import Vocabulary

/// How a program ended.
package struct CommandResult {
  package enum Outcome: Hashable, Sendable {
    case exited(Int32)
    case signalled(Signal)
    case timedOut(after: Duration)
    /// Its output did not fit where it had to be held.
    case printedTooMuch
  }

  package var subject: String
  package var outcome: Outcome = .exited(0)
  /// What it printed on standard output, where ``CommandRun/Output/captured(limit:)`` asked for it.
  package var captured: [UInt8] = []
  /// The last lines of everything it printed but was not captured: masked, at most 20 of at most 1 KiB.
  package var lastLines: [String] = []
  package var duration: Duration = .zero
  /// The kernel ended a process of it for want of memory.
  package var ranOutOfMemory = false
  /// What it left behind, and that was ended: command names.
  package var leftBehind: [String] = []

  package init(subject: String) { self.subject = subject }

  package var hasSucceeded: Bool { outcome == .exited(0) }

  /// `captured` as text without line feeds at its end.
  package var text: String {
    var bytes = captured[...]
    while bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// `go build failed with exit status 1`
  package var sentence: String {
    let memory = ranOutOfMemory ? ", out of memory" : ""
    return switch outcome {
    case .exited(0): "\(subject) succeeded"
    case .exited(126): "\(subject) failed with exit status 126: a program was found, but cannot be executed\(memory)"
    case .exited(127): "\(subject) failed with exit status 127: a program was not found\(memory)"
    case .exited(let status): "\(subject) failed with exit status \(status)\(memory)"
    case .signalled(let signal): "\(subject) was ended by \(signal)\(memory)"
    case .timedOut(let limit): "\(subject) was ended: it took longer than \(limit.text)"
    case .printedTooMuch: "\(subject) was ended: it printed more than can be held"
    }
  }

  /// Throws unless it ended with 0.
  package func succeeded(next: String? = nil) throws(StepFailure) {
    guard !hasSucceeded else { return }
    throw StepFailure(.failed, sentence, next: next, lines: lastLines)
  }
}
