import Vocabulary

/// Why bytes are not a usable HTTP answer.
struct HTTPAnswerFault: Error, Hashable {
  let reason: String
}

/// The answer to one GET as it comes in, in whatever pieces, with the body freed of its framing. Interim answers (1xx)
/// are passed over. Reads ``limit`` bytes at most; what lies behind them is left alone.
/// Source: RFC 9112 §2.2, §4, §6.3, §7.1.
struct HTTPAnswer {
  static let limit = 65_536

  /// Of the final answer, once its header is complete.
  private(set) var status: Int?
  private(set) var body: [UInt8] = []
  /// Nothing more is to be read.
  private(set) var isComplete = false
  /// Complete only because the limit was reached.
  private(set) var isCut = false
  /// How many bytes came, with all framing.
  private(set) var received = 0

  private var step = Step.statusLine
  private var line: [UInt8] = []
  private var statusInLine = 0
  private var length: Int?
  private var transferEncoding: String?

  private enum Step: Hashable {
    case statusLine
    case field
    case fixed(left: Int)
    case chunkSize
    case chunk(left: Int)
    case chunkEnd
    case trailer
    case untilClose
  }

  mutating func take(_ bytes: ArraySlice<UInt8>) throws(HTTPAnswerFault) {
    var rest = bytes.prefix(Self.limit - received)
    received += rest.count
    while !rest.isEmpty, !isComplete {
      switch step {
      case .statusLine, .field, .chunkSize, .chunkEnd, .trailer:
        if takeLine(&rest) { try endLine() } else if step == .statusLine { try checkBeginning() }
      case .fixed(let left):
        let count = takeBody(&rest, left)
        step = .fixed(left: left - count)
        isComplete = left == count
      case .chunk(let left):
        let count = takeBody(&rest, left)
        step = left == count ? .chunkEnd : .chunk(left: left - count)
      case .untilClose:
        _ = takeBody(&rest, rest.count)
      }
    }
    guard received >= Self.limit, !isComplete else { return }
    guard status != nil else { throw fault("the header is longer than \(Self.limit) bytes") }
    isComplete = true
    isCut = true
  }

  /// The other side has closed.
  mutating func end() throws(HTTPAnswerFault) {
    guard !isComplete else { return }
    switch step {
    case .untilClose: isComplete = true
    case .statusLine where received == 0: throw HTTPAnswerFault(reason: "connection closed without an answer")
    case .statusLine, .field: throw fault("it ends within its header, after \(received) bytes")
    case .fixed(let left): throw fault("it ends \(left) bytes short of its Content-Length")
    case .chunkSize, .chunk, .chunkEnd, .trailer:
      throw fault("it ends before its last chunk, after \(body.count) bytes of body")
    }
  }

  private func fault(_ what: String) -> HTTPAnswerFault { HTTPAnswerFault(reason: "answer is broken: \(what)") }

  private func notHTTP() -> HTTPAnswerFault {
    HTTPAnswerFault(reason: "answer is not HTTP: it begins \(Excerpt.beginning(of: line, limit: 60))")
  }

  // MARK: Pieces

  private mutating func takeBody(_ rest: inout ArraySlice<UInt8>, _ most: Int) -> Int {
    let part = rest.prefix(most)
    body += part
    rest = rest.dropFirst(part.count)
    return part.count
  }

  /// Moves bytes into `line` up to a line feed, which is left out. false: the line goes on.
  private mutating func takeLine(_ rest: inout ArraySlice<UInt8>) -> Bool {
    guard let feed = rest.firstIndex(of: UInt8(ascii: "\n")) else {
      line += rest
      rest = []
      return false
    }
    line += rest[..<feed]
    rest = rest[(feed + 1)...]
    if line.last == UInt8(ascii: "\r") { line.removeLast() }
    return true
  }

  /// Says at once when another protocol answers, instead of waiting for a line that never ends.
  private func checkBeginning() throws(HTTPAnswerFault) {
    let expected = Array("HTTP/1.".utf8)
    guard line.prefix(expected.count).elementsEqual(expected.prefix(line.count)) else { throw notHTTP() }
  }

  private mutating func endLine() throws(HTTPAnswerFault) {
    switch step {
    case .statusLine:
      statusInLine = try readStatus()
      step = .field
    case .field where line.isEmpty: try endHeader()
    case .field: try readField()
    case .chunkSize:
      let size = try readChunkSize()
      step = size == 0 ? .trailer : .chunk(left: size)
    case .chunkEnd:
      guard line.isEmpty else { throw fault("a chunk is longer than it says") }
      step = .chunkSize
    case .trailer: isComplete = line.isEmpty
    case .fixed, .chunk, .untilClose: break
    }
    line.removeAll(keepingCapacity: true)
  }

  // MARK: Header

  /// `HTTP/1.1 200 OK`; the reason may be missing, also with its space.
  private func readStatus() throws(HTTPAnswerFault) -> Int {
    try checkBeginning()
    let digits = line.dropFirst(9).prefix(3)
    guard line.count >= 12, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(line[7]), line[8] == UInt8(ascii: " "),
      line.count == 12 || line[12] == UInt8(ascii: " "),
      let status = Int(String(decoding: digits, as: UTF8.self)), (100...999).contains(status)
    else { throw notHTTP() }
    return status
  }

  private mutating func readField() throws(HTTPAnswerFault) {
    // A line folded the old way continues a field; none that matters here is ever that long.
    guard let first = line.first, first != UInt8(ascii: " "), first != UInt8(ascii: "\t") else { return }
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else {
      throw fault("its header has a line without a colon: \(Excerpt.beginning(of: line, limit: 60))")
    }
    let value = Self.trimmed(line[(colon + 1)...])
    switch Self.trimmed(line[..<colon]).lowercased() {
    case "content-length":
      for part in value.split(separator: ",", omittingEmptySubsequences: false) {
        let digits = Self.trimmed(ArraySlice(part.utf8))
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(digits),
          length == nil || length == number
        else { throw fault("its Content-Length is \(Excerpt.beginning(of: value.utf8, limit: 60))") }
        length = number
      }
    case "transfer-encoding":
      transferEncoding = transferEncoding.map { "\($0), \(value)" } ?? value
    default: break
    }
  }

  private mutating func endHeader() throws(HTTPAnswerFault) {
    if (100...199).contains(statusInLine), statusInLine != 101 {
      length = nil
      transferEncoding = nil
      step = .statusLine
      return
    }
    status = statusInLine
    if [101, 204, 304].contains(statusInLine) {
      isComplete = true
    } else if let transferEncoding {
      let last = transferEncoding.split(separator: ",").last.map { Self.trimmed(ArraySlice($0.utf8)) }
      step = last?.lowercased() == "chunked" ? .chunkSize : .untilClose
    } else if let length {
      step = .fixed(left: length)
      isComplete = length == 0
    } else {
      step = .untilClose
    }
  }

  private func readChunkSize() throws(HTTPAnswerFault) -> Int {
    let digits = Self.trimmed(line.prefix { $0 != UInt8(ascii: ";") })
    guard (1...15).contains(digits.utf8.count), digits.first?.isHexDigit == true, let size = Int(digits, radix: 16)
    else { throw fault("a chunk's size is \(Excerpt.beginning(of: line, limit: 60))") }
    return size
  }

  private static func trimmed(_ bytes: ArraySlice<UInt8>) -> String {
    let isBlank = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    var part = bytes.drop(while: isBlank)
    while let last = part.last, isBlank(last) { part.removeLast() }
    return String(decoding: part, as: UTF8.self)
  }
}
