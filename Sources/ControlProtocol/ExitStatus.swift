/// The exit statuses of `baton`, the only table of them; baton(1) shows it and a test compares the two.
package enum ExitStatus: Int, CaseIterable, Hashable, Sendable {
  case done = 0
  case failed = 1
  case needsPerson = 2
  case usage = 64
  case unreachable = 69
  case bug = 70
  case busy = 75
  case notAllowed = 77
  case settingsWrong = 78

  package init(_ outcome: VerdictReport.Outcome) {
    switch outcome {
    case .done, .accepted: self = .done
    case .failed: self = .failed
    case .needsPerson: self = .needsPerson
    case .settingsWrong: self = .settingsWrong
    }
  }

  package var code: Int { rawValue }

  /// As baton(1) explains it.
  package var meaning: String {
    switch self {
    case .done: "Done."
    case .failed: "Failed, and the old state holds."
    case .needsPerson: "Failed, and a person is needed."
    case .usage: "The command line is wrong."
    case .unreachable: "The supervisor, or the store of a lock, cannot be reached."
    case .bug: "A bug in baton."
    case .busy: "Busy: try again; the message says who holds what since when."
    case .notAllowed: "Not allowed."
    case .settingsWrong: "The settings are wrong."
    }
  }
}
