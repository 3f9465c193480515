/// Takes secrets out of what is shown, by value: as they are, and as base64, base64url, percent encoding, hexadecimal and
/// JSON show them.
///
/// Values of several lines are masked line by line. A short value that is a mere word (letters and digits, less than
/// ``wordLimit``) is masked only where it stands alone: "live" must not take a piece out of "delivery". Values of less
/// than ``leastLength`` bytes and words that say nothing (`true`, `null`, …) are not masked at all.
package struct Masker: Sendable {
  package static let mark = "***"
  package static let leastLength = 4
  package static let wordLimit = 8
  /// More would cost every line; of a larger secrets file the rest is refused by ``Secrets``.
  package static let patternLimit = 20_000

  fileprivate struct Pattern: Sendable {
    var bytes: [UInt8]
    var standsAlone: Bool
  }

  /// By first byte and then by length, longest first.
  private var patterns: [[Pattern]]
  /// Which pairs of bytes any pattern begins with: one look for nearly every byte of ordinary output.
  private var beginnings: [Bool]
  fileprivate let longest: Int

  package init(_ secrets: some Sequence<String> = []) {
    var all: [[UInt8]: Bool] = [:]
    for secret in secrets {
      for value in Self.values(of: secret) {
        for form in SecretForms.all(of: value) where form.count >= Self.leastLength {
          let isWord = form.count < Self.wordLimit && form.allSatisfy(Self.isWordByte)
          all[form] = isWord && all[form] != false
        }
      }
    }
    patterns = Array(repeating: [], count: all.isEmpty ? 0 : 256)
    beginnings = Array(repeating: false, count: all.isEmpty ? 0 : 65_536)
    for (bytes, isWord) in all.sorted(by: { $0.key.count > $1.key.count }).prefix(Self.patternLimit) {
      patterns[Int(bytes[0])].append(Pattern(bytes: bytes, standsAlone: isWord))
      beginnings[Int(bytes[0]) << 8 | Int(bytes[1])] = true
    }
    longest = all.keys.map(\.count).max() ?? 0
  }

  package var isEmpty: Bool { patterns.isEmpty }

  package func mask(_ text: String) -> String {
    guard !isEmpty else { return text }
    let bytes = Array(text.utf8)
    let masked = mask(bytes)
    return masked == bytes ? text : String(decoding: masked, as: UTF8.self)
  }

  package func mask(_ bytes: [UInt8]) -> [UInt8] {
    var stream = MaskedStream(self)
    return stream.feed(bytes[...]) + stream.end()
  }

  private static let sayNothing: Set<String> = ["true", "false", "null", "none", "auto", "default", "info", "debug"]

  private static func values(of secret: String) -> [[UInt8]] {
    let whole = Array(secret.utf8)
    guard whole.count >= leastLength, !sayNothing.contains(secret.lowercased()) else { return [] }
    let lines = whole.split { $0 == 0x0A || $0 == 0x0D }.map(Array.init)
    return lines.count == 1 ? lines : lines + [whole]
  }

  static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: false
    }
  }

  /// How many bytes at `place` belong to a secret.
  fileprivate func length(at place: Int, in bytes: UnsafeBufferPointer<UInt8>, before: UInt8?) -> Int {
    guard place + 1 < bytes.count, beginnings[Int(bytes[place]) << 8 | Int(bytes[place + 1])] else { return 0 }
    for pattern in patterns[Int(bytes[place])] {
      let end = place + pattern.bytes.count
      guard end <= bytes.count, pattern.bytes.indices.allSatisfy({ bytes[place + $0] == pattern.bytes[$0] }) else {
        continue
      }
      if pattern.standsAlone {
        let previous = place > 0 ? bytes[place - 1] : before
        if let previous, Self.isWordByte(previous) { continue }
        if end < bytes.count, Self.isWordByte(bytes[end]) { continue }
      }
      return pattern.bytes.count
    }
    return 0
  }
}

