/// Why a text is not a quantity, in words a settings error can use.
package struct QuantityError: Error, Hashable, Sendable, CustomStringConvertible {
  package let text: String
  /// What would have been accepted, with an example.
  package let accepted: String
  package var description: String { "\"\(text)\" is not \(accepted)" }
}

extension Duration {
  private static let units: [(suffix: String, nanoseconds: Int64)] = [
    ("ms", 1_000_000), ("us", 1_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
  ]

  /// Reads `"30s"`, `"100ms"`, `"1.5s"`, `"2m"`, `"1h"`, `"1m30s"`. The unit is never left out, so that no number is misread.
  package init(text: String) throws(QuantityError) {
    let refusal = QuantityError(text: text, accepted: "a duration with a unit, such as \"30s\", \"100ms\" or \"2m\"")
    var rest = Substring(text)
    var total: Int64 = 0
    guard !rest.isEmpty else { throw refusal }
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
      guard let number = Double(digits), digits.first != ".", digits.last != "." else { throw refusal }
      rest = rest.dropFirst(digits.count)
      guard let unit = Self.units.first(where: { rest.hasPrefix($0.suffix) }) else { throw refusal }
      rest = rest.dropFirst(unit.suffix.count)
      let part = number * Double(unit.nanoseconds)
      guard part < 1e18, total < 1_000_000_000_000_000_000 else { throw refusal }
      total += Int64(part.rounded())
    }
    self = .nanoseconds(total)
  }

  /// For people: `1m30s`, `1.5s`, `100ms`, at most three decimals. Reads back with ``init(text:)``, the same if it is
  /// whole milliseconds; else ``exactText`` does.
  package var text: String { text(decimals: 3) }

  /// The shortest form that reads back as the same whole nanoseconds.
  package var exactText: String { text(decimals: 9) }

  private func text(decimals: Int) -> String {
    var left = nanoseconds
    if left == 0 { return "0s" }
    if left < 0 { return "-" + Duration.nanoseconds(left == .min ? .max : -left).text(decimals: decimals) }
    if left < 1_000_000 { return Self.decimal(left, per: 1_000, decimals) + "us" }
    if left < 1_000_000_000 { return Self.decimal(left, per: 1_000_000, decimals) + "ms" }
    var parts = ""
    for (suffix, unit) in Self.units.reversed() where unit >= 60_000_000_000 && left >= unit {
      parts += "\(left / unit)\(suffix)"
      left %= unit
    }
    return left == 0 ? parts : parts + Self.decimal(left, per: 1_000_000_000, decimals) + "s"
  }

  /// So many decimals at most, none that are zero.
  private static func decimal(_ value: Int64, per unit: Int64, _ decimals: Int) -> String {
    var fraction = ""
    var rest = value % unit
    while rest > 0, fraction.utf8.count < decimals {
      rest *= 10
      fraction += "\(rest / unit)"
      rest %= unit
    }
    while fraction.hasSuffix("0") { fraction.removeLast() }
    return fraction.isEmpty ? "\(value / unit)" : "\(value / unit).\(fraction)"
  }
}
