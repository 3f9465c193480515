/// The few things that must be known of a URL before libcurl, which parses it for good, sees it.
package struct WebAddress: Hashable, Sendable {
  package let scheme: String
  /// Without brackets, in lower case; empty for a Unix socket.
  package let host: String
  package let port: UInt16
  package let unixPath: String?
  /// For libcurl.
  let url: String

  /// nil when `text` is neither form.
  package init?(_ text: String) {
    guard text.utf8.count <= 8_192, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return nil }
    if text.hasPrefix("unix:") {
      let rest = text.dropFirst("unix:".count)
      guard rest.hasPrefix("/") else { return nil }
      let cut = rest.firstIndex(of: ":")
      let path = String(rest[..<(cut ?? rest.endIndex)])
      let query = cut.map { String(rest[rest.index(after: $0)...]) } ?? "/"
      guard path.utf8.count > 1, query.hasPrefix("/") else { return nil }
      (scheme, host, port, unixPath, url) = ("http", "", 0, path, "http://localhost" + query)
      return
    }
    guard let parts = Self.parts(text) else { return nil }
    (scheme, host, port, unixPath, url) = (parts.scheme, parts.host, parts.port, nil, text)
  }

  private static func parts(_ text: String) -> (scheme: String, host: String, port: UInt16)? {
    let scheme = ["http", "https"].first { text.lowercased().hasPrefix($0 + "://") }
    guard let scheme else { return nil }
    let rest = text.dropFirst(scheme.count + 3)
    let authority = rest.prefix { !"/?#".contains($0) }
    let place = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
    var host = place
    var port: Substring?
    if place.hasPrefix("[") {
      guard let end = place.firstIndex(of: "]") else { return nil }
      host = place[place.index(after: place.startIndex)..<end]
      let after = place[place.index(after: end)...]
      guard after.isEmpty || after.hasPrefix(":") else { return nil }
      port = after.isEmpty ? nil : after.dropFirst()
    } else if let colon = place.firstIndex(of: ":") {
      host = place[..<colon]
      port = place[place.index(after: colon)...]
    }
    guard !host.isEmpty else { return nil }
    guard let port else { return (scheme, host.lowercased(), scheme == "https" ? 443 : 80) }
    guard let number = UInt16(port), number > 0 else { return nil }
    return (scheme, host.lowercased(), number)
  }

  /// Without what may be secret: user name and password, query and fragment.
  static func plain(_ url: String) -> String {
    var text = url.prefix { $0 != "?" && $0 != "#" }
    if let slashes = text.firstRange(of: "://") {
      let authority = text[slashes.upperBound...].prefix { $0 != "/" }
      if let at = authority.lastIndex(of: "@") {
        text = text[..<slashes.upperBound] + text[text.index(after: at)...]
      }
    }
    return String(text)
  }
}
