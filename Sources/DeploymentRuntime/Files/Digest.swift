internal import CNettle

/// A SHA-256.
package struct Digest: Hashable, Sendable, CustomStringConvertible {
  private let words: (UInt64, UInt64, UInt64, UInt64)

  package static func of(_ bytes: some Sequence<UInt8>) -> Digest {
    var hash = RunningHash()
    Array(bytes).withUnsafeBytes { hash.update($0) }
    return hash.digest()
  }

  /// Exactly 32 bytes.
  fileprivate init(_ raw: UnsafeRawBufferPointer) {
    let word = { (index: Int) in UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)) }
    words = (word(0), word(1), word(2), word(3))
  }

  /// 64 digits, lower case.
  package init?(hex: some Collection<UInt8>) {
    guard hex.count == 64 else { return nil }
    var read = (UInt64(0), UInt64(0), UInt64(0), UInt64(0))
    var count = 0
    for digit in hex {
      guard let value = EscapedText.value(digit) else { return nil }
      switch count / 16 {
      case 0: read.0 = read.0 << 4 | UInt64(value)
      case 1: read.1 = read.1 << 4 | UInt64(value)
      case 2: read.2 = read.2 << 4 | UInt64(value)
      default: read.3 = read.3 << 4 | UInt64(value)
      }
      count += 1
    }
    words = read
  }

  /// Adds the 64 digits to a text.
  func write(to text: inout [UInt8]) {
    for word in [words.0, words.1, words.2, words.3] {
      for shift in stride(from: 60, through: 0, by: -4) {
        text.append(EscapedText.digit(UInt8(truncatingIfNeeded: word >> UInt64(shift)) & 15))
      }
    }
  }

  package var hex: String {
    var text: [UInt8] = []
    write(to: &text)
    return String(decoding: text, as: UTF8.self)
  }

  package var description: String { hex }

  package static func == (left: Self, right: Self) -> Bool { left.words == right.words }
  package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

/// A SHA-256 in the making.
struct RunningHash {
  private var context = sha256_ctx()

  init() { nettle_sha256_init(&context) }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    nettle_sha256_update(&context, bytes.count, base.assumingMemoryBound(to: UInt8.self))
  }

  mutating func digest() -> Digest {
    withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { buffer in
      if let base = buffer.baseAddress { nettle_sha256_digest(&context, 32, base.assumingMemoryBound(to: UInt8.self)) }
      return Digest(UnsafeRawBufferPointer(buffer))
    }
  }
}
