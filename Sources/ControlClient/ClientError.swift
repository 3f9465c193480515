package import ControlProtocol
import Glibc
package import JSON
package import LinuxSystem
import Vocabulary

/// Why a call brought no answer, or the answer was no.
package enum ClientError: Error, Hashable, Sendable {
  /// Nobody answers at `path`.
  case unreachable(path: String, SystemError)
  /// The supervisor hung up before it answered.
  case lost(path: String)
  /// No answer in time.
  case slow(path: String, after: Duration)
  /// What answers is not this protocol, or another version of it.
  case strange(path: String, String)
  /// Nobody reads what the call was made for.
  case audienceLeft
  /// A person asked for an end of the waiting.
  case interrupted
  /// The supervisor said no.
  case refused(ControlError)
  /// The supervisor gave an error this version does not know.
  case unknownError(String, JSON)

  package var exitStatus: ExitStatus {
    switch self {
    case .unreachable(_, let error):
      [EACCES, EPERM].contains(error.errno) ? .notAllowed : .unreachable
    case .lost, .slow: .unreachable
    case .audienceLeft, .interrupted: .failed
    case .strange, .unknownError: .bug
    case .refused(let error):
      switch error {
      case .notAllowed, .permissionDenied: .notAllowed
      case .busy: .busy
      case .unknownEngine, .unknownSocket, .invalidParameter: .usage
      case .notHeld, .cannotProbe: .failed
      case .interfaceNotFound, .methodNotFound, .methodNotImplemented, .expectedMore: .bug
      case .failed(let verdict): ExitStatus(verdict.outcome)
      }
    }
  }

  /// What failed, in one line.
  package var what: String {
    switch self {
    case .unreachable(let path, let error): "no supervisor answers at \(path): \(error.name) \(error.text)"
    case .lost(let path): "the supervisor at \(path) hung up before it answered"
    case .audienceLeft: "nobody reads the answer any more"
    case .interrupted: "the waiting was ended on request"
    case .slow(let path, let after): "the supervisor at \(path) did not answer within \(after.text)"
    case .strange(let path, let problem): "what answers at \(path) does not speak this protocol: \(problem)"
    case .unknownError(let name, let parameters): "the supervisor answered \(name) \(parameters.text)"
    case .refused(let error):
      switch error {
      case .notAllowed(let method, let allowed):
        "not allowed: \(method.split(separator: ".").last ?? "this") is for \(allowed)"
      case .permissionDenied: "not allowed"
      case .busy(let holder, _): "busy: \(holder)"
      case .unknownEngine(let name): "there is no engine \"\(name)\""
      case .unknownSocket(let name): "there is no socket \"\(name)\""
      case .notHeld(let operation): "no generation of \(operation) waits for a commit"
      case .cannotProbe(let socket, let reason): "the new generation cannot be asked at socket \(socket): \(reason)"
      case .invalidParameter(let name): "the supervisor refuses the parameter \(name)"
      case .interfaceNotFound(let name), .methodNotFound(let name), .methodNotImplemented(let name):
        "the supervisor does not know \(name): it is of another version than this command"
      case .expectedMore: "the supervisor expected a caller that takes several replies"
      case .failed(let verdict): verdict.what
      }
    }
  }
}
