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
