import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import Probing

/// Against `openssl s_server`, with a certificate made here.
@Suite struct TLS {
  @Test func onlyACertificateThatIsTrustedIsGood() throws {
    let directory = "/tmp/baton-probing-tls-\(getpid())"
    mkdir(directory, 0o700)
    defer { _ = Self.run(["rm", "-rf", directory]) }
    let made = Self.run([
      "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
      "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "\(directory)/key.pem", "-out",
      "\(directory)/cert.pem",
    ])
    try #require(made == 0, "openssl made no certificate")
    let port = Self.freePort()
    let pid = Self.start([
      "openssl", "s_server", "-accept", "127.0.0.1:\(port)", "-cert", "\(directory)/cert.pem", "-key",
      "\(directory)/key.pem", "-www", "-quiet",
    ])
    defer {
      kill(pid, SIGKILL)
      waitpid(pid, nil, 0)
    }
    var question = WebQuestion(url: "https://localhost:\(port)/")
    question.caFile = "\(directory)/cert.pem"
    var report = Web.ask(question)
    let deadline = Instant.monotonicNow() + .seconds(10)
    while !report.isGood, Instant.monotonicNow() < deadline { report = Web.ask(question) }
    #expect(report.isGood, "\(report)")
    question.caFile = nil
    #expect(Web.ask(question).failure?.hasPrefix("TLS: ") == true)
    question.caFile = "\(directory)/cert.pem"
    question.url = "https://127.0.0.1:\(port)/"
    #expect(Web.ask(question).failure?.hasPrefix("TLS: ") == true, "the name must be the certificate's")
    question.url = "https://localhost:\(port)/"
    question.caFile = "\(directory)/none.pem"
    #expect(Web.ask(question).failure?.hasPrefix("TLS: ") == true)
  }

  private static func freePort() -> UInt16 {
    let server = StubServer { _ in }
    server.stop()
    return server.port
  }

  private static func start(_ arguments: [String]) -> pid_t {
    var words = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    for number in 0...2 { posix_spawn_file_actions_addopen(&actions, Int32(number), "/dev/null", O_RDWR, 0) }
    defer { posix_spawn_file_actions_destroy(&actions) }
    var pid: pid_t = -1
    guard posix_spawnp(&pid, arguments[0], &actions, nil, &words, environ) == 0 else { return -1 }
    return pid
  }

  private static func run(_ arguments: [String]) -> Int32 {
    let pid = start(arguments)
    guard pid > 0 else { return 127 }
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    return (status >> 8) & 0xFF
  }
}
