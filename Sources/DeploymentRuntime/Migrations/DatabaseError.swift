import Deployment
import LinuxSystem

/// Why a database did not do what it was asked.
struct DatabaseError: InjectableError, Hashable {
  enum Kind: Hashable {
    /// It answered with an error.
    case statement
    /// Somebody held a lock for longer than was waited.
    case locked
    case timedOut
    /// It cannot be reached, or the connection broke: what was under way may have been done or not.
    case connection
    case aborted
    /// An error a test has put in.
    case injected
  }

  var kind: Kind
  var message: String
  /// SQLSTATE, or the name of SQLite's result.
  var code: String?
  var detail: String?
  var hint: String?
  /// Bytes from the beginning of the statement.
  var offset: Int?
  /// Where in its file.
  var place: String?

  init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  init(injected errno: Int32, into effect: Effect) {
    self.init(.injected, "\(effect.subject): \(ErrorNumber.name(errno)) \(ErrorNumber.text(errno))")
  }

  /// `004_a.sql:3:8: syntax error at or near "TABEL" (42601)`
  var text: String {
    var text = place.map { "\($0): \(message)" } ?? message
    if let code { text += " (\(code))" }
    return text
  }

  /// What a person reads below it.
  var lines: [String] { [detail.map { "detail: \($0)" }, hint.map { "hint: \($0)" }].compactMap { $0 } }

  func failure(_ what: String, next: String? = nil) -> StepFailure {
    let kind: StepFailure.Kind =
      switch self.kind {
      case .aborted: .aborted
      case .statement, .locked, .timedOut, .connection, .injected: .failed
      }
    return StepFailure(kind, "\(what): \(text)", next: next ?? remedy, lines: lines)
  }

  private var remedy: String? {
    switch kind {
    case .locked:
      "end what holds the lock, or deploy again at a quieter time; [migrate] lock-timeout is how long it waits"
    case .timedOut: "[migrate] statement-timeout and timeout are the limits"
    case .connection: "see that the database runs and that the deploy user may connect, then deploy again"
    case .statement, .aborted, .injected: nil
    }
  }
}
