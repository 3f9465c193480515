internal import Vocabulary

/// Where a Redis answers: `redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]`, or `redis+unix:///PATH[?db=N]`.
package struct RedisAddress: Hashable, Sendable, CustomStringConvertible {
  package enum Place: Hashable, Sendable {
    case host(String, port: UInt16)
    case path(String)
  }

  package let place: Place
  package let database: Int
  package let user: String?
  /// Secret.
  package let password: String?
  /// In front of every key. The braces keep all of them in one slot of a cluster.
  package let prefix = "{baton}:"

  /// Without user and password.
  package var description: String {
    switch place {
    case .host(let host, let port): "redis://\(host.contains(":") ? "[\(host)]" : host):\(port)/\(database)"
    case .path(let path): "redis+unix://\(path)" + (database == 0 ? "" : "?db=\(database)")
    }
  }

  /// - Throws: in words that hold nothing of `text` but its kind: the rest may be secret.
  package init(_ text: String) throws(StoreError) {
    let subject = "the store's URL"
    func refuse(_ why: String, next: String? = nil) -> StoreError {
      StoreError(subject, why, next: next ?? "it is redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]")
    }
    guard let colon = text.firstRange(of: "://") else { throw refuse("has no kind") }
    var rest = text[colon.upperBound...]
    switch text[..<colon.lowerBound] {
    case "redis": break
    case "redis+unix": break
    case "rediss":
      throw refuse(
        "TLS is not spoken here",
        next: "let stunnel or spiped on this host carry it, and name their port: redis://127.0.0.1:PORT")
    default: throw refuse("is not of a kind that is known")
    }
    var (user, password): (String?, String?)
    if let at = rest.lastIndex(of: "@") {
      let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard let first = PercentEncoding.decoded(parts[0]),
        let second = PercentEncoding.decoded(parts.count > 1 ? parts[1] : "")
      else {
        throw refuse("a % in user or password is not followed by two digits", next: "write % itself as %25")
      }
      user = first.isEmpty ? nil : first
      password = parts.count > 1 ? second : nil
      rest = rest[rest.index(after: at)...]
    }
    self.user = user
    self.password = password
    let number: Substring
    if text.hasPrefix("redis+unix") {
      let parts = rest.split(separator: "?", maxSplits: 1)
      guard let path = parts.first, path.hasPrefix("/"), parts.count == 1 || parts[1].hasPrefix("db=") else {
        throw refuse("has no absolute path", next: "it is redis+unix:///PATH[?db=N]")
      }
      place = .path(String(path))
      number = parts.count > 1 ? parts[1].dropFirst(3) : "0"
    } else {
      let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
      guard let place = Self.host(parts[0]) else { throw refuse("names no host, or no port from 1 to 65535") }
      self.place = place
      number = parts.count > 1 && !parts[1].isEmpty ? parts[1] : "0"
    }
    guard let database = Int(number), (0..<65_536).contains(database) else {
      throw refuse("ends in what is no number of a database")
    }
    self.database = database
  }

  private static func host(_ text: Substring) -> Place? {
    var (name, port) = (text, Substring("6379"))
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]") else { return nil }
      name = text[text.index(after: text.startIndex)..<end]
      let behind = text[text.index(after: end)...]
      guard behind.isEmpty || behind.hasPrefix(":") else { return nil }
      if !behind.isEmpty { port = behind.dropFirst() }
    } else if let colon = text.lastIndex(of: ":") {
      name = text[..<colon]
      port = text[text.index(after: colon)...]
    }
    guard !name.isEmpty, let number = UInt16(port), number > 0 else { return nil }
    return .host(String(name), port: number)
  }
}
