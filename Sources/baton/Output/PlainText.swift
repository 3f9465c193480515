/// Text of others (a worker's status, a log line, a reason) made safe for a terminal: control characters, which could
/// move the cursor, recolour or retitle, and marks that turn the direction of writing, become `·`. One line stays one.
func plain(_ text: String) -> String {
  func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F..<0xA0: true
    case 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }
  guard text.unicodeScalars.contains(where: isUnsafe) else { return text }
  var result = String.UnicodeScalarView()
  for scalar in text.unicodeScalars { result.append(isUnsafe(scalar) ? "·" : scalar) }
  return String(result)
}
