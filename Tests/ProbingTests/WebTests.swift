import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import Probing

@Suite struct GoodAnswers {
  @Test func aPlainOneIsGood() {
    let server = StubServer { $0.answer("200 OK", "fine") }
    defer { server.stop() }
    let report = Web.ask(WebQuestion(url: server.url + "/health"))
    #expect(report.isGood && report.status == 200, "\(report)")
    #expect(report.asked == "GET \(server.url)/health")
  }

  @Test func methodAndHeadersReachTheServer() {
    let server = StubServer { exchange in
      let isRight =
        exchange.request.hasPrefix("OPTIONS /x HTTP/1.1\r\n") && exchange.request.contains("\r\nX-Token: a b\r\n")
        && exchange.request.contains("\r\nHost: example.org\r\n") && exchange.request.contains("\r\nX-Empty:")
      exchange.answer(isRight ? "204 No Content" : "400 Bad Request")
    }
    defer { server.stop() }
    var question = WebQuestion(url: server.url + "/x")
    question.method = "OPTIONS"
    question.headers = [("X-Token", "a b"), ("Host", "example.org"), ("X-Empty", "")]
    question.statuses = [200, 204]
    #expect(Web.ask(question).isGood)
  }

  @Test func headAndPostWaitForNoBody() {
    let server = StubServer { exchange in
      if exchange.request.hasPrefix("HEAD ") {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
      } else {
        exchange.answer(exchange.request.contains("Content-Length: 0\r\n") ? "200 OK" : "411 Length Required")
      }
    }
    defer { server.stop() }
    for method in ["HEAD", "POST"] {
      var question = WebQuestion(url: server.url)
      question.method = method
      let report = Web.ask(question)
      #expect(report.isGood, "\(report)")
    }
  }

  @Test func aUnixSocketIsAsked() {
    let path = "/tmp/baton-probing-\(getpid()).sock"
    let server = StubServer(path: path) { exchange in
      exchange.answer(exchange.request.hasPrefix("GET /ready?deep=1 ") ? "200 OK" : "404 Not Found")
    }
    defer {
      server.stop()
      unlink(path)
    }
    let report = Web.ask(WebQuestion(url: "unix:\(path):/ready?deep=1"))
    #expect(report.isGood, "\(report)")
    #expect(report.asked == "GET unix:\(path):/ready")
  }

  @Test func redirectsAreFollowedAsFarAsAllowed() {
    let server = StubServer { exchange in
      if exchange.request.hasPrefix("GET /a ") {
        exchange.answer("302 Found", headers: "Location: /b\r\n")
      } else {
        exchange.answer("200 OK", "there")
      }
    }
    defer { server.stop() }
    var question = WebQuestion(url: server.url + "/a")
    #expect(Web.ask(question).failure?.contains("redirects to \(server.url)/b") == true)
    question.redirects = 1
    question.contains = "there"
    #expect(Web.ask(question).isGood)
  }

  @Test func noProxyOfTheEnvironmentIsUsed() {
    let server = StubServer { $0.answer("200 OK") }
    defer { server.stop() }
    setenv("http_proxy", "http://127.0.0.1:1", 1)
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1)
    defer {
      unsetenv("http_proxy")
      unsetenv("ALL_PROXY")
    }
    #expect(Web.ask(WebQuestion(url: server.url)).isGood)
  }
}

@Suite struct Bodies {
  private func ask(_ body: String, _ change: (inout WebQuestion) -> Void) -> WebReport {
    let server = StubServer { $0.answer("200 OK", body) }
    defer { server.stop() }
    var question = WebQuestion(url: server.url)
    change(&question)
    return Web.ask(question)
  }

  @Test func textMustBeThere() {
    #expect(ask("all is fine") { $0.contains = "is fine" }.isGood)
    #expect(ask("aaaab") { $0.contains = "aab" }.isGood)
    let report = ask("<h1>Welcome to nginx\u{1B}[31m</h1>") { $0.contains = "hotgo" }
    #expect(report.failure?.contains("the body does not contain \"hotgo\"") == true)
    #expect(report.excerpt == "<h1>Welcome to nginx [31m</h1>", "harmless for a terminal")
    #expect(ask("") { $0.contains = "x" }.failure?.contains("an empty body") == true)
  }

  @Test(arguments: [
    ("status", "ok", nil), ("checks.1.state", "up", nil), ("count", "3", nil), ("live", "true", nil),
    ("status", "bad", "status is \"ok\", not \"bad\""), ("checks.7.state", "up", "no checks.7"),
    ("status.deep", "ok", "no status.deep"), ("", "x", "its JSON has no "),
  ])
  func aMemberMustBeEqual(_ path: String, _ value: String, _ failure: String?) {
    let body = #"{"status":"ok","checks":[{"state":"down"},{"state":"up"}],"count":3,"live":true}"#
    let report = ask(body) { $0.member = WebQuestion.Member(path: path, equals: value) }
    if let failure {
      #expect(report.failure?.contains(failure) == true, "\(report)")
    } else {
      #expect(report.isGood, "\(report)")
    }
  }

