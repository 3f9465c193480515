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
    let request = HTTPProbe.Request(target: server.target, path: "/", timeout: .milliseconds(50))
    HTTPProbe(loop: loop, request: request, completion: answers.take).start()
    try loop.run { !answers.all.isEmpty }
    #expect(answers.reason?.hasPrefix("answer not complete within 50ms, ") == true)
    // The wrong status is worth more than the missing rest.
    let wrong = try TinyServer(loop, [.send(Array("HTTP/1.1 503 X\r\n\r\nbusy".utf8))]).start()
    #expect(try ask(wrong, timeout: .milliseconds(50)) == .failed("status 503 instead of 2xx, body begins \"busy\""))
  }

  @Test func cancelledIsSilentAndClosesTheConnection() throws {
    let server = try TinyServer(loop, []).start()
    let answers = Answers()
    let request = HTTPProbe.Request(target: server.target, path: "/", timeout: .milliseconds(30))
    let probe = HTTPProbe(loop: loop, request: request, completion: answers.take)
    probe.start()
    try loop.run { server.connections.first?.hasHeard == true }
    probe.cancel()
    try loop.run { server.connections[0].isOver }
    var isLater = false
    loop.schedule(after: .milliseconds(60)) { isLater = true }
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
}
