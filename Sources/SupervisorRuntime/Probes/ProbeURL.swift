package import Vocabulary

/// Why a text is not a URL that batond itself can ask, in words a settings error can use.
package struct ProbeURLError: Error, Hashable, Sendable, CustomStringConvertible {
  package let text: String
  package let reason: String
  /// What would have been accepted, with examples.
  package static let accepted =
    "\"http://127.0.0.1:8000/health\", \"http://[::1]:8000/health\", \"http://localhost:8000/health\" "
    + "or \"unix:/run/app.sock:/health\""
  package var description: String { "\"\(text)\" is not a URL that can be asked here: \(reason)" }
}

/// A URL of this host, in the forms of settings: plain HTTP on loopback, or `unix:SOCKET:/path`.
package struct ProbeURL: Hashable, Sendable, CustomStringConvertible {
  package let target: ProbeTarget
  /// With the query, and never empty.
  package let path: String
  /// For the `Host` field.
  package let host: String

  /// Names are not looked up; `localhost` is 127.0.0.1.
  package init(text: String) throws(ProbeURLError) {
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
      throw ProbeURLError(text: text, reason: "it contains a space or a control character")
    }
    guard !text.contains("#") else {
      throw ProbeURLError(text: text, reason: "what follows \"#\" is never sent to a server")
    }
    if text.hasPrefix("unix:") {
      self = try Self(socket: text.dropFirst(5), in: text)
    } else if text.hasPrefix("http://") {
      self = try Self(authority: text.dropFirst(7), in: text)
    } else if text.hasPrefix("https://") {
      throw ProbeURLError(text: text, reason: "TLS is not spoken here; ask on loopback with http://, or by a command")
    } else {
      throw ProbeURLError(text: text, reason: "it starts with neither \"http://\" nor \"unix:\"")
    }
  }

  private init(target: ProbeTarget, path: String, host: String) {
    self.target = target
    self.path = path
    self.host = host
  }

  private init(socket rest: Substring, in text: String) throws(ProbeURLError) {
    let colon = rest.firstIndex(of: ":")
    let socket = rest[..<(colon ?? rest.endIndex)]
    let path = colon.map { rest[rest.index(after: $0)...] } ?? "/"
    guard path.hasPrefix("/") else {
      throw ProbeURLError(text: text, reason: "the path behind the socket's \":\" starts with \"/\"")
    }
    guard socket.hasPrefix("/"), socket.utf8.count <= SocketAddress.pathLimit else {
      throw ProbeURLError(
        text: text, reason: "a socket's path is absolute and at most \(SocketAddress.pathLimit) bytes long")
    }
    self = Self(target: .unix(path: String(socket)), path: String(path), host: "localhost")
  }

  private init(authority rest: Substring, in text: String) throws(ProbeURLError) {
    let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
    let authority = rest[..<end]
    let path = rest[end...]
    guard !authority.contains("@") else {
      throw ProbeURLError(text: text, reason: "a user and password in a URL are not supported")
    }
    let hasPort = authority.contains(":") && !authority.hasSuffix("]")
    let address: SocketAddress
    do throws(SocketAddressError) {
      address = try SocketAddress(text: hasPort ? String(authority) : "\(authority):80")
    } catch { throw ProbeURLError(text: text, reason: error.reason) }
    guard case .tcp(let place) = address, place.isLoopback else {
      throw ProbeURLError(text: text, reason: "\(authority) is not a loopback address")
    }
    guard place.port != 0 else { throw ProbeURLError(text: text, reason: "nothing answers on port 0") }
    self = Self(
      target: .tcp(place), path: path.hasPrefix("/") ? String(path) : "/\(path)", host: String(authority))
  }

  package var description: String {
    switch target {
    case .tcp: "http://\(host)\(path)"
    case .unix(let socket): "unix:\(socket):\(path)"
    }
  }
}

extension SocketAddress.InternetAddress {
  /// 127.0.0.0/8 or ::1.
  package var isLoopback: Bool {
    switch host {
    case .v4(let bytes): bytes.first == 127
    case .v6(let bytes): bytes.last == 1 && bytes.dropLast().allSatisfy { $0 == 0 }
    case .any: false
    }
  }
}
