internal import JSON
package import Vocabulary

/// What a caller must be allowed to do before a call reaches the supervisor.
package enum Access: String, CaseIterable, Hashable, Sendable, Comparable {
  /// Anyone who can connect.
  case read
  /// root, members of group `baton`, and the supervisor's own user where that is not root.
  case change
  /// root alone (and the supervisor's own user where that is not root): values that may be secret.
  case reveal

  private var rank: Int {
    switch self {
    case .read: 0
    case .change: 1
    case .reveal: 2
    }
  }

  package static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }

  /// Who has it, for people.
  package var holders: String {
    switch self {
    case .read: "anyone on this host"
    case .change: "root and members of group baton"
    case .reveal: "root"
    }
  }
}

/// A call whose parameters were read. One case a method; the switch that answers it is exhaustive.
package enum Request: Hashable, Sendable {
  case getInfo
  case getInterfaceDescription(interface: String)
  case status
  case reload(wait: Bool, release: ReleaseID? = nil, hold: Duration? = nil)
  case commit(OperationID)
  case abort(OperationID)
  case probe(OperationID, socket: SocketName)
  case restart(wait: Bool)
  case upgrade(wait: Bool)
  case stop(now: Bool, wait: Bool)
  case scale(engine: EngineName, workers: Int, wait: Bool)
  case signal(engine: EngineName, signal: String, worker: String? = nil)
  case events(limit: Int, follow: Bool)
  case environment(engine: EngineName, reveal: Bool)

  package static let maximumEvents = 1_000
  package static let defaultEvents = 20
  package static let maximumWorkers = 10_000
  /// How long a proved generation may wait for Commit, in milliseconds.
  package static let maximumHold = 3_600_000
}

/// One line of the table that decides everything about a method: its name, who may call it, how its parameters are read.
package struct Route: Sendable {
  package let method: String
  /// For the mildest form of the call; ``access(for:)`` for a given one.
  package let access: Access
  /// The call makes sense only from a caller that takes several replies.
  package let needsMore: @Sendable (Request) -> Bool
  private let read: @Sendable (inout Fields) throws(ShapeError) -> Request

  private init(
    _ method: String, _ access: Access, needsMore: @escaping @Sendable (Request) -> Bool = { _ in false },
    read: @escaping @Sendable (inout Fields) throws(ShapeError) -> Request
  ) {
    self.method = method
    self.access = access
    self.needsMore = needsMore
    self.read = read
  }

  /// Every method of the control socket.
  package static let all: [Route] = [
    Route("org.varlink.service.GetInfo", .read) { (_: inout Fields) throws(ShapeError) in .getInfo },
    Route("org.varlink.service.GetInterfaceDescription", .read) { (fields: inout Fields) throws(ShapeError) in
      .getInterfaceDescription(interface: try fields.required("interface"))
    },
    Route("io.baton.Service.Status", .read) { (_: inout Fields) throws(ShapeError) in .status },
    Route("io.baton.Service.Events", .read, needsMore: { $0.follows }) { (fields: inout Fields) throws(ShapeError) in
      .events(
        limit: try bounded(fields.optional("limit"), 0...Request.maximumEvents, "limit") ?? Request.defaultEvents,
        follow: try fields.optional("follow") ?? false)
    },
    Route("io.baton.Service.Environment", .read) { (fields: inout Fields) throws(ShapeError) in
      .environment(engine: try fields.required("engine"), reveal: try fields.optional("reveal") ?? false)
    },
    Route("io.baton.Service.Reload", .change, needsMore: { $0.holds }) { (fields: inout Fields) throws(ShapeError) in
      let wait = try fields.optional("wait") ?? true
      let release: ReleaseID? = try fields.optional("release")
      let hold: Int? = try bounded(fields.optional("holdMs"), 1...Request.maximumHold, "holdMs")
      if hold != nil && !wait { throw ShapeError(field: "wait", problem: "a reload that holds is waited for") }
      return .reload(wait: wait, release: release, hold: hold.map { .milliseconds($0) })
    },
    Route("io.baton.Service.Commit", .change) { (fields: inout Fields) throws(ShapeError) in
      .commit(try fields.required("operation"))
    },
    Route("io.baton.Service.Abort", .change) { (fields: inout Fields) throws(ShapeError) in
      .abort(try fields.required("operation"))
    },
    Route("io.baton.Service.Probe", .change) { (fields: inout Fields) throws(ShapeError) in
      .probe(try fields.required("operation"), socket: try fields.required("socket"))
    },
    Route("io.baton.Service.Restart", .change) { (fields: inout Fields) throws(ShapeError) in
      .restart(wait: try fields.optional("wait") ?? true)
    },
    Route("io.baton.Service.Scale", .change) { (fields: inout Fields) throws(ShapeError) in
      let workers: Int = try fields.required("workers")
      return .scale(
        engine: try fields.required("engine"),
        workers: try bounded(workers, 0...Request.maximumWorkers, "workers") ?? workers,
        wait: try fields.optional("wait") ?? true)
    },
    Route("io.baton.Service.Signal", .change) { (fields: inout Fields) throws(ShapeError) in
      .signal(
        engine: try fields.required("engine"), signal: try fields.required("signal"),
        worker: try fields.optional("worker"))
    },
    Route("io.baton.Service.Upgrade", .change) { (fields: inout Fields) throws(ShapeError) in
      .upgrade(wait: try fields.optional("wait") ?? true)
    },
    Route("io.baton.Service.Stop", .change) { (fields: inout Fields) throws(ShapeError) in
      .stop(now: try fields.optional("now") ?? false, wait: try fields.optional("wait") ?? true)
    },
  ]

  /// Finds the route of a call, or says as Varlink does what is missing.
  package static func of(_ call: Call) throws(ControlError) -> Route {
    if let route = all.first(where: { $0.method == call.method }) { return route }
    guard let dot = call.method.lastIndex(of: ".") else { throw .interfaceNotFound(call.method) }
    let interface = String(call.method[..<dot])
    throw Interface.names.contains(interface) ? .methodNotFound(call.method) : .interfaceNotFound(interface)
  }

  /// Reads the parameters; a parameter that is not known is refused, as is one of another type.
  package func request(of call: Call) throws(ControlError) -> Request {
    do throws(ShapeError) {
      var fields = try Fields(call.parameters)
      let request = try read(&fields)
      try fields.finish()
      return request
    } catch {
      throw .invalidParameter(error.field)
    }
  }

  /// What this call needs: to ask for values that may be secret needs more than to ask for their names.
  package func access(for request: Request) -> Access {
    if case .environment(_, reveal: true) = request { return max(access, .reveal) }
    return access
  }

  private static func bounded(
    _ number: Int?, _ range: ClosedRange<Int>, _ field: String
  ) throws(ShapeError) -> Int? {
    guard let number, !range.contains(number) else { return number }
    throw ShapeError(field: field, problem: "takes \(range.lowerBound) to \(range.upperBound)")
  }
}

