/// Numbers as text, where there are so many that a String for each would be felt.
enum DecimalText {
  static func append(_ number: UInt64, to text: inout [UInt8], radix: UInt64 = 10) {
    let start = text.count
    var rest = number
    repeat {
      text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % radix))
      rest /= radix
    } while rest > 0
    text[start...].reverse()
  }
}
