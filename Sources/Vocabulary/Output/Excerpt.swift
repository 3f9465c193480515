/// A short quotation of bytes somebody else sent, fit for one line of a log: valid UTF-8, in quotes, nothing in it that
/// could move a cursor or end a line.
package enum Excerpt {
  /// The first bytes, with `…` when there are more.
  package static func beginning(of bytes: some Collection<UInt8>, limit: Int = 120) -> String {
    let part = Array(bytes.prefix(limit))
    guard part.count < bytes.count else { return quoted(part[...]) }
    return quoted(part.dropLast(brokenEnd(of: part))) + "…"
  }

  /// All of what is the end of something, with `…` when there was more before it.
  package static func end(_ bytes: ArraySlice<UInt8>, isCut: Bool) -> String {
    isCut ? "…" + quoted(bytes.drop { isContinuation($0) }) : quoted(bytes)
  }

  private static func quoted(_ bytes: ArraySlice<UInt8>) -> String {
    var text = "\""
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
      switch scalar {
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\"", "\\": text += "\\\(scalar)"
      default:
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator:
          text += "\\u{\(String(scalar.value, radix: 16))}"
        default: text.unicodeScalars.append(scalar)
        }
      }
    }
    return text + "\""
  }

  private static func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }

  /// How many bytes at the end belong to a character that goes on behind it. Source: RFC 3629 §3.
  package static func brokenEnd(of bytes: some BidirectionalCollection<UInt8>) -> Int {
    let tail = Array(bytes.suffix(3).reversed())
    guard let lead = tail.firstIndex(where: { !isContinuation($0) }) else { return 0 }
    let length =
      switch tail[lead] {
      case 0xC2...0xDF: 2
      case 0xE0...0xEF: 3
      case 0xF0...0xF4: 4
      default: 1
      }
    return lead + 1 < length ? lead + 1 : 0
  }
}
