/// A number of bytes. Written in settings as `"512M"`, as systemd writes sizes: K, M, G, T are powers of 1024.
package struct ByteCount: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let bytes: UInt64
  package init(_ bytes: UInt64) { self.bytes = bytes }

  private static let units: [(suffix: String, bytes: UInt64)] = [
    ("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10), ("B", 1),
  ]

  package init(text: String) throws(QuantityError) {
    let refusal = QuantityError(text: text, accepted: "a size with a unit, such as \"512M\", \"64K\" or \"2G\"")
    guard let unit = Self.units.first(where: { text.hasSuffix($0.suffix) }) else { throw refusal }
    let digits = text.dropLast(unit.suffix.count)
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }), let number = UInt64(digits) else {
      throw refusal
    }
    let (product, overflow) = number.multipliedReportingOverflow(by: unit.bytes)
    guard !overflow else { throw refusal }
    bytes = product
  }

  /// Exact, in the largest unit that divides it: reads back with ``init(text:)``.
  package var text: String {
    for unit in Self.units where bytes >= unit.bytes && bytes % unit.bytes == 0 {
      return "\(bytes / unit.bytes)\(unit.suffix)"
    }
    return "\(bytes)B"
  }

  /// For people: one decimal, the largest unit that fits.
  package var description: String {
    for unit in Self.units where unit.bytes > 1 && bytes >= unit.bytes {
      let tenths = bytes / (unit.bytes / 10)
      return tenths >= 100 ? "\(tenths / 10)\(unit.suffix)" : "\(tenths / 10).\(tenths % 10)\(unit.suffix)"
    }
    return "\(bytes)B"
  }

  package static func < (left: Self, right: Self) -> Bool { left.bytes < right.bytes }
}
