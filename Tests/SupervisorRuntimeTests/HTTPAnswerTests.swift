import Testing

@testable import SupervisorRuntime

/// RFC 9112, from the side of a client that sent one GET.
@Suite struct HTTPAnswerTests {
  /// What becomes of an answer, however it comes.
  struct Outcome: Hashable, CustomStringConvertible {
    var status: Int?
    var body = ""
    var isComplete = false
    var fault: String?
    var description: String { fault ?? "\(status ?? 0) \(isComplete) \(body)" }
  }

  static func outcome(of pieces: [ArraySlice<UInt8>]) -> Outcome {
    var answer = HTTPAnswer()
    var outcome = Outcome()
    do throws(HTTPAnswerFault) {
      for piece in pieces { try answer.take(piece) }
      try answer.end()
      outcome.isComplete = answer.isComplete
    } catch { outcome.fault = error.reason }
    outcome.status = answer.status
    outcome.body = String(decoding: answer.body, as: UTF8.self)
    return outcome
  }

  static func outcome(of text: String) -> Outcome { outcome(of: [Array(text.utf8)[...]]) }

  static let answers: [String: (status: Int, body: String)] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello": (200, "hello"),
    "HTTP/1.1 200 OK\r\nCONTENT-LENGTH:5  \r\n\r\nhello and what is not of it": (200, "hello"),
    "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\nhello": (200, "hello"),
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n": (200, ""),
    "HTTP/1.0 200 OK\r\n\r\nuntil the end\r\n": (200, "until the end\r\n"),
    "HTTP/1.0 200\n\nbare line feeds": (200, "bare line feeds"),
    "HTTP/1.1 404 \r\nX: a\r\n folded: Content-Length: 1\r\n\r\nno reason": (404, "no reason"),
    "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n": (204, ""),
    "HTTP/1.1 304 Not Modified\r\n\r\n": (304, ""),
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx":
      (200, "x"),
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;name=\"v\"\r\n \r\n0a \r\nlittleboys\r\n000\r\n\r\n":
      (200, "hello littleboys"),
    "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: gzip, Chunked\r\n\r\n2\r\nab\r\n0\r\nT: x\r\n\r\n":
      (200, "ab"),
    "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx": (
      200, "x"
    ),
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nraw": (200, "raw"),
  ]

  @Test(arguments: answers.keys.sorted()) func anAnswerIsTheSameHoweverItIsSplit(text: String) throws {
    let expected = try #require(Self.answers[text])
    let wanted = Outcome(status: expected.status, body: expected.body, isComplete: true)
    let bytes = Array(text.utf8)
    #expect(Self.outcome(of: [bytes[...]]) == wanted)
    #expect(Self.outcome(of: bytes.indices.map { bytes[$0...$0] }) == wanted)
    for place in bytes.indices { #expect(Self.outcome(of: [bytes[..<place], bytes[place...]]) == wanted) }
  }

  /// No prefix of an answer that says its length passes for a whole one.
  @Test(arguments: [
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  ]) func anAnswerThatEndsEarlyIsBroken(text: String) {
    let bytes = Array(text.utf8)
    for count in bytes.indices {
      let outcome = Self.outcome(of: [bytes[..<count]])
      #expect(outcome.fault != nil, "\(count) bytes were taken for an answer")
    }
  }

  @Test(arguments: [
    "": "connection closed without an answer",
    "SSH-2.0-OpenSSH_9.2\r\n": "answer is not HTTP: it begins \"SSH-2.0-OpenSSH_9.2\"",
    "\u{15}\u{3}\u{1}": "answer is not HTTP: it begins \"\\u{15}\\u{3}\\u{1}\"",
    "HTTP/2 200 OK\r\n\r\n": "answer is not HTTP: it begins \"HTTP/2 200 OK\"",
    "HTTP/1.1 2x0 OK\r\n\r\n": "answer is not HTTP: it begins \"HTTP/1.1 2x0 OK\"",
    "HTTP/1.1 2000 OK\r\n\r\n": "answer is not HTTP: it begins \"HTTP/1.1 2000 OK\"",
    "HTTP/1.1 +20 OK\r\n\r\n": "answer is not HTTP: it begins \"HTTP/1.1 +20 OK\"",
    "HTTP/1.1 200 OK\r\nContent-Le": "answer is broken: it ends within its header, after 27 bytes",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n":
      "answer is broken: its Content-Length is \"6\"",
    "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n": "answer is broken: its Content-Length is \"-5\"",
    "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n": "answer is broken: its Content-Length is \"\"",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n":
      "answer is broken: its Content-Length is \"99999999999999999999\"",
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello":
      "answer is broken: it ends 4 bytes short of its Content-Length",
    "HTTP/1.1 200 OK\r\nno colon\r\n\r\n": "answer is broken: its header has a line without a colon: \"no colon\"",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n": "answer is broken: a chunk's size is \"zz\"",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n": "answer is broken: a chunk's size is \"-1\"",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n":
      "answer is broken: a chunk's size is \"7fffffffffffffff\"",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n":
      "answer is broken: a chunk is longer than it says",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello":
      "answer is broken: it ends before its last chunk, after 5 bytes of body",
  ]) func whatIsWrongIsSaid(text: String, reason: String) {
    #expect(Self.outcome(of: text).fault == reason)
  }

  @Test func notMoreThanTheLimitIsRead() throws {
    var answer = HTTPAnswer()
    try answer.take(Array("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n".utf8)[...])
    let piece = [UInt8](repeating: 0x78, count: 50_000)
    try answer.take(piece[...])
    #expect(!answer.isComplete)
    try answer.take(piece[...])
    #expect(answer.isComplete && answer.isCut && answer.received == HTTPAnswer.limit)
    #expect(answer.body.count < HTTPAnswer.limit)
  }

  @Test func aHeaderWithoutEndIsRefused() {
    let endless = "HTTP/1.1 200 OK\r\n" + String(repeating: "X-Y: z\r\n", count: 10_000)
    #expect(Self.outcome(of: endless).fault == "answer is broken: the header is longer than 65536 bytes")
    let interim = String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 3_000)
    #expect(Self.outcome(of: interim).fault == "answer is broken: the header is longer than 65536 bytes")
  }

  /// Whatever comes, it neither traps nor reads on for ever.
  @Test func noiseIsHarmless() {
    var random = SplitMix(state: 42)
    let pieces = [
      "HTTP/1.1 200 OK\r\n", "\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: ", "5", "\n", ":", "0",
    ]
    for _ in 0..<3_000 {
      let text = (0..<Int.random(in: 1...12, using: &random)).map { _ -> [UInt8] in
        Bool.random(using: &random)
          ? Array(pieces.randomElement(using: &random).map { $0.utf8 } ?? "".utf8)
          : (0..<3).map { _ in UInt8.random(in: .min ... .max, using: &random) }
      }
      let whole = Array(text.joined())
      let expected = Self.outcome(of: [whole[...]])
      let split = Self.outcome(of: whole.indices.map { whole[$0...$0] })
      #expect(expected.status == split.status && expected.body == split.body)
      #expect((expected.fault == nil) == (split.fault == nil))
    }
  }
}

/// A repeatable source of numbers (Steele, Lea, Flood: SplitMix64).
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
