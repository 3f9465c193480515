/// Why a text is not an address, in words a settings error can use.
package struct SocketAddressError: Error, Hashable, Sendable, CustomStringConvertible {
  package let text: String
  package let reason: String
  /// What would have been accepted, with examples.
  package static let accepted =
    "\"0.0.0.0:8000\", \"[::]:8000\", \"*:8000\" (v4 and v6), \"localhost:8000\" or an absolute path, "
    + "with \"udp:\" in front for datagrams"
  package var description: String { "\"\(text)\" is not an address: \(reason)" }
}

extension SocketAddress: CustomStringConvertible {
  /// Longest path that fits `sun_path` with its terminator. Source: unix(7).
  package static let pathLimit = 107

  /// Reads the form of settings. Names are not looked up, except `localhost`, which means 127.0.0.1: a supervisor does
  /// not wait for a name server.
  package init(text: String) throws(SocketAddressError) {
    if text.hasPrefix("udp:") {
      let rest = String(text.dropFirst(4))
      guard !rest.hasPrefix("/") else {
        throw SocketAddressError(text: text, reason: "datagrams are taken on ports only, not on paths")
      }
      self = .udp(try InternetAddress(rest, in: text))
    } else if text.hasPrefix("/") {
      self = .unix(path: try Self.checkedPath(text))
    } else {
      self = .tcp(try InternetAddress(text, in: text))
    }
  }

  /// Reads back with ``init(text:)``.
  package var text: String {
    switch self {
    case .tcp(let address): address.text
    case .udp(let address): "udp:" + address.text
    case .unix(let path): path
    }
  }

  package var description: String { text }

  private static func checkedPath(_ text: String) throws(SocketAddressError) -> String {
    guard text.utf8.count <= pathLimit else {
      throw SocketAddressError(text: text, reason: "a socket's path has at most \(pathLimit) bytes")
    }
    guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
      throw SocketAddressError(text: text, reason: "a path has no control characters")
    }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
    guard parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else {
      throw SocketAddressError(text: text, reason: "the path has an empty part, \".\" or \"..\"")
    }
    return text
  }
}

extension SocketAddress.InternetAddress {
  /// `whole` is what an error shows.
  fileprivate init(_ text: String, in whole: String) throws(SocketAddressError) {
    func refusal(_ reason: String) -> SocketAddressError { SocketAddressError(text: whole, reason: reason) }
    guard let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") else {
      if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
        throw refusal("a port alone does not say where; \"*:\(text)\" is every address of the host")
      }
      if text.hasPrefix("@") { throw refusal("abstract sockets have no owner and no mode, so they are not supported") }
      throw refusal("it has neither a port nor a leading \"/\"")
    }
    let host = text[..<colon]
    let digits = text[text.index(after: colon)...]
    self.host = try Self.host(host, refusal: refusal)
    guard let port = Self.port(digits) else {
      throw refusal("port \"\(digits)\" is out of range; a port is a number from 0 to 65535")
    }
    self.port = port
  }

  private static func port(_ digits: Substring) -> UInt16? {
    guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      digits == "0" || !digits.hasPrefix("0")
    else { return nil }
    return UInt16(digits)
  }

  private static func host(
    _ text: Substring, refusal: (String) -> SocketAddressError
  ) throws(SocketAddressError) -> Host {
    if text == "*" { return .any }
    if text == "localhost" { return .v4([127, 0, 0, 1]) }
    if text.isEmpty { throw refusal("the host is missing; \"*\" is every address of the host") }
    if text.hasPrefix("[") {
      let inner = text.dropFirst().dropLast()
      guard text.hasSuffix("]"), let bytes = AddressText.bytes(inner) else {
        throw refusal(
          inner.contains("%") ? "scopes such as %eth0 are not supported" : "\"\(inner)\" is not an IPv6 address")
      }
      guard !AddressText.isMapped(bytes) else { throw refusal("write an IPv4 address without the \"::ffff:\"") }
      return .v6(bytes)
    }
    if let bytes = AddressText.v4Bytes(text) { return .v4(bytes) }
    if text.contains(":") { throw refusal("an IPv6 address stands in brackets: \"[\(text)]:PORT\"") }
    throw refusal("\"\(text)\" is not an IPv4 address, and host names are not looked up")
  }

  /// Without the port and without brackets; `*` for any.
  package var hostText: String {
    switch host {
    case .v4(let bytes): bytes.map { String($0) }.joined(separator: ".")
    case .v6(let bytes): AddressText.text(bytes)
    case .any: "*"
    }
  }

  package var text: String {
    switch host {
    case .v4(let bytes): bytes.map { String($0) }.joined(separator: ".") + ":\(port)"
    case .v6(let bytes): "[\(AddressText.text(bytes))]:\(port)"
    case .any: "*:\(port)"
    }
  }

  /// Whether binding both would take the same port twice. Port 0 is never taken twice.
  package func overlaps(_ other: Self) -> Bool {
    guard port == other.port, port != 0 else { return false }
    if host == other.host || host == .any || other.host == .any { return true }
    switch (host, other.host) {
    case (.v4(let left), .v4(let right)), (.v6(let left), .v6(let right)):
      return left.allSatisfy { $0 == 0 } || right.allSatisfy { $0 == 0 }
    case (.v4, .v6), (.v6, .v4), (.any, _), (_, .any):
      return false
    }
  }
}

