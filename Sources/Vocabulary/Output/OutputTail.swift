/// The last lines of both streams, for the verdict on a worker that failed.
package struct OutputTail {
  package static let count = 20
  /// In bytes: so much of a line is kept.
  package static let lineLimit = 1_024

  package private(set) var lines: [[UInt8]] = []

  package init() {}

  /// Empty lines tell nothing and are not kept.
  package mutating func add(_ line: some BidirectionalCollection<UInt8>) {
    guard !line.isEmpty else { return }
    var kept = Array(line.prefix(Self.lineLimit))
    if line.count > Self.lineLimit { kept.removeLast(Excerpt.brokenEnd(of: kept)) }
    if lines.count >= Self.count { lines.removeFirst() }
    lines.append(kept)
  }

  package var texts: [String] { lines.map(LineSplitter.text) }
}
