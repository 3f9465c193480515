/// Text made safe for a protocol or a terminal that knows only lines.
enum OneLine {
  private static let ellipsis = Array("…".utf8)

  /// For people: control characters as `\n`, `\t`, `\xNN`, and at most `limit` bytes: a longer text ends in `…`.
  static func escaped(_ text: String, limit: Int) -> String { bounded(text, limit: limit, printable) }

  /// For the value of an assignment in a notify datagram: control characters become spaces. The manager takes one
  /// backslash away wherever it reads one (seen with systemd 252 and 257), so that each is doubled.
  static func assigned(_ text: String, limit: Int) -> String {
    bounded(text, limit: limit) { $0 == "\\" ? #"\\"# : isControl($0) ? " " : nil }
  }

  /// `replacement` of a character is nil for those that stay.
  private static func bounded(
    _ text: String, limit: Int, _ replacement: (Unicode.Scalar) -> String?
  ) -> String {
    let room = max(limit, ellipsis.count)
    if text.utf8.count <= room, text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\\") }) {
      return text
    }
    var line: [UInt8] = []
    /// How much of the line still leaves room for the ellipsis.
    var kept = 0
    for scalar in text.unicodeScalars {
      if let other = replacement(scalar) {
        line += other.utf8
      } else {
        line += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
      }
      if line.count > room { return String(decoding: line[..<kept] + ellipsis, as: UTF8.self) }
      if line.count <= room - ellipsis.count { kept = line.count }
    }
    return String(decoding: line, as: UTF8.self)
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
  }

  private static func printable(_ scalar: Unicode.Scalar) -> String? {
    switch scalar {
    case "\n": return #"\n"#
    case "\r": return #"\r"#
    case "\t": return #"\t"#
    case _ where isControl(scalar):
      let digits = String(scalar.value, radix: 16)
      return #"\x"# + (digits.count < 2 ? "0" : "") + digits
    case _: return nil
    }
  }
}