/// Masks a stream that comes in pieces: what may be the beginning of a secret is held back until it is clear, at the
/// latest at the end of its line.
package struct MaskedStream {
  private let masker: Masker
  private var held: [UInt8] = []
  /// The byte before `held`.
  private var before: UInt8?

  package init(_ masker: Masker) { self.masker = masker }

  /// What is clear by now.
  package mutating func feed(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    guard !masker.isEmpty else { return Array(bytes) }
    held += bytes
    let lineEnd = held.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
    // Up to here no secret that is still to come in whole can begin.
    return pass(until: max(lineEnd, held.count - masker.longest))
  }

  /// The rest.
  package mutating func end() -> [UInt8] { pass(until: held.count) }

  /// Masks and lets go what begins before `limit`, and what that runs into.
  private mutating func pass(until limit: Int) -> [UInt8] {
    guard limit > 0 else { return [] }
    var clear: [UInt8] = []
    clear.reserveCapacity(limit)
    let passed = held.withUnsafeBufferPointer { bytes in
      var place = 0
      // Secrets may overlap: all bytes of all of them go.
      var maskedUntil = 0
      while place < limit || place < maskedUntil {
        let length = masker.length(at: place, in: bytes, before: before)
        if length > 0 {
          if place >= maskedUntil { clear += Masker.mark.utf8 }
          maskedUntil = max(maskedUntil, place + length)
        } else if place >= maskedUntil {
          clear.append(bytes[place])
        }
        place += 1
      }
      return place
    }
    before = held[passed - 1]
    held.removeFirst(passed)
    return clear
  }
}

/// The ways one value may be written.
enum SecretForms {
  static func all(of value: [UInt8]) -> Set<[UInt8]> {
    var forms: Set<[UInt8]> = [value, hexadecimal(value, lower), hexadecimal(value, upper), json(value)]
    forms.insert(percent(value, upper))
    forms.insert(percent(value, lower))
    // In the middle of a longer text the same bytes have three forms, by their offset modulo 3.
    for offset in 0..<3 {
      for alphabet in [standard, urlSafe] { forms.insert(base64Core(value, offset, alphabet)) }
    }
    return forms
  }

  private static let lower = Array("0123456789abcdef".utf8)
  private static let upper = Array("0123456789ABCDEF".utf8)
  private static let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
  private static let standard = Array((letters + "+/").utf8)
  private static let urlSafe = Array((letters + "-_").utf8)

  private static func hexadecimal(_ value: [UInt8], _ digits: [UInt8]) -> [UInt8] {
    value.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
  }

  /// Source: RFC 3986 §2.3.
  private static func percent(_ value: [UInt8], _ digits: [UInt8]) -> [UInt8] {
    value.flatMap { byte in
      Masker.isWordByte(byte) || "-._~".utf8.contains(byte)
        ? [byte] : [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
  }

  private static func json(_ value: [UInt8]) -> [UInt8] {
    value.flatMap { byte -> [UInt8] in
      switch byte {
      case 0x0A: Array("\\n".utf8)
      case 0x0D: Array("\\r".utf8)
      case 0x09: Array("\\t".utf8)
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): [UInt8(ascii: "\\"), byte]
      default: [byte]
      }
    }
  }

  /// The characters that depend on `value` alone when it begins `offset` bytes into a group of three. Source: RFC 4648.
  private static func base64Core(_ value: [UInt8], _ offset: Int, _ alphabet: [UInt8]) -> [UInt8] {
    var characters: [UInt8] = []
    let bits = value.count * 8
    // Characters begin at bit -8·offset; the first whole one is at or behind bit 0.
    var bit = offset == 0 ? 0 : 6 - (offset * 8) % 6
    if bit == 6 { bit = 0 }
    while bit + 6 <= bits {
      let first = Int(value[bit / 8]) << 8 | (bit / 8 + 1 < value.count ? Int(value[bit / 8 + 1]) : 0)
      characters.append(alphabet[first >> (10 - bit % 8) & 63])
      bit += 6
    }
    return characters
  }
}
