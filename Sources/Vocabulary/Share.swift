/// A part of the new connections, in hundredths of a percent. Written in settings as `"5%"` or `"0.5%"`.
package struct Share: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// 0 … 10,000.
  package let basisPoints: UInt32

  package static let none = Share(clamping: 0)
  package static let whole = Share(clamping: 10_000)

  package init(clamping basisPoints: UInt32) { self.basisPoints = min(basisPoints, 10_000) }

  package init(text: String) throws(QuantityError) {
    let refusal = QuantityError(text: text, accepted: "a share from \"0%\" to \"100%\", such as \"5%\" or \"0.5%\"")
    guard text.hasSuffix("%") else { throw refusal }
    let parts = text.dropLast().split(separator: ".", omittingEmptySubsequences: false)
    let isDigits = { (part: Substring, length: ClosedRange<Int>) in
      length.contains(part.utf8.count) && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }
    guard let whole = parts.first, isDigits(whole, 1...3), parts.count <= 2 else { throw refusal }
    var decimals = ""
    if parts.count == 2 {
      guard isDigits(parts[1], 1...2) else { throw refusal }
      decimals = String(parts[1])
    }
    while decimals.utf8.count < 2 { decimals += "0" }
    guard let points = UInt32(whole + decimals), points <= 10_000 else { throw refusal }
    basisPoints = points
  }

  package var description: String {
    let fraction = basisPoints % 100
    if fraction == 0 { return "\(basisPoints / 100)%" }
    let digits = fraction % 10 == 0 ? "\(fraction / 10)" : fraction < 10 ? "0\(fraction)" : "\(fraction)"
    return "\(basisPoints / 100).\(digits)%"
  }

  package static func < (left: Self, right: Self) -> Bool { left.basisPoints < right.basisPoints }
}
