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
      fields += Self.field(Name.engine, happening.engine) + Self.field(Name.generation, happening.generation)
    }
    fields += Self.field(Name.release, happening.release) + Self.field(Name.operation, happening.operation)
    fields += Self.field(Name.from, happening.from) + Self.field(Name.to, happening.to)
    fields += Self.field(Name.reason, happening.reason) + Self.field(Name.pid, happening.pid)
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
    field(Name.engine, worker.engine) + field(Name.worker, worker.label)
      + field(Name.generation, worker.generation)
  }

  private static func field(_ name: LogFieldName?, _ value: (some CustomStringConvertible)?) -> [LogField] {
    guard let name, let value else { return [] }
    return [LogField(name, value.description)]
  }

  private enum Name {
    static let engine = LogFieldName("BATON_ENGINE")
    static let worker = LogFieldName("BATON_WORKER")
    static let generation = LogFieldName("BATON_GENERATION")
    static let release = LogFieldName("BATON_RELEASE")
    static let operation = LogFieldName("BATON_OPERATION")
    static let from = LogFieldName("BATON_FROM")
    static let to = LogFieldName("BATON_TO")
    static let reason = LogFieldName("BATON_REASON")
    static let pid = LogFieldName("BATON_PID")
  }
}