extension Request {
  fileprivate var follows: Bool {
    if case .events(_, follow: true) = self { return true }
    return false
  }

  fileprivate var holds: Bool {
    if case .reload(_, _, .some) = self { return true }
    return false
  }

  /// The call that asks for this; `Route.request(of:)` reads it back.
  package var call: Call {
    var members = JSON.Members()
    switch self {
    case .getInfo: return Call(method: "org.varlink.service.GetInfo")
    case .getInterfaceDescription(let interface):
      members.append("interface", interface)
      return Call(method: "org.varlink.service.GetInterfaceDescription", parameters: .object(members))
    case .status: return Call(method: "io.baton.Service.Status")
    case .reload(let wait, let release, let hold):
      members.append("wait", wait)
      members.append("release", release)
      members.append("holdMs", hold)
      return Call(method: "io.baton.Service.Reload", parameters: .object(members))
    case .commit(let operation):
      members.append("operation", operation)
      return Call(method: "io.baton.Service.Commit", parameters: .object(members))
    case .abort(let operation):
      members.append("operation", operation)
      return Call(method: "io.baton.Service.Abort", parameters: .object(members))
    case .probe(let operation, let socket):
      members.append("operation", operation)
      members.append("socket", socket)
      return Call(method: "io.baton.Service.Probe", parameters: .object(members))
    case .restart(let wait):
      members.append("wait", wait)
      return Call(method: "io.baton.Service.Restart", parameters: .object(members))
    case .upgrade(let wait):
      members.append("wait", wait)
      return Call(method: "io.baton.Service.Upgrade", parameters: .object(members))
    case .stop(let now, let wait):
      members.append("now", now)
      members.append("wait", wait)
      return Call(method: "io.baton.Service.Stop", parameters: .object(members))
    case .scale(let engine, let workers, let wait):
      members.append("engine", engine)
      members.append("workers", workers)
      members.append("wait", wait)
      return Call(method: "io.baton.Service.Scale", parameters: .object(members))
    case .signal(let engine, let signal, let worker):
      members.append("engine", engine)
      members.append("signal", signal)
      members.append("worker", worker)
      return Call(method: "io.baton.Service.Signal", parameters: .object(members))
    case .events(let limit, let follow):
      members.append("limit", limit)
      members.append("follow", follow)
      return Call(method: "io.baton.Service.Events", parameters: .object(members), more: follow)
    case .environment(let engine, let reveal):
      members.append("engine", engine)
      members.append("reveal", reveal)
      return Call(method: "io.baton.Service.Environment", parameters: .object(members))
    }
  }
}
