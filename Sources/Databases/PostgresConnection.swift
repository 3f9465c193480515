import CPostgres
import Glibc
package import LinuxSystem
import Vocabulary

/// A connection to a PostgreSQL server, for one thread. Every call waits at most as long as its patience lasts, and ends
/// at once when a person asks for it: what runs on the server is cancelled then. Source: libpq's documentation, §34.4.
package final class PostgresConnection {
  private let library: cpg_library
  private let handle: OpaquePointer
  private let address: DatabaseAddress
  private var notices = NoticeBox()

  /// Connects. `url` may hold a password: it goes to libpq in memory, never to a command line or a message.
  package init(_ address: DatabaseAddress, url: String, name: String, _ patience: DatabasePatience)
    throws(DatabaseError)
  {
    self.address = address
    var reason: UnsafePointer<CChar>?
    guard let library = cpg_load(&reason)?.pointee else {
      var error = DatabaseError(
        .connection, "libpq cannot be opened: \(reason.map { String(cString: $0) } ?? "no reason")")
      error.hint = "install the package libpq5"
      throw error
    }
    self.library = library
    // What stands later wins: the URL can say otherwise.
    let parameters = [
      ("fallback_application_name", name), ("keepalives_idle", "30"), ("keepalives_interval", "10"),
      ("keepalives_count", "3"), ("dbname", url),
    ]
    guard let handle = Self.start(library, parameters) else { throw DatabaseError(.connection, "no memory for libpq") }
    do throws(DatabaseError) {
      try Self.connect(library, handle, patience)
    } catch {
      // libpq's own words are read before it goes.
      var error = error
      if error.message.isEmpty { error.message = address.scrub(Self.line(library.PQerrorMessage(handle))) }
      library.PQfinish(handle)
      throw error
    }
    self.handle = handle
    _ = library.PQsetnonblocking(handle, 1)
    _ = library.PQsetNoticeReceiver(
      handle, { box, result in PostgresConnection.receive(box, result) }, Unmanaged.passUnretained(notices).toOpaque())
  }

  deinit { library.PQfinish(handle) }

  private static func start(_ library: cpg_library, _ parameters: [(String, String)]) -> OpaquePointer? {
    let texts = (parameters.map(\.0), parameters.map(\.1))
    let keys = texts.0.map { strdup($0) } + [nil]
    let values = texts.1.map { strdup($0) } + [nil]
    defer { for pointer in keys + values { free(pointer) } }
    return keys.map { UnsafePointer($0) }.withUnsafeBufferPointer { keys in
      values.map { UnsafePointer($0) }.withUnsafeBufferPointer { values in
        library.PQconnectStartParams(keys.baseAddress, values.baseAddress, 1)
      }
    }
  }

  /// An empty message stands for libpq's.
  private static func connect(
    _ library: cpg_library, _ handle: OpaquePointer, _ patience: DatabasePatience
  ) throws(DatabaseError) {
    var wanted = POLLOUT
    if library.PQstatus(handle) == CONNECTION_BAD { throw DatabaseError(.connection, "") }
    while true {
      switch patience.wait(library.PQsocket(handle), wanted) {
      case .ready: break
      case .aborted: throw DatabaseError(.aborted, "a person asked for the end")
      case .late: throw DatabaseError(.connection, "no answer in time")
      }
      switch library.PQconnectPoll(handle) {
      case PGRES_POLLING_OK: return
      case PGRES_POLLING_READING: wanted = POLLIN
      case PGRES_POLLING_WRITING: wanted = POLLOUT
      default: throw DatabaseError(.connection, "")
      }
    }
  }

  private func connectionError() -> DatabaseError {
    DatabaseError(.connection, oneLine(library.PQerrorMessage(handle)))
  }

  /// `150004` is 15.4.
  package var serverVersion: Int32 { library.PQserverVersion(handle) }

  package var isInTransaction: Bool {
    let status = library.PQtransactionStatus(handle)
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR
  }

  /// What the server remarked since the last time; at most ``NoticeBox/limit``.
  package func takeNotices() -> [String] {
    defer { notices.lines = [] }
    return notices.lines
  }

  // MARK: Queries

  package struct Answer {
    package var rows: [[String?]] = []
    /// `COMMIT`, `INSERT 0 1`
    package var tag = ""
  }

  /// Runs exactly one statement: the extended protocol refuses two, so that what was looked at is what runs.
  @discardableResult
  package func query(_ sql: String, _ parameters: [String?] = [], _ patience: DatabasePatience) throws(DatabaseError)
    -> Answer
  {
    let values = parameters.map { $0.map { strdup($0) } ?? nil }
    defer { for value in values { free(value) } }
    let sent = values.map { UnsafePointer($0) }.withUnsafeBufferPointer { values in
      library.PQsendQueryParams(handle, sql, Int32(values.count), nil, values.baseAddress, nil, nil, 0)
    }
    guard sent == 1 else { throw connectionError() }
    return try receive(sql, patience)
  }

  private func receive(_ sql: String, _ patience: DatabasePatience) throws(DatabaseError) -> Answer {
    var answer = Answer()
    var failure: DatabaseError?
    while true {
      try awaitResult(patience)
      guard let result = library.PQgetResult(handle) else { break }
      defer { library.PQclear(result) }
      switch library.PQresultStatus(result) {
      case PGRES_COMMAND_OK: answer.tag = oneLine(library.PQcmdStatus(result))
      case PGRES_TUPLES_OK:
        answer.tag = oneLine(library.PQcmdStatus(result))
        answer.rows = rows(result)
      case PGRES_EMPTY_QUERY: break
      case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
        // Not to be had through this protocol's end; the connection is of no use any more.
        throw DatabaseError(.connection, "the statement wants a stream of rows")
      default: failure = failure ?? error(result, sql)
      }
    }
    if let failure { throw failure }
    return answer
  }

  /// Rows of what baton itself asks, or of a migration's SELECT, whose rows nobody reads: so many are enough.
  private static let rowLimit: Int32 = 100_000

  private func rows(_ result: OpaquePointer) -> [[String?]] {
    (0..<min(library.PQntuples(result), Self.rowLimit)).map { row in
      (0..<library.PQnfields(result)).map { column in
        if library.PQgetisnull(result, row, column) == 1 { return nil }
        return library.PQgetvalue(result, row, column).map { String(cString: $0) }
      }
    }
  }

  /// Waits until a result is there; cancels the query when the wait has to end.
  private func awaitResult(_ patience: DatabasePatience) throws(DatabaseError) {
    var patience = patience
    var ending: DatabaseError?
    while true {
      let flushed = library.PQflush(handle)
      if flushed < 0 { throw connectionError() }
      if flushed == 0, library.PQisBusy(handle) == 0 { break }
      switch patience.wait(library.PQsocket(handle), flushed > 0 ? POLLIN | POLLOUT : POLLIN) {
      case .ready:
        guard library.PQconsumeInput(handle) == 1 else { throw ending ?? connectionError() }
      case .aborted where ending != nil, .late where ending != nil: throw ending ?? connectionError()
      case .aborted:
        ending = DatabaseError(.aborted, "a person asked for the end")
        cancel()
        patience = DatabasePatience(.seconds(5), abort: nil)
      case .late:
        ending = DatabaseError(.timedOut, "it took too long")
        cancel()
        patience = DatabasePatience(.seconds(5), abort: nil)
      }
    }
    if let ending {
      // The answer to what was cancelled; the connection can be used again.
      while let result = library.PQgetResult(handle) { library.PQclear(result) }
      throw ending
    }
  }

  private func cancel() {
    guard let cancel = library.PQgetCancel(handle) else { return }
    var words = [CChar](repeating: 0, count: 256)
    _ = library.PQcancel(cancel, &words, Int32(words.count))
    library.PQfreeCancel(cancel)
  }

  // MARK: Notifications

  /// A second number for the connection's socket: readable when the server has something to say.
  package func socket() throws(SystemError) -> Descriptor {
    let raw = library.PQsocket(handle)
    return Descriptor(owning: try retrying("duplicate", "fd \(raw)") { fcntl(raw, F_DUPFD_CLOEXEC, 0) })
  }

  /// What `LISTEN` brought since the last time: the payload of each NOTIFY.
  package func takeNotifications() throws(DatabaseError) -> [String] {
    guard library.PQconsumeInput(handle) == 1 else { throw connectionError() }
    var payloads: [String] = []
    while let notification = library.PQnotifies(handle) {
      payloads.append(notification.pointee.extra.map { String(cString: $0) } ?? "")
      library.PQfreemem(notification)
    }
    return payloads
  }

  // MARK: Words of the server

  private func error(_ result: OpaquePointer, _ sql: String) -> DatabaseError {
    let state = field(result, CPG_STATE)
    let kind: DatabaseError.Kind =
      switch state {
      case "55P03": .locked
      case "57014": .timedOut
      case let state? where state.hasPrefix("08") || state.hasPrefix("57P"): .connection
      case nil: .connection
      default: .statement
      }
    var error = DatabaseError(
      kind, field(result, CPG_MESSAGE) ?? oneLine(library.PQresultErrorMessage(result)))
    error.code = state
    error.detail = field(result, CPG_DETAIL)
    error.hint = field(result, CPG_HINT)
    if let text = field(result, CPG_POSITION), let place = Int(text), place > 0 {
      // Counted in characters, which are scalars in UTF-8.
      error.offset = String(sql.unicodeScalars.prefix(place - 1)).utf8.count
    }
    return error
  }

  private func field(_ result: OpaquePointer, _ field: cpg_field) -> String? {
    library.PQresultErrorField(result, Int32(field.rawValue)).map { oneLine($0) }
  }

  private func oneLine(_ text: UnsafePointer<CChar>?) -> String {
    address.scrub(Self.line(text))
  }

  private static func line(_ text: UnsafePointer<CChar>?) -> String {
    guard let text else { return "" }
    return String(cString: text).split(whereSeparator: \.isNewline).joined(separator: "; ")
  }

  private static func receive(_ box: UnsafeMutableRawPointer?, _ result: OpaquePointer?) {
    guard let box, let result, let library = cpg_load(nil)?.pointee else { return }
    let notices = Unmanaged<NoticeBox>.fromOpaque(box).takeUnretainedValue()
    guard notices.lines.count < NoticeBox.limit else { return }
    let severity = line(library.PQresultErrorField(result, Int32(CPG_SEVERITY.rawValue)))
    notices.lines.append("\(severity): \(line(library.PQresultErrorField(result, Int32(CPG_MESSAGE.rawValue))))")
  }
}

/// Where libpq's callback leaves the server's remarks.
private final class NoticeBox {
  static let limit = 100
  var lines: [String] = []
}
