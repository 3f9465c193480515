import Supervision
import SupervisorRuntime
import Systemd
import Vocabulary

/// Where messages and workers' lines go: to the journal with their fields, or as plain lines to stderr.
final class Logger {
  private let log: Log

  init(service: ServiceName) {
    log = Log.fromEnvironment(
      always: [LogField("SYSLOG_IDENTIFIER", "batond"), LogField("BATON_SERVICE", service.rawValue)].compactMap { $0 })
  }

  /// An entry that cannot be taken is counted by the log; the supervisor does not wait for it.
  func log(_ entry: History.Entry) {
    let happening = entry.happening
    var fields = happening.worker.map(Self.fields) ?? []
    if happening.worker == nil {
      fields += Self.field("BATON_ENGINE", happening.engine) + Self.field("BATON_GENERATION", happening.generation)
    }
    fields += Self.field("BATON_RELEASE", happening.release) + Self.field("BATON_OPERATION", happening.operation)
    fields += Self.field("BATON_FROM", happening.from) + Self.field("BATON_TO", happening.to)
    fields += Self.field("BATON_REASON", happening.reason) + Self.field("BATON_PID", happening.pid)
    _ = log.write(
      LogEntry(happening.kind.priority, happening.text, id: happening.kind.id, fields: fields, origin: "batond:"))
  }

  /// For people alone; nothing has happened.
  func note(_ text: String) { _ = log.write(LogEntry(.info, text, fields: [], origin: "batond:")) }

  func log(_ line: WorkerProcess.Line, of worker: WorkerID) {
    _ = log.write(
      LogEntry(
        line.isError ? .notice : .info, line.text, fields: Self.fields(worker),
        origin: "\(worker.label) g\(worker.generation) |"))
  }

  private static func fields(_ worker: WorkerID) -> [LogField] {
    field("BATON_ENGINE", worker.engine) + field("BATON_WORKER", worker.label)
      + field("BATON_GENERATION", worker.generation)
  }

  private static func field(_ name: String, _ value: (some CustomStringConvertible)?) -> [LogField] {
    value.flatMap { LogField(name, $0.description) }.map { [$0] } ?? []
  }
}