  @Test func whatIsNoJSONIsSaidSo() {
    let report = ask("<html>") { $0.member = WebQuestion.Member(path: "status", equals: "ok") }
    #expect(report.failure?.contains("the body is not JSON") == true)
  }

  @Test func ofALongBodyTheRestIsNotRead() {
    let server = StubServer { exchange in
      exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nstart")
      let block = String(repeating: "x", count: 65_536)
      for _ in 0..<64 { exchange.write(block) }
      exchange.hang()
    }
    defer { server.stop() }
    var question = WebQuestion(url: server.url)
    question.contains = "start"
    #expect(Web.ask(question).isGood)
    question.contains = "end"
    #expect(Web.ask(question).failure?.contains("the first 1048576 bytes") == true)
  }
}

@Suite struct BadAnswers {
  @Test func anotherStatusIsNamed() {
    let server = StubServer { $0.answer("503 Service Unavailable", "starting") }
    defer { server.stop() }
    let report = Web.ask(WebQuestion(url: server.url))
    #expect(report.failure?.contains("503 in ") == true && report.failure?.contains("expected 200") == true)
    #expect(report.excerpt == "starting")
  }

  @Test func nobodyThere() {
    let server = StubServer { $0.answer("200 OK") }
    let url = server.url
    server.stop()
    // Once the port answers no more it is nobody's.
    var report = Web.ask(WebQuestion(url: url))
    for _ in 0..<100 where report.isGood { report = Web.ask(WebQuestion(url: url)) }
    #expect(report.failure?.contains("nobody takes the connection") == true, "\(report)")
  }

  @Test func aHangEndsAtTheTimeOut() {
    let server = StubServer { $0.hang() }
    defer { server.stop() }
    var question = WebQuestion(url: server.url)
    question.timeout = .milliseconds(200)
    let start = Instant.monotonicNow()
    let report = Web.ask(question)
    #expect(report.failure == "no answer within 200ms", "\(report)")
    #expect(Instant.monotonicNow() - start < .seconds(3))
  }

  @Test func aConnectionThatNobodyTakesEndsAtItsOwnTimeOut() throws {
    // A queue for one, which is full: what comes next is not answered at all.
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(listener) }
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    try withUnsafeMutablePointer(to: &name) {
      try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        try #require(bind(listener, $0, size) == 0 && listen(listener, 0) == 0 && getsockname(listener, $0, &size) == 0)
      }
    }
    let waiting = (0..<3).map { _ in
      let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
      withUnsafePointer(to: &name) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = connect(connection, $0, size) }
      }
      return connection
    }
    defer { for connection in waiting { close(connection) } }
    var question = WebQuestion(url: "http://127.0.0.1:\(UInt16(bigEndian: name.sin_port))/")
    question.connectTimeout = .milliseconds(200)
    question.timeout = .seconds(20)
    let start = Instant.monotonicNow()
    let report = Web.ask(question)
    #expect(report.failure == "no connection within 200ms", "\(report)")
    #expect(Instant.monotonicNow() - start < .seconds(10))
  }

  @Test func aTrickleEndsAtTheTimeOut() {
    let server = StubServer { exchange in
      exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
      for _ in 0..<20 {
        exchange.write("x")
        var nothing = pollfd(fd: -1, events: 0, revents: 0)
        _ = poll(&nothing, 1, 50)
      }
      exchange.hang()
    }
    defer { server.stop() }
    var question = WebQuestion(url: server.url)
    question.timeout = .milliseconds(400)
    #expect(Web.ask(question).failure == "no end of its answer within 400ms")
  }

  @Test func aRedirectLoopEnds() {
    let server = StubServer { $0.answer("302 Found", headers: "Location: /again?token=secret\r\n") }
    defer { server.stop() }
    var question = WebQuestion(url: server.url)
    question.redirects = 5
    let report = Web.ask(question)
    #expect(report.failure?.contains("redirected more than 5 times") == true, "\(report)")
    #expect(report.failure?.contains("secret") == false)
    #expect(server.count == 6)
  }

  @Test func aRedirectToAnotherSchemeIsNotFollowed() {
    let server = StubServer { $0.answer("302 Found", headers: "Location: file:///etc/passwd\r\n") }
    defer { server.stop() }
    var question = WebQuestion(url: server.url)
    question.redirects = 5
    #expect(Web.ask(question).isGood == false)
  }

  @Test func aConnectionCutInTheMiddleIsNoAnswer() {
    let server = StubServer { $0.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf") }
    defer { server.stop() }
    #expect(Web.ask(WebQuestion(url: server.url)).failure?.contains("ended in the middle") == true)
  }

  @Test func slowIsBadWhereItIsLimited() {
    let server = StubServer { exchange in
      var nothing = pollfd(fd: -1, events: 0, revents: 0)
      _ = poll(&nothing, 1, 60)
      exchange.answer("200 OK")
    }
    defer { server.stop() }
    var question = WebQuestion(url: server.url)
    question.maxLatency = .milliseconds(20)
    #expect(Web.ask(question).failure?.contains("it may take 20ms") == true)
    question.maxLatency = .seconds(5)
    #expect(Web.ask(question).isGood)
  }

  @Test func aPersonEndsTheWaiting() throws {
    let server = StubServer { $0.hang() }
    defer { server.stop() }
    let (reader, writer) = try Descriptor.pipe()
    HelperThread.run {
      var nothing = pollfd(fd: -1, events: 0, revents: 0)
      _ = poll(&nothing, 1, 50)
      write(writer.raw, "x", 1)
    }
    let start = Instant.monotonicNow()
    let report = Web.ask(WebQuestion(url: server.url), abort: reader)
    #expect(report.isAborted && !report.isGood)
    #expect(Instant.monotonicNow() - start < .seconds(2))
  }

  @Test(arguments: [
    "ftp://x/", "x", "", "http://", "http://h:0/", "http://h:99999/", "http://[::1/", "unix:relative:/", "unix:/p:x",
    "http://a b/", "file:///etc/passwd",
  ])
  func whatIsNoURLIsSaidSo(_ url: String) {
    #expect(Web.ask(WebQuestion(url: url)).failure?.contains("no URL") == true)
  }

  @Test func aHeaderCannotSmuggleAnother() {
    var question = WebQuestion(url: "http://127.0.0.1:1/")
    question.headers = [("X", "a\r\nHost: evil")]
    #expect(Web.ask(question).failure?.contains("control characters") == true)
    question.headers = []
    question.method = "GET / HTTP/1.1\r\nX:"
    #expect(Web.ask(question).failure?.contains("is no method") == true)
  }

  @Test func secretsStayOutOfWhatIsSaid() {
    let question = WebQuestion(url: "http://user:password@127.0.0.1:1/health?token=secret#x")
    let report = Web.ask(question)
    #expect(report.asked == "GET http://127.0.0.1:1/health")
    #expect(!report.text.contains("password") && !report.text.contains("secret"))
  }
}

