/// Where something lies in a tree: relative to its top, any bytes but NUL. Empty for the top itself.
///
/// Ordered as a walk through sorted directories meets them: `a` before `a/b` before `a-b`.
package struct TreePath: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Names with `/` between them; none is empty, `.` or `..`.
  package let bytes: [UInt8]

  package static let top = TreePath(trusted: [])

  /// Bytes that are known to have the form.
  init(trusted bytes: [UInt8]) { self.bytes = bytes }

  /// nil unless it stays below the top: no `..`, not absolute, no NUL, at most 4,095 bytes. `./` and doubled or trailing
  /// slashes are dropped.
  package init?(_ bytes: some Collection<UInt8>) {
    guard bytes.count < 4_096, bytes.first != UInt8(ascii: "/"), !bytes.contains(0) else { return nil }
    let plain = Array(bytes)
    if Self.isPlain(plain) {
      self.bytes = plain
      return
    }
    let dot = UInt8(ascii: ".")
    let names = bytes.split(separator: UInt8(ascii: "/")).filter { !($0.count == 1 && $0.first == dot) }
    guard names.allSatisfy({ $0.count <= 255 && !($0.count == 2 && $0.allSatisfy { $0 == dot }) }) else { return nil }
    self.bytes = Array(names.joined(separator: [UInt8(ascii: "/")]))
  }

  package init?(_ text: String) { self.init(Array(text.utf8)) }

  /// Nothing needs to be dropped or refused: as nearly all are, and there are many.
  private static func isPlain(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { bytes in
      var start = 0
      for index in 0...bytes.count where index == bytes.count || bytes[index] == UInt8(ascii: "/") {
        let length = index - start
        if length == 0 || length > 255 { return false }
        // `.`, `..` and whatever begins so: the slower way looks closer.
        if length <= 2, bytes[start] == UInt8(ascii: ".") { return false }
        start = index + 1
      }
      return true
    }
  }

  package var isTop: Bool { bytes.isEmpty }
  /// How many names it has.
  package var depth: Int { isTop ? 0 : bytes.count { $0 == UInt8(ascii: "/") } + 1 }
  package var name: ArraySlice<UInt8> {
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return bytes[...] }
    return bytes[(slash + 1)...]
  }
  package var parent: TreePath {
    TreePath(trusted: bytes.lastIndex(of: UInt8(ascii: "/")).map { Array(bytes[..<$0]) } ?? [])
  }

  package func appending(_ name: some Collection<UInt8>) -> TreePath {
    var longer: [UInt8] = []
    longer.reserveCapacity(bytes.count + 1 + name.count)
    if !isTop {
      longer += bytes
      longer.append(UInt8(ascii: "/"))
    }
    longer += name
    return TreePath(trusted: longer)
  }

  /// This path is `other`, or lies below it.
  package func isInside(_ other: TreePath) -> Bool {
    guard !other.isTop else { return true }
    guard bytes.starts(with: other.bytes) else { return false }
    return bytes.count == other.bytes.count || bytes[other.bytes.count] == UInt8(ascii: "/")
  }

  package static func < (left: Self, right: Self) -> Bool {
    left.bytes.withUnsafeBytes { left in
      right.bytes.withUnsafeBytes { right in
        let count = min(left.count, right.count)
        var index = 0
        while index < count, left[index] == right[index] { index += 1 }
        return index == count ? left.count < right.count : order(left[index]) < order(right[index])
      }
    }
  }

  private static func order(_ byte: UInt8) -> UInt8 { byte == UInt8(ascii: "/") ? 0 : byte }

  // As a whole: Array goes through a hasher byte by byte, and releases have many paths.
  package func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }

  /// NUL-terminated, for system calls.
  func withPointer<Answer>(_ body: (UnsafePointer<CChar>) -> Answer) -> Answer {
    (bytes + [0]).withUnsafeBufferPointer { buffer in
      buffer.withMemoryRebound(to: CChar.self) { chars in
        guard let base = chars.baseAddress else { return "".withCString(body) }
        return body(base)
      }
    }
  }

  /// One word of printable text that ``init(escaped:)`` reads back.
  package var escaped: String { EscapedText.escape(bytes) }

  package init?(escaped text: some Collection<UInt8>) {
    guard let bytes = EscapedText.unescape(text), let path = TreePath(bytes), path.bytes == bytes else { return nil }
    self = path
  }

  package var description: String { isTop ? "." : escaped }
}

/// Any bytes as one word of text, and back: `\xHH` for blanks, control characters, the backslash itself, and for every byte
/// from 0x80 on where the whole is not UTF-8.
package enum EscapedText {
  package static func escape(_ bytes: [UInt8]) -> String {
    if bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != backslash }) { return String(decoding: bytes, as: UTF8.self) }
    let isText = String(validating: bytes, as: UTF8.self) != nil
    var word: [UInt8] = []
    for byte in bytes {
      if byte > 0x20, byte != 0x7f, byte != backslash, byte < 0x80 || isText {
        word.append(byte)
      } else {
        word += [backslash, UInt8(ascii: "x"), digit(byte >> 4), digit(byte & 15)]
      }
    }
    return String(decoding: word, as: UTF8.self)
  }

  /// nil where a backslash begins nothing that ``escape(_:)`` writes.
  package static func unescape(_ word: some Collection<UInt8>) -> [UInt8]? {
    guard word.contains(backslash) else { return Array(word) }
    var bytes: [UInt8] = []
    var rest = Array(word)[...]
    while let byte = rest.popFirst() {
      guard byte == backslash else {
        bytes.append(byte)
        continue
      }
      guard rest.popFirst() == UInt8(ascii: "x"), let high = rest.popFirst().flatMap(value),
        let low = rest.popFirst().flatMap(value)
      else { return nil }
      bytes.append(high << 4 | low)
    }
    return bytes
  }

  private static let backslash = UInt8(ascii: "\\")

  static func digit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10 }

  static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    default: nil
    }
  }
}
