package import Deployment
internal import Vocabulary

/// Where the migrations go. Its ``description`` holds no secret and may be shown.
package struct DatabaseAddress: Hashable, Sendable, CustomStringConvertible {
  package enum Kind: Hashable, Sendable {
    /// A URL as libpq reads it, the password in it.
    case postgres(url: String)
    /// An absolute path.
    case sqlite(path: String)
  }

  package let kind: Kind
  /// `postgres://app@db.example:5432/shop`: nothing but scheme, user, host and name.
  package let description: String
  /// What no message of a library may repeat.
  private let secrets: [String]

  package var dialect: SQLDialect {
    switch kind {
    case .postgres: .postgres
    case .sqlite: .sqlite
    }
  }

  /// `postgres://…`, `postgresql://…` (also with `+driver`, as Python's libraries write it), `sqlite:///path`.
  ///
  /// - Throws: a refusal that repeats nothing of `text` but its scheme.
  package init(_ text: String) throws(StepFailure) {
    guard let colon = text.firstRange(of: "://") else { throw Self.refusal("it has no \"://\"") }
    let scheme = text[..<colon.lowerBound].split(separator: "+", maxSplits: 1).first.map { $0.lowercased() } ?? ""
    let rest = text[colon.upperBound...]
    switch scheme {
    case "postgres", "postgresql":
      kind = .postgres(url: "postgresql://\(rest)")
      description = "postgres://" + Self.shown(rest)
      secrets = Self.secrets(in: rest)
    case "sqlite":
      let path = rest.prefix { $0 != "?" }
      guard path.hasPrefix("/"), let decoded = PercentEncoding.decoded(path), !decoded.contains("\0") else {
        throw Self.refusal("what follows sqlite:// is no absolute path")
      }
      let name = "/" + decoded.drop { $0 == "/" }
      kind = .sqlite(path: name)
      description = name
      secrets = []
    default: throw Self.refusal("its scheme is no database baton knows")
    }
  }

  private static func refusal(_ why: String) -> StepFailure {
    StepFailure(
      .refused, "the address of the database cannot be used: \(why)",
      next: "[migrate] database, or the variable database-variable names, is postgres://… or sqlite:///path")
  }

  /// The text without the password, raw and decoded, wherever a library may have put it.
  package func scrub(_ text: String) -> String { secrets.reduce(text) { $0.replacing($1, with: "***") } }

  // MARK: Parts of the URL

  /// `user:password@host:port/name?parameters` without password and parameters.
  private static func shown(_ rest: Substring) -> String {
    let body = rest.prefix { $0 != "?" && $0 != "#" }
    guard let at = authority(body).lastIndex(of: "@") else { return String(body) }
    let user = body[..<at].prefix { $0 != ":" }
    return "\(user)@\(body[body.index(after: at)...])"
  }

  private static func authority(_ body: Substring) -> Substring { body.prefix { $0 != "/" } }

  /// The passwords in a text that is a URL, raw and decoded: where the URL as a whole is a secret, they alone are too.
  package static func passwords(in text: String) -> [String] {
    guard let colon = text.firstRange(of: "://") else { return [] }
    return secrets(in: text[colon.upperBound...])
  }

  private static func secrets(in rest: Substring) -> [String] {
    var found: [Substring] = []
    let body = rest.prefix { $0 != "?" && $0 != "#" }
    if let at = authority(body).lastIndex(of: "@"), let colon = body[..<at].firstIndex(of: ":") {
      found.append(body[body.index(after: colon)..<at])
    }
    for parameter in rest.dropFirst(body.count).split(whereSeparator: { $0 == "?" || $0 == "&" }) {
      let parts = parameter.split(separator: "=", maxSplits: 1)
      if parts.count == 2, parts[0].lowercased().contains("password") { found.append(parts[1]) }
    }
    let all = found.map(String.init) + found.compactMap { PercentEncoding.decoded($0) }
    // The longest first: one may be part of another.
    return Set(all).filter { !$0.isEmpty }.sorted { ($0.utf8.count, $0) > ($1.utf8.count, $1) }
  }
}
