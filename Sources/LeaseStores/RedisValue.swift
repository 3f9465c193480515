/// What Redis says, as far as version 2 of its protocol goes, which every version speaks.
/// Source: redis.io/docs/latest/develop/reference/protocol-spec
enum RedisValue: Hashable, Sendable {
  case text(String)
  case error(String)
  case integer(Int64)
  case array([RedisValue])
  case null

  /// Of a text or a number.
  var string: String? {
    switch self {
    case .text(let text): text
    case .integer(let number): "\(number)"
    case .error, .array, .null: nil
    }
  }

  var list: [RedisValue]? { if case .array(let values) = self { values } else { nil } }

  /// A command as it is sent.
  static func command(_ words: [String]) -> [UInt8] {
    var bytes = Array("*\(words.count)\r\n".utf8)
    for word in words {
      bytes += "$\(word.utf8.count)\r\n".utf8
      bytes += word.utf8
      bytes += "\r\n".utf8
    }
    return bytes
  }
}

/// Takes values out of bytes as they come. What is not Redis's protocol, or more than anybody here asks for, is refused.
struct RedisReader {
  struct Refusal: Error, Hashable, Sendable {
    let why: String
  }

  static let mostBytes = 8 << 20
  private static let mostElements = 100_000
  private static let deepest = 4

  private var bytes: [UInt8] = []

  mutating func append(_ more: some Sequence<UInt8>) throws(Refusal) {
    bytes.append(contentsOf: more)
    guard bytes.count <= Self.mostBytes else { throw Refusal(why: "an answer is longer than 8 MiB") }
  }

  /// The next whole value; nil when there is none yet.
  mutating func next() throws(Refusal) -> RedisValue? {
    var position = 0
    guard let value = try value(&position, depth: 0) else { return nil }
    bytes.removeFirst(position)
    return value
  }

  private func value(_ position: inout Int, depth: Int) throws(Refusal) -> RedisValue? {
    guard position < bytes.count else { return nil }
    let kind = bytes[position]
    guard "+-:$*".utf8.contains(kind), depth < Self.deepest else {
      throw Refusal(why: "what answers there is no Redis")
    }
    guard let bytes = try line(position + 1) else { return nil }
    position = bytes.endIndex + 2
    let line = String(decoding: bytes, as: UTF8.self)
    switch kind {
    case UInt8(ascii: "+"): return .text(line)
    case UInt8(ascii: "-"): return .error(line)
    case UInt8(ascii: ":"):
      guard let number = Int64(line) else { throw Refusal(why: "what answers there is no Redis") }
      return .integer(number)
    case UInt8(ascii: "$"): return try text(line, &position)
    default: return try array(line, &position, depth)
    }
  }

  private func text(_ line: String, _ position: inout Int) throws(Refusal) -> RedisValue? {
    let count = try count(line, most: Self.mostBytes)
    guard let count else { return .null }
    guard position + count + 2 <= bytes.count else { return nil }
    defer { position += count + 2 }
    return .text(String(decoding: bytes[position..<position + count], as: UTF8.self))
  }

  private func array(_ line: String, _ position: inout Int, _ depth: Int) throws(Refusal) -> RedisValue? {
    guard let count = try count(line, most: Self.mostElements) else { return .null }
    var values: [RedisValue] = []
    for _ in 0..<count {
      guard let value = try value(&position, depth: depth + 1) else { return nil }
      values.append(value)
    }
    return .array(values)
  }

  /// nil for -1.
  private func count(_ line: String, most: Int) throws(Refusal) -> Int? {
    guard let count = Int(line), (-1...most).contains(count) else {
      throw Refusal(why: "what answers there is no Redis")
    }
    return count < 0 ? nil : count
  }

  /// Up to CR LF. As bytes: what is no UTF-8 is longer as text.
  private func line(_ start: Int) throws(Refusal) -> ArraySlice<UInt8>? {
    let longest = 4_096
    guard let end = bytes[start...].prefix(longest + 1).firstIndex(of: UInt8(ascii: "\r")) else {
      guard bytes.count - start <= longest else { throw Refusal(why: "what answers there is no Redis") }
      return nil
    }
    guard end + 1 < bytes.count else { return nil }
    guard bytes[end + 1] == UInt8(ascii: "\n") else { throw Refusal(why: "what answers there is no Redis") }
    return bytes[start..<end]
  }
}
