/// What the name of a migration says of its place: `004_add_email.sql`, `V1.2__orders.sql`, `20260102_users.sql`.
package struct MigrationName: Hashable, Sendable, Comparable {
  package let text: String
  /// `[4]`, `[1, 2]`; nil where the name begins with no number. Without leading zeros, digits as text: no number is too
  /// long.
  package let number: [String]?

  package static let lengthLimit = 200

  package init(_ text: String) {
    self.text = text
    number = Self.number(of: text)
  }

  /// nil for a file that is no migration; why it is none where a person should hear of it.
  package static func refusal(_ name: String) -> String? {
    if name.utf8.count > lengthLimit { return "its name is longer than \(lengthLimit) bytes" }
    if name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) { return "its name has control characters" }
    return nil
  }

  /// A file that undoes another: never applied.
  package static func isWayBack(_ name: String) -> Bool { name.hasSuffix(".down.sql") }

  private static func number(of text: String) -> [String]? {
    var rest = Substring(text)
    if rest.first == "V" || rest.first == "v" { rest = rest.dropFirst() }
    var parts: [String] = []
    while true {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      guard !digits.isEmpty else { break }
      let significant = digits.drop { $0 == "0" }
      parts.append(significant.isEmpty ? "0" : String(significant))
      rest = rest.dropFirst(digits.count)
      guard rest.first == ".", rest.dropFirst().first.map({ $0.isASCII && $0.isNumber }) == true else { break }
      rest = rest.dropFirst()
    }
    return parts.isEmpty ? nil : parts
  }

  /// By number, then by text with runs of digits as numbers; names without a number come last.
  package static func < (left: Self, right: Self) -> Bool {
    switch (left.number, right.number) {
    case (let first?, let second?) where first != second:
      return first.lexicographicallyPrecedes(second) { isLess($0, $1) }
    case (.some, nil): return true
    case (nil, .some): return false
    default: break
    }
    return isLess(natural: Array(left.text.utf8), Array(right.text.utf8))
  }

  /// Digits without leading zeros.
  private static func isLess(_ left: some StringProtocol, _ right: some StringProtocol) -> Bool {
    left.utf8.count == right.utf8.count
      ? left.utf8.lexicographicallyPrecedes(right.utf8) : left.utf8.count < right.utf8.count
  }

  private static func isLess(natural left: [UInt8], _ right: [UInt8]) -> Bool {
    var (first, second) = (left[...], right[...])
    while let one = first.first, let other = second.first {
      if SQLLexer.isDigit(one), SQLLexer.isDigit(other) {
        let numbers = (popDigits(&first), popDigits(&second))
        if numbers.0 != numbers.1 {
          return numbers.0.count == numbers.1.count
            ? numbers.0.lexicographicallyPrecedes(numbers.1) : numbers.0.count < numbers.1.count
        }
      } else {
        if one != other { return one < other }
        first.removeFirst()
        second.removeFirst()
      }
    }
    if first.isEmpty != second.isEmpty { return first.isEmpty }
    return left.lexicographicallyPrecedes(right)
  }

  private static func popDigits(_ bytes: inout ArraySlice<UInt8>) -> [UInt8] {
    let digits = bytes.prefix(while: SQLLexer.isDigit)
    bytes = bytes.dropFirst(digits.count)
    return Array(digits.drop { $0 == UInt8(ascii: "0") })
  }
}
