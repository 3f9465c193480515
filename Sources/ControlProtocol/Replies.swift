package import JSON

/// What Reload, Restart, Scale and Stop reply: news, or in the last reply the verdict.
package struct ActReply: Hashable, Sendable, JSONValue {
  package var progress: Progress?
  package var verdict: VerdictReport?

  package init(progress: Progress? = nil, verdict: VerdictReport? = nil) {
    self.progress = progress
    self.verdict = verdict
  }

  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(progress: try fields.optional("progress"), verdict: try fields.optional("verdict"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("progress", progress)
    members.append("verdict", verdict)
    return .object(members)
  }
}

/// What Probe replies. The socket itself comes beside it.
package struct ProbeReply: Hashable, Sendable, JSONValue {
  /// An IP address, and the port there; nil for a Unix socket.
  package var host: String?
  package var port: Int?
  package var path: String?
  /// The place of the socket among the descriptors that came with the reply.
  package var descriptor: Int?

  package init(host: String, port: Int) {
    self.host = host
    self.port = port
    descriptor = 0
  }

  package init(path: String) { self.path = path }

  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    host = try fields.optional("host")
    port = try fields.optional("port")
    path = try fields.optional("path")
    descriptor = try fields.optional("descriptor")
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("host", host)
    members.append("port", port)
    members.append("path", path)
    members.append("descriptor", descriptor)
    return .object(members)
  }
}

/// A reply that says nothing but yes.
package struct EmptyReply: Hashable, Sendable, JSONValue {
  package init() {}
  package init(json: JSON) throws(ShapeError) { _ = try Fields(json) }
  package var json: JSON { [:] }
}

/// What Signal replies: who got it.
package struct SignalReply: Hashable, Sendable, JSONValue {
  package var workers: [String]
  package init(workers: [String]) { self.workers = workers }

  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    workers = try fields.required("workers")
  }

  package var json: JSON { ["workers": workers.json] }
}

/// What Events replies.
package struct EventsReply: Hashable, Sendable, JSONValue {
  package var events: [EventReport]
  package init(events: [EventReport]) { self.events = events }

  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    events = try fields.required("events")
  }

  package var json: JSON { ["events": events.json] }
}

/// What Environment replies.
package struct EnvironmentReply: Hashable, Sendable, JSONValue {
  package var variables: [EnvironmentVariable]
  package init(variables: [EnvironmentVariable]) { self.variables = variables }

  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    variables = try fields.required("variables")
  }

  package var json: JSON { ["variables": variables.json] }
}
