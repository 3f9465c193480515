/// Why a text is not a name.
package struct NameError: Error, Hashable, Sendable, CustomStringConvertible {
  package let text: String
  package let kind: String

  package var description: String {
    "\"\(text)\" is not a \(kind) name: it takes 1 to 64 of a-z 0-9 - _ and starts with a letter or digit"
  }
}

/// A name a person gives in the settings. One form for all, so that it fits unit names, file names and FDNAME= alike.
package protocol Name: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible
where RawValue == String {
  static var kind: String { get }
  init(unchecked text: String)
}

extension Name {
  /// Throws ``NameError`` unless `text` has the form of a name.
  package init(_ text: String) throws(NameError) {
    guard Self.isValid(text) else { throw NameError(text: text, kind: Self.kind) }
    self.init(unchecked: text)
  }

  package init?(rawValue: String) {
    guard Self.isValid(rawValue) else { return nil }
    self.init(unchecked: rawValue)
  }

  package var description: String { rawValue }
  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

  private static func isValid(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    guard let first = bytes.first, bytes.count <= 64 else { return false }
    let isAlphanumeric = { (byte: UInt8) in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
    return isAlphanumeric(first)
      && bytes.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
  }
}

/// One application under one `batond`: the NAME of `baton@NAME.service` and `/etc/baton/NAME.toml`.
package struct ServiceName: Name {
  package static let kind = "service"
  package let rawValue: String
  package init(unchecked text: String) { rawValue = text }
}

/// A program of the service, run as one or more workers: `[engine.NAME]`.
package struct EngineName: Name {
  package static let kind = "engine"
  package let rawValue: String
  package init(unchecked text: String) { rawValue = text }
}

/// An address the service answers on: `[socket.NAME]`, and the name a worker finds in `LISTEN_FDNAMES`.
package struct SocketName: Name {
  package static let kind = "socket"
  package let rawValue: String
  package init(unchecked text: String) { rawValue = text }
}

/// An exclusive right that one of several hosts has at a time: `lease = "NAME"` of an engine, `baton lock run NAME`.
package struct LeaseName: Name {
  package static let kind = "lease"
  package let rawValue: String
  package init(unchecked text: String) { rawValue = text }
}
