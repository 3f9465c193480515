package import JSON
package import Vocabulary

/// Every error the control socket answers with; a case is a Varlink error, its values are the error's parameters.
package enum ControlError: Error, Hashable, Sendable {
  // org.varlink.service
  case interfaceNotFound(String)
  case methodNotFound(String)
  case methodNotImplemented(String)
  case invalidParameter(String)
  case permissionDenied
  case expectedMore
  // io.baton.Service
  /// The caller is known, and may not do this.
  case notAllowed(method: String, allowed: String)
  /// Another act is under way, or too many callers are connected.
  case busy(holder: String, since: WallTime?)
  case unknownEngine(String)
  case unknownSocket(String)
  /// No generation of that reload waits for Commit.
  case notHeld(OperationID)
  case cannotProbe(socket: String, reason: String)
  /// The act ended otherwise than asked.
  case failed(VerdictReport)

  /// Without parameters: what the interface description declares and baton-protocol(7) lists.
  package enum Kind: String, CaseIterable, Hashable, Sendable {
    case interfaceNotFound = "org.varlink.service.InterfaceNotFound"
    case methodNotFound = "org.varlink.service.MethodNotFound"
    case methodNotImplemented = "org.varlink.service.MethodNotImplemented"
    case invalidParameter = "org.varlink.service.InvalidParameter"
    case permissionDenied = "org.varlink.service.PermissionDenied"
    case expectedMore = "org.varlink.service.ExpectedMore"
    case notAllowed = "io.baton.Service.NotAllowed"
    case busy = "io.baton.Service.Busy"
    case unknownEngine = "io.baton.Service.UnknownEngine"
    case unknownSocket = "io.baton.Service.UnknownSocket"
    case notHeld = "io.baton.Service.NotHeld"
    case cannotProbe = "io.baton.Service.CannotProbe"
    case failed = "io.baton.Service.Failed"
  }

  package var kind: Kind {
    switch self {
    case .interfaceNotFound: .interfaceNotFound
    case .methodNotFound: .methodNotFound
    case .methodNotImplemented: .methodNotImplemented
    case .invalidParameter: .invalidParameter
    case .permissionDenied: .permissionDenied
    case .expectedMore: .expectedMore
    case .notAllowed: .notAllowed
    case .busy: .busy
    case .unknownEngine: .unknownEngine
    case .unknownSocket: .unknownSocket
    case .notHeld: .notHeld
    case .cannotProbe: .cannotProbe
    case .failed: .failed
    }
  }

  private var parameters: JSON {
    var members = JSON.Members()
    switch self {
    case .interfaceNotFound(let name): members.append("interface", name)
    case .methodNotFound(let name), .methodNotImplemented(let name): members.append("method", name)
    case .invalidParameter(let name): members.append("parameter", name)
    case .permissionDenied, .expectedMore: break
    case .notAllowed(let method, let allowed):
      members.append("method", method)
      members.append("allowed", allowed)
    case .busy(let holder, let since):
      members.append("holder", holder)
      members.append("sinceUsec", since)
    case .unknownEngine(let name): members.append("engine", name)
    case .unknownSocket(let name): members.append("socket", name)
    case .notHeld(let operation): members.append("operation", operation)
    case .cannotProbe(let socket, let reason):
      members.append("socket", socket)
      members.append("reason", reason)
    case .failed(let verdict): return verdict.json
    }
    return .object(members)
  }

  package var reply: CallReply { CallReply(error: kind.rawValue, parameters: parameters) }

  /// Reads an error reply; nil when this version does not know the error.
  package init?(error name: String, parameters: JSON) throws(ShapeError) {
    guard let kind = Kind(rawValue: name) else { return nil }
    var fields = try Fields(parameters)
    switch kind {
    case .interfaceNotFound: self = .interfaceNotFound(try fields.optional("interface") ?? "")
    case .methodNotFound: self = .methodNotFound(try fields.optional("method") ?? "")
    case .methodNotImplemented: self = .methodNotImplemented(try fields.optional("method") ?? "")
    case .invalidParameter: self = .invalidParameter(try fields.optional("parameter") ?? "")
    case .permissionDenied: self = .permissionDenied
    case .expectedMore: self = .expectedMore
    case .notAllowed:
      self = .notAllowed(method: try fields.required("method"), allowed: try fields.required("allowed"))
    case .busy: self = .busy(holder: try fields.required("holder"), since: try fields.optional("sinceUsec"))
    case .unknownEngine: self = .unknownEngine(try fields.required("engine"))
    case .unknownSocket: self = .unknownSocket(try fields.required("socket"))
    case .notHeld: self = .notHeld(try fields.required("operation"))
    case .cannotProbe:
      self = .cannotProbe(socket: try fields.required("socket"), reason: try fields.required("reason"))
    case .failed: self = .failed(try VerdictReport(json: parameters))
    }
  }
}
