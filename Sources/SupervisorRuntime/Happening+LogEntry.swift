package import Systemd
package import Vocabulary

extension Happening {
  /// For the journal, with the fields `baton logs` and people filter by; in front of a plain line stands the service.
  package func logEntry(service: ServiceName) -> LogEntry {
    var fields = FieldList(service: service)
    fields.add("BATON_ENGINE", (engine ?? worker?.engine)?.rawValue)
    fields.add("BATON_WORKER", worker?.label)
    fields.add("BATON_GENERATION", (generation ?? worker?.generation)?.description)
    fields.add("BATON_RELEASE", release?.text)
    fields.add("BATON_OPERATION", operation?.text)
    fields.add("BATON_FROM", from)
    fields.add("BATON_TO", to)
    fields.add("BATON_REASON", reason)
    fields.add("BATON_KIND", kind.rawValue)
    fields.add("SYSLOG_IDENTIFIER", "batond")
    fields.add("OBJECT_PID", pid.map { "\($0)" })
    return LogEntry(kind.priority, text, id: kind.messageID, fields: fields.all, origin: "\(service):")
  }
}

extension LogEntry {
  /// A line a worker printed.
  package static func printed(
    _ text: String, by worker: WorkerID, release: ReleaseID?, service: ServiceName, isError: Bool = false
  ) -> LogEntry {
    var fields = FieldList(service: service)
    fields.add("BATON_ENGINE", worker.engine.rawValue)
    fields.add("BATON_WORKER", worker.label)
    fields.add("BATON_GENERATION", "\(worker.generation)")
    fields.add("BATON_RELEASE", release?.text)
    fields.add("SYSLOG_IDENTIFIER", worker.label)
    fields.add("BATON_STREAM", isError ? "stderr" : "stdout")
    return LogEntry(.info, text, fields: fields.all, origin: "\(worker.label) g\(worker.generation) |")
  }
}

/// Leaves out what is not known.
private struct FieldList {
  private(set) var all: [LogField] = []

  init(service: ServiceName) { add("BATON_SERVICE", service.rawValue) }

  mutating func add(_ name: String, _ value: String?) {
    if let value, let field = LogField(name, value) { all.append(field) }
  }
}
