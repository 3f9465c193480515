import CCurl
import Glibc
package import LinuxSystem
import Vocabulary

/// Asks over HTTP through libcurl. Blocks for at most the question's time-out; no signal is used, no proxy, no cookie, and
/// nothing of the environment. Source: libcurl-easy(3).
package enum Web {
  /// `route` leads elsewhere than the URL says; nil: it does not. `abort` ends the waiting when it becomes readable.
  package static func ask(
    _ question: WebQuestion, through route: (any WebRoute)? = nil, abort: Descriptor? = nil
  ) -> WebReport {
    guard let address = WebAddress(question.url) else {
      return WebReport(
        asked: question.subject, came: "nothing", took: .zero,
        failure: "is no URL to ask: http://…, https://… or unix:/PATH:/… is")
    }
    if let why = unusable(question) {
      return WebReport(asked: question.subject, came: "nothing", took: .zero, failure: why)
    }
    var answer = cc_answer()
    perform(question, address, route, abort, &answer)
    defer { cc_release(&answer) }
    return report(question, answer, route)
  }

  /// A line break in a method or header would be a second header.
  private static func unusable(_ question: WebQuestion) -> String? {
    let isToken = { (text: String) in
      !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !":\r\n\"(),/;<=>?@[]{}\\".utf8.contains($0) }
    }
    if !isToken(question.method) { return "\"\(Excerpt.line(question.method))\" is no method" }
    for header in question.headers {
      if !isToken(header.name) { return "\"\(Excerpt.line(header.name))\" is no name of a header" }
      if header.value.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) {
        return "the header \(header.name) has control characters"
      }
    }
    return nil
  }

  private static func perform(
    _ question: WebQuestion, _ address: WebAddress, _ route: (any WebRoute)?, _ abort: Descriptor?,
    _ answer: inout cc_answer
  ) {
    var texts: [UnsafeMutablePointer<CChar>?] = []
    defer { for text in texts { free(text) } }
    func keep(_ text: String?) -> UnsafePointer<CChar>? {
      guard let text, let copy = strdup(text) else { return nil }
      texts.append(copy)
      return UnsafePointer(copy)
    }
    // An empty value takes a semicolon to be sent at all: CURLOPT_HTTPHEADER(3).
    let headers = question.headers.map { keep($0.value.isEmpty ? "\($0.name);" : "\($0.name): \($0.value)") }
    var request = cc_question()
    request.url = keep(address.url)
    request.method = keep(question.method)
    request.unix_path = keep(address.unixPath)
    request.ca_file = keep(question.caFile)
    request.connect_timeout_ms = question.connectTimeout.milliseconds
    request.timeout_ms = question.timeout.milliseconds
    request.redirects = Int64(max(0, min(question.redirects, 50)))
    request.body_limit = WebQuestion.bodyLimit
    request.abort_descriptor = abort?.raw ?? -1
    // A class, so that C can carry it.
    let context = route.map { Lender(route: $0) }
    switch route?.target {
    case .tcp(let host, let port):
      request.connect_to = keep("\(bracketed(address.host)):\(address.port):\(bracketed(host)):\(port)")
      request.context = context.map { Unmanaged.passUnretained($0).toOpaque() }
      request.take_socket = { context, host, port in
        guard let context, let host else { return -1 }
        let lender = Unmanaged<Lender>.fromOpaque(context).takeUnretainedValue()
        // libcurl closes it.
        return lender.route.socket(to: String(cString: host), port: UInt16(clamping: port))?.take() ?? -1
      }
    case .unix(let path): request.unix_path = keep(path)
    case nil: break
    }
    headers.withUnsafeBufferPointer { list in
      request.headers = list.baseAddress
      request.header_count = list.count
      cc_ask(&request, &answer)
    }
    withExtendedLifetime(context) {}
  }

  private static func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }

  private final class Lender {
    let route: any WebRoute
    init(route: any WebRoute) { self.route = route }
  }

  // MARK: What came

  private static func report(
    _ question: WebQuestion, _ answer: cc_answer, _ route: (any WebRoute)?
  ) -> WebReport {
    let took = Duration.microseconds(answer.took_us)
    var report = WebReport(asked: question.subject, came: "nothing", took: took)
    switch answer.end {
    case CC_ANSWERED: judge(question, answer, &report)
    case CC_ABORTED:
      report.failure = "ended on request"
      report.isAborted = true
    case CC_FAILED: report.failure = route?.refusal ?? trouble(question, answer, took)
    default: report.failure = "libcurl cannot be used: \(reason(answer)); install the package libcurl4"
    }
    return report
  }

  private static func reason(_ answer: cc_answer) -> String {
    withUnsafeBytes(of: answer.reason) { Excerpt.line(String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)) }
  }

  private static func trouble(_ question: WebQuestion, _ answer: cc_answer, _ took: Duration) -> String {
    switch cc_trouble(answer.code) {
    case CC_TROUBLE_URL: return "is no URL that can be asked: \(reason(answer))"
    case CC_TROUBLE_RESOLVE: return "the name of the host is not known: \(reason(answer))"
    case CC_TROUBLE_CONNECT: return "nobody takes the connection: \(reason(answer))"
    case CC_TROUBLE_TIMEOUT:
      let within = answer.connected_us == 0 ? question.connectTimeout : question.timeout
      let what = answer.connected_us == 0 ? "no connection" : answer.status > 0 ? "no end of its answer" : "no answer"
      return "\(what) within \(min(within, question.timeout).text)"
    case CC_TROUBLE_REDIRECTS:
      return "redirected more than \(question.redirects) times"
        + (location(answer).isEmpty ? "" : ", the last time to \(location(answer))")
    case CC_TROUBLE_TLS: return "TLS: \(reason(answer))"
    case CC_TROUBLE_CUT: return "the connection ended in the middle: \(reason(answer))"
    default: return reason(answer)
    }
  }

  private static func location(_ answer: cc_answer) -> String {
    withUnsafeBytes(of: answer.location) {
      Excerpt.line(WebAddress.plain(String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)))
    }
  }

  private static func judge(_ question: WebQuestion, _ answer: cc_answer, _ report: inout WebReport) {
    let status = Int(answer.status)
    report.status = status
    report.came = "\(status) in \(report.took.text)"
    let body = UnsafeBufferPointer(start: answer.body, count: answer.body_length)
    guard question.statuses.contains(status) else {
      let wanted = question.statuses.map { "\($0)" }.joined(separator: " or ")
      report.failure =
        "\(report.came); expected \(wanted)"
        + (location(answer).isEmpty ? "" : "; it redirects to \(location(answer)), and `follow` allows no more")
      report.excerpt = Excerpt.of(body)
      return
    }
    let expectation = Expectation(contains: question.contains, member: question.member)
    if let why = expectation.unmet(by: body, isCut: answer.body_is_cut) {
      report.failure = "\(report.came), but \(why)"
      report.excerpt = Excerpt.of(body)
      return
    }
    if let limit = question.maxLatency, report.took > limit {
      report.failure = "\(report.came); it may take \(limit.text)"
    }
  }
}
