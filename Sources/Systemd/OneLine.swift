/// Text made safe for a protocol or a terminal that knows only lines.
enum OneLine {
  private static let ellipsis = Array("…".utf8)

  /// Control characters as `\n`, `\t`, `\xNN`, and at most `limit` bytes: a longer text ends in `…`.
  static func escaped(_ text: String, limit: Int) -> String {
    let room = max(limit, ellipsis.count)
    if text.utf8.count <= room, text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) { return text }
    var line: [UInt8] = []
    /// How much of the line still leaves room for the ellipsis.
    var kept = 0
    for scalar in text.unicodeScalars {
      append(scalar, to: &line)
      if line.count > room { return String(decoding: line[..<kept] + ellipsis, as: UTF8.self) }
      if line.count <= room - ellipsis.count { kept = line.count }
    }
    return String(decoding: line, as: UTF8.self)
  }

  private static func append(_ scalar: Unicode.Scalar, to line: inout [UInt8]) {
    switch scalar {
    case "\n": line += #"\n"#.utf8
    case "\r": line += #"\r"#.utf8
    case "\t": line += #"\t"#.utf8
    case _ where scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value):
      let digits = String(scalar.value, radix: 16)
      line += (#"\x"# + (digits.count < 2 ? "0" : "") + digits).utf8
    case _: line += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
    }
  }
}
