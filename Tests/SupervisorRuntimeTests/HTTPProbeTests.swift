import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem
@testable import SupervisorRuntime

@Suite struct HTTPProbeTests {
  let loop: EventLoop

  init() throws { loop = try EventLoop() }

  /// Asks `server` and waits for the one answer.
  func ask(
    _ server: TinyServer, timeout: Duration = .seconds(5), _ change: (inout HTTPProbe.Request) -> Void = { _ in }
  ) throws -> ProbeResult {
    var request = HTTPProbe.Request(target: server.target, path: "/health", timeout: timeout)
    change(&request)
    return try ask(request)
  }

  func ask(_ request: HTTPProbe.Request) throws -> ProbeResult {
    let answers = Answers()
    HTTPProbe(loop: loop, request: request, completion: answers.take).start()
    #expect(answers.all.isEmpty, "answered from inside start")
    try loop.run { !answers.all.isEmpty }
    try loop.settle()
    #expect(answers.all.count == 1)
    return answers.all[0]
  }

  func server(_ answer: String) throws -> TinyServer { try TinyServer(loop, answer: answer).start() }

  @Test func aRightAnswerPasses() throws {
    let server = try server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    #expect(try ask(server) == .passed)
  }

  @Test func theQuestionIsWhatServersExpect() throws {
    let server = try server("HTTP/1.1 204 No Content\r\n\r\n")
    #expect(
      try ask(server) {
        $0.path = "/a?b=c"; $0.host = "shop.example"
      } == .passed)
    #expect(
      String(decoding: server.connections[0].question, as: UTF8.self)
        == "GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: baton-probe\r\nAccept: */*\r\n"
        + "Connection: close\r\n\r\n")
  }

  @Test func onlyTheNamedStatusPassesAndOtherwiseAny2xx() throws {
    let created = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
    #expect(try ask(server(created)) == .passed)
    #expect(try ask(server(created)) { $0.status = 201 } == .passed)
    #expect(
      try ask(server(created)) { $0.status = 200 } == .failed("status 201 instead of 200, the body is empty"))
    #expect(
      try ask(server("HTTP/1.1 500 Oh\r\nContent-Length: 11\r\n\r\nno\ndatabase"))
        == .failed("status 500 instead of 2xx, body begins \"no\\ndatabase\""))
    #expect(
      try ask(server("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"))
        == .failed("status 302 instead of 2xx, the body is empty"))
  }

  @Test func theBodyMustContainWhatIsAsked() throws {
    let answer = "HTTP/1.0 200 OK\r\n\r\nstate: ok"
    #expect(try ask(server(answer)) { $0.bodyContains = "ok" } == .passed)
    #expect(
      try ask(server(answer)) { $0.bodyContains = "okay" }
        == .failed("body does not contain \"okay\", it begins \"state: ok\""))
  }

  @Test func aFieldIsFoundInWhateverCaseAndPieces() throws {
    let answer =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntRANSFER-encoding:  Chunked\r\n\r\n"
      + "3;x=y\r\nsta\r\n8\r\nte: fine\r\n0\r\nTrailer: yes\r\n\r\n"
    let server = try TinyServer(loop, [.trickle(Array(answer.utf8))]).start()
    #expect(try ask(server) { $0.bodyContains = "state: fine" } == .passed)
  }

  @Test func refusedSaysSo() throws {
    let server = try TinyServer(loop, [])
    server.stop()
    #expect(try ask(server) == .failed("connection refused"))
  }

  @Test func silenceEndsAtTheDeadline() throws {
    let server = try TinyServer(loop, []).start()
    let begun = Instant.monotonicNow()
    #expect(try ask(server, timeout: .milliseconds(60)) == .failed("no answer within 60ms"))
    #expect(Instant.monotonicNow() - begun >= .milliseconds(60))
    #expect(Instant.monotonicNow() - begun < .seconds(2))
  }

  @Test func aSlowAnswerHasNoMoreTimeThanAnother() throws {
    let answer = "HTTP/1.1 200 OK\r\n" + String(repeating: "X: y\r\n", count: 10_000)
    let server = try TinyServer(loop, [.trickle(Array(answer.utf8))]).start()
    let answers = Answers()
    let request = HTTPProbe.Request(target: server.target, path: "/", timeout: .milliseconds(200))
    HTTPProbe(loop: loop, request: request, completion: answers.take).start()
    try loop.run { !answers.all.isEmpty }
    #expect(answers.reason?.hasPrefix("answer not complete within 200ms, ") == true)
    // The wrong status is worth more than the missing rest.
    let wrong = try TinyServer(loop, [.send(Array("HTTP/1.1 503 X\r\n\r\nbusy".utf8))]).start()
    #expect(try ask(wrong, timeout: .milliseconds(200)) == .failed("status 503 instead of 2xx, body begins \"busy\""))
  }

  @Test func anAnswerIsGivenOnceAlsoBeyondTheDeadline() throws {
    let server = try server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    let answers = Answers()
    let request = HTTPProbe.Request(target: server.target, path: "/", timeout: .milliseconds(300))
    HTTPProbe(loop: loop, request: request, completion: answers.take).start()
    var isLater = false
    loop.schedule(after: .milliseconds(400)) { isLater = true }
    try loop.run { isLater }
    #expect(answers.all == [.passed])
  }

  @Test func cancelledIsSilentAndClosesTheConnection() throws {
    let server = try TinyServer(loop, []).start()
    let answers = Answers()
    let request = HTTPProbe.Request(target: server.target, path: "/", timeout: .milliseconds(250))
    let probe = HTTPProbe(loop: loop, request: request, completion: answers.take)
    probe.start()
    try loop.run { server.connections.first?.hasHeard == true }
    probe.cancel()
    try loop.run { server.connections[0].isOver }
    var isLater = false
    loop.schedule(after: .milliseconds(300)) { isLater = true }
    try loop.run { isLater }
    probe.start()
    probe.cancel()
    #expect(answers.all.isEmpty)
  }

  @Test func cancelledRightAfterAStartThatFailedIsSilent() throws {
    let answers = Answers()
    let request = HTTPProbe.Request(target: .unix(path: "/nowhere/socket"), path: "/", timeout: .seconds(1))
    let probe = HTTPProbe(loop: loop, request: request, completion: answers.take)
    probe.start()
    probe.cancel()
    try loop.settle()
    #expect(answers.all.isEmpty)
  }

  // MARK: What goes wrong on the way

  @Test func anAnswerThatComesByteByByteIsReadOnEveryKindOfSocket() throws {
    let scratch = try ScratchDirectory()
    let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine".utf8)
    for server in [
      try TinyServer(loop, [.trickle(answer)]), try TinyServer(loop, v6: true, [.trickle(answer)]),
      try TinyServer(loop, path: "\(scratch.path)/s", [.trickle(answer)]),
    ] {
      _ = try server.start()
      #expect(try ask(server) { $0.bodyContains = "fine" } == .passed)
    }
  }

  @Test func theConnectionIsClosedAsSoonAsTheAnswerIsWhole() throws {
    let server = try TinyServer(loop, [.send(Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".utf8))]).start()
    #expect(try ask(server) == .passed)
    try loop.run { server.connections[0].isOver }
  }

  @Test func otherProtocolsAreNamedAtOnce() throws {
    let server = try TinyServer(loop, [.send(Array("SSH-2.0-x\r\n".utf8))])
    server.listensFirst = false
    _ = try server.start()
    #expect(try ask(server) == .failed("answer is not HTTP: it begins \"SSH-2.0-x\""))
  }

  @Test func anEndBeforeTheAnswerIsSaid() throws {
    #expect(
      try ask(TinyServer(loop, [.close]).start()) == .failed("connection closed without an answer"))
    #expect(try ask(TinyServer(loop, [.reset]).start()) == .failed("connection reset before an answer"))
    let half = Array("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".utf8)
    #expect(
      try ask(TinyServer(loop, [.send(half), .close]).start())
        == .failed("answer is broken: it ends 6 bytes short of its Content-Length"))
    #expect(
      try ask(TinyServer(loop, [.send(half), .reset]).start())
        == .failed("connection reset after \(half.count) bytes of the answer"))
  }

  @Test func aBodyWithoutEndIsReadUpToTheLimitOnly() throws {
    let head = Array("HTTP/1.1 200 OK\r\n\r\nit begins".utf8)
    let server = try TinyServer(loop, [.send(head), .sendFor(ever: [UInt8](repeating: 0x78, count: 10_000))]).start()
    #expect(try ask(server) { $0.bodyContains = "it begins" } == .passed)
    #expect(
      try ask(server) { $0.bodyContains = "needle" }
        == .failed(
          "the first 65536 bytes do not contain \"needle\", it begins \"it begins\(String(repeating: "x", count: 111))\"…"
        ))
    #expect(try ask(server) == .passed)
  }

  @Test func aHeaderWithoutEndIsReadUpToTheLimitOnly() throws {
    let field = Array(String(repeating: "X-Y: z\r\n", count: 1_000).utf8)
    let server = try TinyServer(loop, [.send(Array("HTTP/1.1 200 OK\r\n".utf8)), .sendFor(ever: field)]).start()
    #expect(try ask(server) == .failed("answer is broken: the header is longer than 65536 bytes"))
  }

  @Test func whatWouldSmuggleASecondQuestionIsNotSent() throws {
    let server = try server("HTTP/1.1 200 OK\r\n\r\n")
    let reason = "the path or host of the question has a space or a control character"
    for path in ["/a b", "/a\r\nX: y", "", "health"] {
      #expect(try ask(server) { $0.path = path } == .failed(reason))
    }
    #expect(try ask(server) { $0.host = "a\nb" } == .failed(reason))
    #expect(server.connections.isEmpty)
  }

  @Test func aURLBecomesAQuestion() throws {
    let server = try server("HTTP/1.1 200 OK\r\n\r\n")
    let url = try ProbeURL(text: "http://localhost:\(server.port)/ready?x")
    #expect(try ask(HTTPProbe.Request(url: url, timeout: .seconds(5))) == .passed)
    let question = String(decoding: server.connections[0].question, as: UTF8.self)
    #expect(question.hasPrefix("GET /ready?x HTTP/1.1\r\nHost: localhost:\(server.port)\r\n"))
  }

  // MARK: What makes it a probe

  @Test func itComesFromTheAddressThatIsSaid() throws {
    let server = try server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    #expect(try ask(server) { $0.source = [127, 5, 6, 7] } == .passed)
    #expect(server.connections[0].peer == [127, 5, 6, 7])
    #expect(
      try ask(server) { $0.source = [192, 0, 2, 1] }
        == .failed("cannot bind 192.0.2.1: EADDRNOTAVAIL Cannot assign requested address"))
  }

  /// Asks the kernel's steering, which is what the mark is for: the marked one meets the second listener.
  @Test(.enabled(if: getuid() == 0, "needs root: it marks a socket"))
  func theMarkIsSeenBySteering() throws {
    let options = ListeningSocket.Options(backlog: 16, nonblocking: true)
    let address = SocketAddress.InternetAddress(host: .v4([127, 0, 0, 1]), port: 0)
    let serving = try ListeningSocket.first(address, datagram: false, options)
    let place = SocketAddress.InternetAddress(
      host: address.host, port: try KernelAddress.local(of: serving).port)
    let candidate = try ListeningSocket.joining(place, datagram: false, options)
    try SteeringInstructions.probes(.mark(0xDEAD_BEEF), candidate: 1, serving: 0).attach(to: serving)
    for (mark, meets) in [(0xDEAD_BEEF, candidate), (nil, serving), (7, serving)] as [(UInt32?, Descriptor)] {
      var request = HTTPProbe.Request(target: .tcp(place), path: "/", timeout: .milliseconds(150))
      request.mark = mark
      #expect(try ask(request) == .failed("no answer within 150ms"))
      let met = accept(meets.raw, nil, nil)
      #expect(met >= 0)
      close(met)
    }
  }

  @Test func nothingIsLeftOpen() throws {
    let before = try directoryEntries("/proc/self/fd").count
    for _ in 0..<200 {
      let request = HTTPProbe.Request(target: .unix(path: "/nowhere/s"), path: "/", timeout: .seconds(1))
      #expect(try !ask(request).isPassed)
      let server = try TinyServer(loop, [])
      let probe = HTTPProbe(
        loop: loop, request: .init(target: server.target, path: "/", timeout: .seconds(1)), completion: { _ in })
      probe.start()
      try loop.turn(waiting: false)
      probe.cancel()
    }
    // Other tests run beside this one and open some too.
    #expect(try directoryEntries("/proc/self/fd").count < before + 150)
  }
}
