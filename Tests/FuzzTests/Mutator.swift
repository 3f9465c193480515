import Vocabulary

/// Changes bytes by a seed: what a hasty writer, a broken disk or a bad neighbour would make of them.
struct Mutator {
  private var random: SplitMix64
  private let corpus: [[UInt8]]
  /// Parts of the corpus, which make the deeper places of a format reachable.
  private let words: [[UInt8]]

  private static let extremes: [[UInt8]] = [
    "", "0", "-1", "1", "00", "9223372036854775807", "9223372036854775808", "18446744073709551616",
    "-9223372036854775808",
    "1e999", "nan", "\u{0}", "\r\n", "\n", "\u{FEFF}", "é", "\u{1F600}", "{", "}", "[", "]", "\"", "null", "true",
    "\\u0000",
    "\\ud800", "=", ":", "*1\r\n", "$-1\r\n", "ffffffffffffffff",
  ].map { Array($0.utf8) }

  init(seed: UInt64, corpus: [[UInt8]]) {
    random = SplitMix64(seed: seed)
    self.corpus = corpus
    words =
      Array(Set(corpus.flatMap { Self.words(of: $0) })).sorted { $0.lexicographicallyPrecedes($1) } + Self.extremes
  }

  private static func words(of bytes: [UInt8]) -> [[UInt8]] {
    bytes.split {
      !(0x30...0x39).contains($0) && !(0x41...0x5a).contains($0) && !(0x61...0x7a).contains($0) && $0 != 0x2d
    }
    .prefix(2_000).map { Array($0) }
  }

  mutating func below(_ limit: Int) -> Int { limit <= 1 ? 0 : Int(random.next() % UInt64(limit)) }

  /// The next input: one of the corpus with a few changes, at most 256 KiB.
  mutating func next() -> [UInt8] {
    var bytes = corpus[below(corpus.count)]
    for _ in 0...below(6) { change(&bytes) }
    return Array(bytes.prefix(256 * 1_024))
  }

  /// Cuts bytes into pieces, as a stream brings them.
  mutating func pieces(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    var pieces: [ArraySlice<UInt8>] = []
    var rest = bytes[...]
    while !rest.isEmpty, pieces.count < 64 {
      let count = 1 + below(below(2) == 0 ? 3 : rest.count)
      pieces.append(rest.prefix(count))
      rest = rest.dropFirst(count)
    }
    return rest.isEmpty ? pieces : pieces + [rest]
  }

  private mutating func change(_ bytes: inout [UInt8]) {
    let from = below(bytes.count + 1)
    let to = min(bytes.count, from + below(below(4) == 0 ? bytes.count + 1 : 16))
    switch below(9) {
    case 0 where from < bytes.count: bytes[from] ^= 1 << UInt8(below(8))
    case 1 where from < bytes.count: bytes[from] = UInt8(below(256))
    case 2: bytes.removeSubrange(from..<to)
    case 3: bytes.insert(contentsOf: bytes[from..<to], at: below(bytes.count + 1))
    case 4: bytes.insert(contentsOf: words[below(words.count)], at: from)
    case 5: replaceWord(&bytes, near: from)
    case 6: bytes.removeSubrange(from...)
    case 7:
      let other = corpus[below(corpus.count)]
      bytes.replaceSubrange(from..., with: other[below(other.count + 1)...])
    default: multiply(&bytes, from..<min(to, from + 24))
    }
  }

  private mutating func replaceWord(_ bytes: inout [UInt8], near place: Int) {
    let isWord = { (byte: UInt8) in byte >= 0x30 && byte != 0x7b && byte != 0x7d && byte != 0x3d && byte != 0x3a }
    guard let start = bytes[place...].firstIndex(where: isWord) else { return }
    let end = bytes[start...].firstIndex { !isWord($0) } ?? bytes.count
    bytes.replaceSubrange(start..<end, with: words[below(words.count)])
  }

  /// One part very often: nesting and lists without end.
  private mutating func multiply(_ bytes: inout [UInt8], _ part: Range<Int>) {
    let part = Array(bytes[part])
    let times = [10, 100, 1_000][below(3)]
    bytes.insert(contentsOf: (0..<times).flatMap { _ in part }, at: below(bytes.count + 1))
  }
}
