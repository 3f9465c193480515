import JSON
import Vocabulary

// How plain values look in the saved state: times are whole nanoseconds, numbers past 63 bits are texts.

extension Fields {
  mutating func duration(_ name: String) throws(ShapeError) -> Duration {
    let nanoseconds: Int64 = try required(name)
    return .nanoseconds(nanoseconds)
  }

  mutating func instant(_ name: String) throws(ShapeError) -> Instant {
    Instant(nanoseconds: try required(name))
  }

  mutating func optionalInstant(_ name: String) throws(ShapeError) -> Instant? {
    let nanoseconds: Int64? = try optional(name)
    return nanoseconds.map { Instant(nanoseconds: $0) }
  }

  mutating func wide(_ name: String) throws(ShapeError) -> UInt64 {
    guard let value = try optionalWide(name) else { throw ShapeError(field: name, problem: "missing") }
    return value
  }

  mutating func optionalWide(_ name: String) throws(ShapeError) -> UInt64? {
    guard let text: String = try optional(name) else { return nil }
    guard let value = UInt64(text) else { throw ShapeError(field: name, problem: "expected a number in a string") }
    return value
  }

  mutating func number<Number: FixedWidthInteger>(_ name: String) throws(ShapeError) -> Number {
    let value: Int64 = try required(name)
    guard let number = Number(exactly: value) else { throw ShapeError(field: name, problem: "out of range") }
    return number
  }

  mutating func texts(_ name: String) throws(ShapeError) -> [String: String] {
    let json: JSON = try required(name)
    guard case .object(let members) = json else { throw ShapeError(field: name, problem: "expected an object") }
    var texts: [String: String] = [:]
    for member in members.list {
      guard case .string(let value) = member.value else {
        throw ShapeError(field: "\(name).\(member.name)", problem: "expected a string, found \(member.value.kind)")
      }
      texts[member.name] = value
    }
    return texts
  }

  /// One of an enum's words.
  mutating func word<Word: RawRepresentable<String>>(_ name: String) throws(ShapeError) -> Word {
    let text: String = try required(name)
    guard let word = Word(rawValue: text) else { throw ShapeError(field: name, problem: "\"\(text)\" is not known") }
    return word
  }
}

extension Fields {
  mutating func optionalWord<Word: RawRepresentable<String>>(_ name: String) throws(ShapeError) -> Word? {
    guard let text: String = try optional(name) else { return nil }
    guard let word = Word(rawValue: text) else { throw ShapeError(field: name, problem: "\"\(text)\" is not known") }
    return word
  }
}

extension JSON {
  static func time(_ duration: Duration) -> JSON { .integer(duration.nanoseconds) }
  static func time(_ instant: Instant) -> JSON { .integer(instant.nanoseconds) }
  static func wide(_ number: UInt64) -> JSON { .string(String(number)) }
  static func texts(_ texts: [String: String]) -> JSON {
    var members = JSON.Members()
    for (name, value) in texts.sorted(by: { $0.key < $1.key }) { members.append(name, .string(value)) }
    return .object(members)
  }

  /// An object whose absent members are left out.
  static func record(_ members: KeyValuePairs<String, JSON?>) -> JSON {
    var written = JSON.Members()
    for (name, value) in members { if let value { written.append(name, value) } }
    return .object(written)
  }
}

/// Any bytes, as hexadecimal text.
struct HexBytes: JSONValue {
  let bytes: [UInt8]
  init(_ bytes: [UInt8]) { self.bytes = bytes }

  init(json: JSON) throws(ShapeError) {
    let text = try String(json: json)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count / 2)
    var high: UInt8?
    for character in text.utf8 {
      guard let digit = Self.digit(character) else { throw ShapeError(problem: "expected hexadecimal digits") }
      if let first = high {
        bytes.append(first << 4 | digit)
        high = nil
      } else {
        high = digit
      }
    }
    guard high == nil else { throw ShapeError(problem: "expected an even number of digits") }
    self.bytes = bytes
  }

  var json: JSON {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    return .string(String(decoding: text, as: UTF8.self))
  }

  private static func digit(_ character: UInt8) -> UInt8? {
    switch character {
    case 0x30...0x39: character - 0x30
    case 0x61...0x66: character - 0x61 + 10
    default: nil
    }
  }
}
