package import JSON
package import Vocabulary

/// One line of the history: what happened to whom, and why.
package struct EventReport: Hashable, Sendable {
  package var time: WallTime
  /// A word with hyphens: `worker-ready`, `handover-aborted`.
  package var kind: String
  package var service: ServiceName
  /// One line for people; the fields below say the same for programs.
  package var text: String
  package var engine: EngineName?
  /// `web.2`
  package var worker: String?
  package var generation: GenerationID?
  package var release: ReleaseID?
  package var operation: OperationID?
  package var from: String?
  package var to: String?
  package var reason: String?
  package var pid: Int?

  package init(
    time: WallTime, kind: String, service: ServiceName, text: String, engine: EngineName? = nil, worker: String? = nil,
    generation: GenerationID? = nil, release: ReleaseID? = nil, operation: OperationID? = nil, from: String? = nil,
    to: String? = nil, reason: String? = nil, pid: Int? = nil
  ) {
    self.time = time
    self.kind = kind
    self.service = service
    self.text = text
    self.engine = engine
    self.worker = worker
    self.generation = generation
    self.release = release
    self.operation = operation
    self.from = from
    self.to = to
    self.reason = reason
    self.pid = pid
  }
}

extension EventReport: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      time: try fields.required("timeUsec"), kind: try fields.required("kind"),
      service: try fields.required("service"), text: try fields.required("text"), engine: try fields.optional("engine"),
      worker: try fields.optional("worker"), generation: try fields.optional("generation"),
      release: try fields.optional("release"), operation: try fields.optional("operation"),
      from: try fields.optional("from"), to: try fields.optional("to"), reason: try fields.optional("reason"),
      pid: try fields.optional("pid"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("timeUsec", time)
    members.append("kind", kind)
    members.append("service", service)
    members.append("text", text)
    members.append("engine", engine)
    members.append("worker", worker)
    members.append("generation", generation)
    members.append("release", release)
    members.append("operation", operation)
    members.append("from", from)
    members.append("to", to)
    members.append("reason", reason)
    members.append("pid", pid)
    return .object(members)
  }
}

/// One variable of an engine's environment, by name; the value only for those who may see it.
package struct EnvironmentVariable: Hashable, Sendable, JSONValue {
  package var name: String
  package var value: String?

  package init(name: String, value: String?) {
    self.name = name
    self.value = value
  }

  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(name: try fields.required("name"), value: try fields.optional("value"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("name", name)
    members.append("value", value)
    return .object(members)
  }
}