extension SocketAddress {
  /// Whether both cannot be bound at once.
  package func overlaps(_ other: SocketAddress) -> Bool {
    switch (self, other) {
    case (.tcp(let left), .tcp(let right)), (.udp(let left), .udp(let right)): left.overlaps(right)
    case (.unix(let left), .unix(let right)): left == right
    case (.tcp, _), (.udp, _), (.unix, _): false
    }
  }
}

/// Addresses as text without a resolver. Source: RFC 4291 §2.2 (forms), RFC 5952 §4 (the one form printed).
private enum AddressText {
  static func v4Bytes(_ text: Substring) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var bytes: [UInt8] = []
    for part in parts {
      guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
        part == "0" || !part.hasPrefix("0"), let byte = UInt8(part)
      else { return nil }
      bytes.append(byte)
    }
    return bytes
  }

  static func isMapped(_ bytes: [UInt8]) -> Bool {
    bytes.count == 16 && bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
  }

  static func bytes(_ text: Substring) -> [UInt8]? {
    guard text.utf8.count <= 45 else { return nil }
    // Around the one "::", if there is one.
    let halves = splitAtDoubleColon(text)
    guard let head = groups(halves.head, mayEndInV4: halves.tail == nil) else { return nil }
    guard let tailText = halves.tail else { return head.count == 16 ? head : nil }
    guard let tail = groups(tailText, mayEndInV4: true), head.count + tail.count <= 14 else { return nil }
    return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
  }

  private static func splitAtDoubleColon(_ text: Substring) -> (head: Substring, tail: Substring?) {
    var previous: Substring.Index?
    for index in text.indices {
      if text[index] == ":", let previous, text[previous] == ":" {
        return (text[..<previous], text[text.index(after: index)...])
      }
      previous = index
    }
    return (text, nil)
  }

  private static func groups(_ text: Substring, mayEndInV4: Bool) -> [UInt8]? {
    if text.isEmpty { return [] }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    var bytes: [UInt8] = []
    for (index, part) in parts.enumerated() {
      if mayEndInV4, index == parts.count - 1, part.contains(".") {
        guard let v4 = v4Bytes(part) else { return nil }
        bytes += v4
      } else {
        guard (1...4).contains(part.utf8.count), part.first != "+", part.first != "-",
          let group = UInt16(part, radix: 16)
        else { return nil }
        bytes += [UInt8(group >> 8), UInt8(group & 0xFF)]
      }
    }
    return bytes.count <= 16 ? bytes : nil
  }

  static func text(_ bytes: [UInt8]) -> String {
    guard bytes.count == 16 else { return "?" }
    let groups = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
    let zeros = longestZeros(groups)
    let hex = { (part: ArraySlice<UInt16>) in part.map { String($0, radix: 16) }.joined(separator: ":") }
    guard zeros.count >= 2 else { return hex(groups[...]) }
    return hex(groups[..<zeros.lowerBound]) + "::" + hex(groups[zeros.upperBound...])
  }

  /// The first of the longest runs of zero groups.
  private static func longestZeros(_ groups: [UInt16]) -> Range<Int> {
    var best = 0..<0
    var start = 0
    for (index, group) in groups.enumerated() {
      if group != 0 {
        start = index + 1
      } else if index + 1 - start > best.count {
        best = start..<(index + 1)
      }
    }
    return best
  }
}
