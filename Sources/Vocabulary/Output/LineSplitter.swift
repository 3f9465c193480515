/// Makes lines of a stream of bytes. A line has at most ``limit`` bytes: of a longer one the beginning is delivered,
/// marked, and the rest up to its end is left out.
package struct LineSplitter {
  package static let limit = 8_192
  /// Behind the beginning of a line that was too long.
  package static let mark = " […]"

  /// What there is of a line whose end has not come.
  package private(set) var partial: [UInt8] = []
  /// The rest of a line that was too long is being left out.
  package private(set) var isSkipping = false

  package init() {}

  /// One that goes on where another stopped, given first what that one had of a line (``partial``).
  package init(isSkipping: Bool) { self.isSkipping = isSkipping }

  package var isAtLineStart: Bool { partial.isEmpty && !isSkipping }

  /// Takes bytes up to the end of the first line in `bytes`, and that line if it became complete or too long.
  package mutating func next(_ bytes: inout ArraySlice<UInt8>) -> [UInt8]? {
    while !bytes.isEmpty {
      // One byte more, so that a line of exactly the limit is not taken for a longer one.
      let room = isSkipping ? bytes.count : Self.limit + 1 - partial.count
      let part = bytes.prefix(room)
      guard let feed = part.firstIndex(of: UInt8(ascii: "\n")) else {
        bytes = bytes.dropFirst(part.count)
        if isSkipping { continue }
        partial += part
        guard partial.count > Self.limit else { continue }
        isSkipping = true
        return cut()
      }
      let wasSkipping = isSkipping
      if !isSkipping { partial += part[..<feed] }
      bytes = bytes[(feed + 1)...]
      isSkipping = false
      if !wasSkipping { return take() }
    }
    return nil
  }

  /// The bytes behind the last line feed, if there are any: what a stream ended with, or has so far.
  package mutating func rest() -> [UInt8]? {
    partial.isEmpty ? nil : take()
  }

  private mutating func take() -> [UInt8] {
    defer { partial.removeAll() }
    if partial.last == UInt8(ascii: "\r") { partial.removeLast() }
    return partial
  }

  private mutating func cut() -> [UInt8] {
    partial.removeLast(partial.count - Self.limit)
    partial.removeLast(Excerpt.brokenEnd(of: partial))
    partial += Self.mark.utf8
    return take()
  }

  /// A line as text: valid UTF-8 in any case, and NUL shown as ␀, at which C would end it.
  package static func text(_ line: [UInt8]) -> String {
    guard line.contains(0) else { return String(decoding: line, as: UTF8.self) }
    return String(decoding: line.flatMap { $0 == 0 ? Array("␀".utf8) : [$0] }, as: UTF8.self)
  }
}