@Suite struct Routes {
  final class Route: WebRoute {
    let target: WebTarget
    var asked: [String] = []
    var refusal: String?
    init(_ target: WebTarget) { self.target = target }

    func socket(to host: String, port: UInt16) -> Descriptor? {
      asked.append("\(host) \(port)")
      guard target == .tcp(host: host, port: port) else {
        refusal = "\(host) port \(port) is not of this service"
        return nil
      }
      return Descriptor(owning: Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0))
    }
  }

  @Test func theSocketAndTheAddressAreTheRoutesWhateverTheNameResolvesTo() {
    let server = StubServer { exchange in
      exchange.answer(exchange.request.contains("Host: no-such-host.invalid:8000\r\n") ? "200 OK" : "400 Bad Request")
    }
    defer { server.stop() }
    let route = Route(.tcp(host: "127.0.0.1", port: server.port))
    let report = Web.ask(WebQuestion(url: "http://no-such-host.invalid:8000/health"), through: route)
    #expect(report.isGood && route.asked == ["127.0.0.1 \(server.port)"], "\(report)")
  }

  @Test func aRedirectElsewhereIsRefusedInTheRoutesWords() {
    let server = StubServer { $0.answer("302 Found", headers: "Location: http://127.0.0.1:9000/\r\n") }
    defer { server.stop() }
    var question = WebQuestion(url: "http://localhost:8000/health")
    question.redirects = 3
    let report = Web.ask(question, through: Route(.tcp(host: "127.0.0.1", port: server.port)))
    #expect(report.failure == "127.0.0.1 port 9000 is not of this service", "\(report)")
  }

  @Test func aRedirectToTheSamePlaceGetsASocketOfItsOwn() {
    let server = StubServer { exchange in
      if exchange.request.hasPrefix("GET /a ") {
        exchange.answer("301 Moved Permanently", headers: "Location: /b\r\n")
      } else {
        exchange.answer("200 OK")
      }
    }
    defer { server.stop() }
    let route = Route(.tcp(host: "127.0.0.1", port: server.port))
    var question = WebQuestion(url: "http://localhost:8000/a")
    question.redirects = 1
    #expect(Web.ask(question, through: route).isGood)
    #expect(route.asked.count == 2)
  }

  @Test func aUnixSocketOfAnotherNameIsAsked() {
    let path = "/tmp/baton-probing-route-\(getpid()).sock"
    let server = StubServer(path: path) { $0.answer("200 OK") }
    defer {
      server.stop()
      unlink(path)
    }
    #expect(Web.ask(WebQuestion(url: "unix:/run/nobody.sock:/"), through: Route(.unix(path: path))).isGood)
  }
}
