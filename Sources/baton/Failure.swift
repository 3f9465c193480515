import ControlClient
import ControlProtocol
import JSON
import Vocabulary

/// A command that did not do what was asked: what failed, what holds now, what to do next, and the exit status.
struct Failure: Error {
  let status: ExitStatus
  let what: String
  var holds: String?
  var next: String?
  /// What the worker that failed said last.
  var lines: [String] = []
  /// The outcome is on standard output already.
  var isPrinted = false

  init(_ status: ExitStatus, _ what: String, holds: String? = nil, next: String? = nil) {
    self.status = status
    self.what = what
    self.holds = holds
    self.next = next
  }

  init(_ verdict: VerdictReport, isPrinted: Bool = false) {
    status = ExitStatus(verdict.outcome)
    what = verdict.what
    holds = verdict.holds
    next = verdict.next
    lines = verdict.lastLines
    self.isPrinted = isPrinted
  }

  /// The last lines of who failed, then the lines a person needs; a usage error is one line.
  func report(json: Bool) {
    if json && !isPrinted { Terminal.print(self.json) }
    Terminal.endProgress()
    for line in lines { Terminal.say("  | \(plain(line))") }
    if status == .usage {
      return Terminal.say("baton: \(plain(what))" + (next.map { " (\(plain($0)))" } ?? ""))
    }
    Terminal.say("baton: \(plain(what))", indent: 7)
    if let holds { Terminal.say("holds: \(plain(holds))", indent: 7) }
    if let next { Terminal.say("next:  \(plain(next))", indent: 7) }
  }

  /// The fields a verdict has too.
  private var json: JSON {
    var members = JSON.Members()
    members.append("exitCode", status.code)
    members.append("what", what)
    members.append("holds", holds)
    members.append("next", next)
    members.append("lastLines", lines)
    return .object(members)
  }
}

extension Failure {
  /// What a call about `service` ended with.
  init(_ error: ClientError, about service: ServiceChoice) {
    switch error {
    case .unreachable(_, let cause):
      self = service.unreachable(error, cause)
    case .slow, .lost:
      self.init(
        error.exitStatus, error.what, holds: "what was begun goes on",
        next: "baton status\(service.mention) shows what holds; baton events\(service.mention) how it came to it")
    case .audienceLeft, .interrupted: self.init(error.exitStatus, error.what)
    case .strange, .unknownError:
      self.init(error.exitStatus, error.what, next: "are baton and batond of the same version?")
    case .refused(.failed(let verdict)): self.init(verdict)
    case .refused(.busy(let holder, let since)):
      let age = since.map { " for \(Ages.text(.microseconds(max(0, WallTime.now.microseconds - $0.microseconds))))" }
      self.init(
        error.exitStatus, "busy: \(holder)\(age ?? "")", holds: "nothing was changed",
        next: "try again when it has ended; baton status\(service.mention) shows it")
    case .refused(.notAllowed(_, let allowed)):
      let remedy = allowed.contains("baton") ? "; usermod -aG baton USER adds somebody to the group" : ""
      self.init(
        error.exitStatus, error.what, holds: "nothing was changed", next: "ask as one of \(allowed)\(remedy)")
    case .refused(.unknownEngine), .refused(.unknownSocket):
      self.init(
        error.exitStatus, error.what, holds: "nothing was changed", next: "baton status\(service.mention) lists them")
    case .refused: self.init(error.exitStatus, error.what, holds: "nothing was changed")
    }
  }
}
