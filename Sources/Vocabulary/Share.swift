/// A part of the new connections, in hundredths of a percent. Written in settings as `"5%"` or `"0.5%"`.
package struct Share: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// 0 … 10,000.
  package let basisPoints: UInt32

  package static let none = Share(clamping: 0)
  package static let whole = Share(clamping: 10_000)

  package init(clamping basisPoints: UInt32) { self.basisPoints = min(basisPoints, 10_000) }

  package init(text: String) throws(QuantityError) {
    let refusal = QuantityError(text: text, accepted: "a share from \"0%\" to \"100%\", such as \"5%\" or \"0.5%\"")
    guard text.hasSuffix("%"), let percent = Double(text.dropLast()), percent >= 0, percent <= 100 else {
      throw refusal
    }
    let points = (percent * 100).rounded()
    guard abs(points - percent * 100) < 1e-6 else { throw refusal }
    basisPoints = UInt32(points)
  }

  package var description: String {
    let fraction = basisPoints % 100
    if fraction == 0 { return "\(basisPoints / 100)%" }
    let digits = fraction % 10 == 0 ? "\(fraction / 10)" : fraction < 10 ? "0\(fraction)" : "\(fraction)"
    return "\(basisPoints / 100).\(digits)%"
  }

  package static func < (left: Self, right: Self) -> Bool { left.basisPoints < right.basisPoints }
}
