import ArgumentParser
import ControlProtocol
import Glibc
import LinuxSystem
import Probing
import Vocabulary

struct Probe: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Asks a URL once, as a health check does, and says what came.",
    discussion: """
      Exit status 0 when the answer is as expected, 1 when it is not. Nothing of the environment counts: no proxy, no \
      cookies. For a Unix socket: unix:/run/app.sock:/health.
      """)

  @Argument(help: "http://…, https://… or unix:/PATH:/…") var url: String
  @Option(help: "Such as GET, HEAD or POST.") var method = "GET"
  @Option(help: ArgumentHelp("A header, such as \"Host: example.org\".", valueName: "header"))
  var header: [String] = []
  @Option(help: ArgumentHelp("What is expected; may be repeated.", valueName: "number")) var status: [Int] = []
  @Option(help: ArgumentHelp("Text the body must contain.", valueName: "text")) var contains: String?
  @Option(help: ArgumentHelp("A member of the body's JSON, such as checks.0.state=up.", valueName: "path=value"))
  var member: String?
  @Option(
    help: ArgumentHelp("For the whole, such as 5s.", valueName: "duration"), transform: { try Duration(text: $0) })
  var timeout: Duration = .seconds(10)
  @Option(
    help: ArgumentHelp("A slower answer is none.", valueName: "duration"), transform: { try Duration(text: $0) })
  var maxLatency: Duration?
  @Option(help: ArgumentHelp("How many redirects are followed.", valueName: "number")) var follow = 0
  @Option(help: ArgumentHelp("Certificates to trust instead of the system's.", valueName: "file")) var caFile: String?

  func run() throws {
    let report = Web.ask(try question())
    guard let failure = report.failure else {
      return Terminal.print("\(plain(report.asked)): \(report.came)")
    }
    var refusal = Failure(.failed, "\(plain(report.asked)): \(plain(failure))")
    refusal.lines = report.excerpt.map { ["body: \(plain($0))"] } ?? []
    throw refusal
  }

  private func question() throws -> WebQuestion {
    var question = WebQuestion(url: url)
    question.method = method
    for text in header {
      guard let colon = text.firstIndex(of: ":") else {
        throw Failure(.usage, "\"\(plain(text))\" is no header", next: "write --header \"Name: value\"")
      }
      let value = text[text.index(after: colon)...].drop { $0 == " " }
      question.headers.append((String(text[..<colon]), String(value)))
    }
    if !status.isEmpty { question.statuses = status }
    question.contains = contains
    if let member {
      guard let equals = member.firstIndex(of: "=") else {
        throw Failure(.usage, "\"\(plain(member))\" is no member and value", next: "write --member status=ok")
      }
      question.member = WebQuestion.Member(
        path: String(member[..<equals]), equals: String(member[member.index(after: equals)...]))
    }
    question.timeout = timeout
    question.connectTimeout = timeout
    question.maxLatency = maxLatency
    question.redirects = follow
    question.caFile = caFile
    return question
  }
}
