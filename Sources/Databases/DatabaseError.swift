/// Why a database did not do what it was asked.
package struct DatabaseError: Error, Hashable {
  package enum Kind: Hashable {
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

  package var kind: Kind
  package var message: String
  /// SQLSTATE, or the name of SQLite's result.
  package var code: String?
  package var detail: String?
  package var hint: String?
  /// Bytes from the beginning of the statement.
  package var offset: Int?
  /// Where in its file.
  package var place: String?

  package init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  /// `004_a.sql:3:8: syntax error at or near "TABEL" (42601)`
  package var text: String {
    var text = place.map { "\($0): \(message)" } ?? message
    if let code { text += " (\(code))" }
    return text
  }

  /// What a person reads below it.
  package var lines: [String] { [detail.map { "detail: \($0)" }, hint.map { "hint: \($0)" }].compactMap { $0 } }
}
