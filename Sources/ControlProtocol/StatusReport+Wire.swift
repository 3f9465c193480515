package import JSON

// The names and order of fields here are those of io.baton.Service.varlink; a test compares them.

extension StatusReport: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      service: try fields.required("service"), description: try fields.required("description"),
      state: try fields.required("state"), text: try fields.required("text"),
      since: try fields.required("sinceUsec"), supervisor: try fields.required("supervisor"),
      serving: try fields.optional("serving"), release: try fields.optional("release"),
      engines: try fields.required("engines"), sockets: try fields.required("sockets"),
      handover: try fields.optional("handover"), lastHandover: try fields.optional("lastHandover"),
      draining: try fields.required("draining"), drains: try fields.optional("drains"),
      connectionsCut: try fields.optional("connectionsCut"), cutsUncounted: try fields.optional("cutsUncounted"),
      liveReleases: try fields.optional("liveReleases"),
      leases: try fields.optional("leases"), warnings: try fields.required("warnings"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("service", service)
    members.append("description", description)
    members.append("state", state)
    members.append("text", text)
    members.append("sinceUsec", since)
    members.append("supervisor", supervisor)
    members.append("serving", serving)
    members.append("release", release)
    members.append("engines", engines)
    members.append("sockets", sockets)
    members.append("handover", handover)
    members.append("lastHandover", lastHandover)
    members.append("draining", draining)
    members.append("drains", drains)
    members.append("connectionsCut", connectionsCut)
    members.append("cutsUncounted", cutsUncounted)
    members.append("liveReleases", liveReleases)
    members.append("leases", leases)
    members.append("warnings", warnings)
    return .object(members)
  }
}

extension StatusReport.Drain: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      generation: try fields.required("generation"), release: try fields.required("release"),
      since: try fields.required("sinceUsec"), until: try fields.required("untilUsec"),
      workers: try fields.required("workers"), connections: try fields.optional("connections"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("generation", generation)
    members.append("release", release)
    members.append("sinceUsec", since)
    members.append("untilUsec", until)
    members.append("workers", workers)
    members.append("connections", connections)
    return .object(members)
  }
}

extension StatusReport.Supervisor: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      pid: try fields.required("pid"), version: try fields.required("version"),
      uptime: try fields.required("uptimeMs"), rss: try fields.required("rss"),
      steering: try fields.required("steering"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("pid", pid)
    members.append("version", version)
    members.append("uptimeMs", uptime)
    members.append("rss", rss)
    members.append("steering", steering)
    return .object(members)
  }
}

extension StatusReport.Engine: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      name: try fields.required("name"), state: try fields.required("state"), wanted: try fields.required("wanted"),
      ready: try fields.required("ready"), sockets: try fields.required("sockets"),
      handover: try fields.required("handover"), stage: try fields.required("stage"),
      workers: try fields.required("workers"), command: try fields.optional("command"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("name", name)
    members.append("state", state)
    members.append("wanted", wanted)
    members.append("ready", ready)
    members.append("sockets", sockets)
    members.append("handover", handover)
    members.append("stage", stage)
    members.append("workers", workers)
    members.append("command", command)
    return .object(members)
  }
}

extension StatusReport.Worker: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      label: try fields.required("label"), pid: try fields.optional("pid"),
      generation: try fields.required("generation"), state: try fields.required("state"),
      since: try fields.required("sinceUsec"), restarts: try fields.required("restarts"),
      memory: try fields.optional("memory"), status: try fields.optional("status"),
      lastExit: try fields.optional("lastExit"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("label", label)
    members.append("pid", pid)
    members.append("generation", generation)
    members.append("state", state)
    members.append("sinceUsec", since)
    members.append("restarts", restarts)
    members.append("memory", memory)
    members.append("status", status)
    members.append("lastExit", lastExit)
    return .object(members)
  }
}

extension StatusReport.Socket: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      name: try fields.required("name"), address: try fields.required("address"),
      listeners: try fields.required("listeners"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("name", name)
    members.append("address", address)
    members.append("listeners", listeners)
    return .object(members)
  }
}

extension StatusReport.Listener: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      generation: try fields.optional("generation"), queue: try fields.required("queue"),
      steered: try fields.required("steered"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("generation", generation)
    members.append("queue", queue)
    members.append("steered", steered)
    return .object(members)
  }
}

extension StatusReport.Handover: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      operation: try fields.required("operation"), phase: try fields.required("phase"),
      from: try fields.optional("from"), to: try fields.required("to"), release: try fields.optional("release"),
      since: try fields.required("sinceUsec"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("operation", operation)
    members.append("phase", phase)
    members.append("from", from)
    members.append("to", to)
    members.append("release", release)
    members.append("sinceUsec", since)
    return .object(members)
  }
}

extension StatusReport.LastHandover: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      operation: try fields.required("operation"), outcome: try fields.required("outcome"),
      reason: try fields.required("reason"), from: try fields.optional("from"), to: try fields.required("to"),
      took: try fields.required("tookMs"), ended: try fields.required("endedUsec"))
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("operation", operation)
    members.append("outcome", outcome)
    members.append("reason", reason)
    members.append("from", from)
    members.append("to", to)
    members.append("tookMs", took)
    members.append("endedUsec", ended)
    return .object(members)
  }
}
