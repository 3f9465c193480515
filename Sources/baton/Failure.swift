import ControlClient
import ControlProtocol
import Vocabulary

/// A command that did not do what was asked: what failed, what holds now, what to do next, and the exit status.
struct Failure: Error {
  let status: ExitStatus
  let what: String
  var holds: String?
  var next: String?
  var lines: [String] = []

  init(_ status: ExitStatus, _ what: String, holds: String? = nil, next: String? = nil) {
    self.status = status
    self.what = what
    self.holds = holds
    self.next = next
  }

  init(_ verdict: VerdictReport) {
    status = ExitStatus(verdict.outcome)
    what = verdict.what
    holds = verdict.holds
    next = verdict.next
    lines = verdict.lastLines
  }

  init(_ error: ClientError, service: String?) {
    let name = service ?? "NAME"
    switch error {
    case .unreachable:
      self.init(
        error.exitStatus, error.what, holds: "not known from here",
        next: "systemctl status baton@\(name) tells whether it runs; systemctl start baton@\(name) starts it")
    case .slow, .lost:
      self.init(
        error.exitStatus, error.what, holds: "what was begun goes on",
        next: "baton status \(name) shows what holds; baton events \(name) how it came to it")
    case .strange, .unknownError:
      self.init(error.exitStatus, error.what, next: "are baton and batond of the same version?")
    case .refused(.failed(let verdict)): self.init(verdict)
    case .refused(.busy):
      self.init(
        error.exitStatus, error.what, holds: "nothing was changed",
        next: "try again when it has ended; baton status \(name) shows it")
    case .refused(.notAllowed(_, let allowed)):
      self.init(
        error.exitStatus, error.what, holds: "nothing was changed",
        next: "\(allowed) may; usermod -aG baton USER adds somebody")
    case .refused(.unknownEngine):
      self.init(
        error.exitStatus, error.what, holds: "nothing was changed", next: "baton status \(name) lists the engines")
    case .refused: self.init(error.exitStatus, error.what, holds: "nothing was changed")
    }
  }
}
