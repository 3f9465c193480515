import LinuxSystem
import Vocabulary

/// Bytes of a program on their way to people: masked, cut into lines, the last ones kept.
struct OutputLines {
  private var stream: MaskedStream
  private var splitter = LineSplitter()
  private var tail = OutputTail()

  init(_ masker: Masker) { stream = MaskedStream(masker) }

  var lastLines: [String] { tail.texts }

  mutating func feed(_ bytes: ArraySlice<UInt8>, _ deliver: (String) -> Void) { split(stream.feed(bytes), deliver) }

  mutating func end(_ deliver: (String) -> Void) {
    split(stream.end(), deliver)
    if let rest = splitter.rest() { give(rest, deliver) }
  }

  private mutating func split(_ bytes: [UInt8], _ deliver: (String) -> Void) {
    var left = bytes[...]
    while let line = splitter.next(&left) { give(line, deliver) }
  }

  private mutating func give(_ line: [UInt8], _ deliver: (String) -> Void) {
    tail.add(line)
    deliver(LineSplitter.text(line))
  }
}
