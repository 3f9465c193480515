package import LinuxSystem
import Vocabulary

/// One HTTP question, and what makes its answer a good one.
package struct WebQuestion: Hashable, Sendable {
  /// `http://…` or `https://…`, or `unix:/run/app.sock:/path`.
  package var url: String
  package var method = "GET"
  package var headers: [(name: String, value: String)] {
    get { headerList.map { ($0.name, $0.value) } }
    set { headerList = newValue.map { Header(name: $0.name, value: $0.value) } }
  }
  private var headerList: [Header] = []
  /// Any of these.
  package var statuses = [200]
  /// Text that the body contains.
  package var contains: String?
  package var member: Member?
  package var connectTimeout = Duration.seconds(5)
  /// For the whole: connecting, redirects, the last byte of the body.
  package var timeout = Duration.seconds(10)
  package var maxLatency: Duration?
  package var redirects = 0
  /// Certificates to trust instead of the system's.
  package var caFile: String?

  private struct Header: Hashable, Sendable {
    let name: String
    let value: String
  }

  /// A member of the JSON that the body is.
  package struct Member: Hashable, Sendable {
    /// Names and indices with dots: `checks.0.state`.
    package var path: String
    /// Compared with a text as it is, with anything else in its JSON form: `true`, `3`, `null`.
    package var equals: String

    package init(path: String, equals: String) {
      self.path = path
      self.equals = equals
    }
  }

  package init(url: String) { self.url = url }

  /// Of longer bodies the rest is not read.
  package static let bodyLimit = 1024 * 1024

  /// What is asked, for people and records: without user name, password, query, or headers.
  package var subject: String { "\(method) \(WebAddress.plain(url))" }
}

/// Where a question goes in place of what its URL says, and the sockets it goes through.
package protocol WebRoute: AnyObject {
  var target: WebTarget { get }
  /// A socket, not connected, for a connection to that IP address; nil, and then ``refusal`` says why. Never asked for a
  /// Unix socket.
  func socket(to host: String, port: UInt16) -> Descriptor?
  var refusal: String? { get }
}

package enum WebTarget: Hashable, Sendable {
  /// An IP address, IPv6 without brackets.
  case tcp(host: String, port: UInt16)
  case unix(path: String)
}

/// What came of a question.
package struct WebReport: Hashable, Sendable {
  /// What was asked, without secrets.
  package var asked: String
  /// What came, in a few words: `200 in 3 ms`.
  package var came: String
  package var status: Int?
  package var took: Duration
  /// Why it is no good answer; nil: it is good.
  package var failure: String?
  /// The beginning of a body that was not what was expected, made harmless for a terminal.
  package var excerpt: String?
  /// A person asked for an end meanwhile.
  package var isAborted = false

  package init(asked: String, came: String, took: Duration = .zero, failure: String? = nil) {
    self.asked = asked
    self.came = came
    self.took = took
    self.failure = failure
  }

  package var isGood: Bool { failure == nil }

  /// `GET http://127.0.0.1:8000/health: 503 in 2 ms; expected 200`
  package var text: String { "\(asked): " + (failure ?? came) }
}
