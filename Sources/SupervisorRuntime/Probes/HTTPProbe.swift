import Glibc
package import LinuxSystem
import Vocabulary

/// Asks one question over plain HTTP/1.1 and judges the answer.
///
/// One deadline covers everything; at most ``HTTPAnswer/limit`` bytes of the answer are looked at. No redirects, no
/// TLS, no reuse of the connection.
package final class HTTPProbe: Cancellable {
  /// What is asked, and which answer is right.
  package struct Request: Hashable, Sendable {
    package var target: ProbeTarget
    /// Sent as it is, so already encoded.
    package var path: String
    package var host: String
    /// nil: any from 200 to 299.
    package var status: Int?
    /// The body must contain this within the first ``HTTPAnswer/limit`` bytes of the answer.
    package var bodyContains: String?
    package var timeout: Duration
    /// SO_MARK of the connection; needs CAP_NET_ADMIN or CAP_NET_RAW. Not for Unix sockets.
    package var mark: UInt32?
    /// The four bytes of a 127.x address to connect from. IPv4 only.
    package var source: [UInt8]?

    package init(target: ProbeTarget, path: String, timeout: Duration) {
      self.target = target
      self.path = path
      self.timeout = timeout
      host =
        switch target {
        case .tcp(let address): address.probed.text
        case .unix: "localhost"
        }
    }

    package init(url: ProbeURL, timeout: Duration) {
      self.init(target: url.target, path: url.path, timeout: timeout)
      host = url.host
    }
  }

  /// Of the answer, as soon as its header came.
  package var status: Int? { received.status }

  private let request: Request
  private let answer: PendingAnswer
  private let connection: ProbeConnection
  private var unsent: ArraySlice<UInt8> = []
  private var received = HTTPAnswer()

  private static let chunk = 16_384

  /// `completion` is called once, later than ``start()`` and within the request's timeout, unless the probe was
  /// cancelled before.
  package init(loop: EventLoop, request: Request, completion: @escaping (ProbeResult) -> Void) {
    self.request = request
    answer = PendingAnswer(loop: loop, timeout: request.timeout, completion: completion)
    connection = ProbeConnection(
      loop: loop, target: request.target, options: .init(mark: request.mark, source: request.source))
  }

  /// A started probe stays alive by itself until it has answered or was cancelled.
  package func start() {
    guard answer.begin(expired: { [self] in finish(.failed(delay())) }) else { return }
    guard let text = request.text else {
      return answer.giveLater(.failed("the path or host of the question has a space or a control character"))
    }
    unsent = ArraySlice(text.utf8)
    do throws(ConnectError) {
      try connection.open { [self] failure in
        if let failure { finish(.failed(failure)) } else { connected() }
      }
    } catch {
      connection.close()
      answer.giveLater(.failed(error.reason))
    }
  }

  package func cancel() {
    connection.close()
    answer.cancel()
  }

  private func finish(_ result: ProbeResult) {
    connection.close()
    answer.give(result)
  }

  // MARK: Talking

  private func connected() {
    attempt { () throws(SystemError) in try connection.watch(.write) { [self] in send() } }
    send()
  }

  private func send() {
    attempt { () throws(SystemError) in
      do throws(SystemError) {
        while !unsent.isEmpty {
          guard let count = try connection.send(unsent) else { return }
          unsent = unsent.dropFirst(count)
        }
      } catch  where error.errno == EPIPE {
        // It closed without hearing us out; it may have said why.
        unsent = []
      }
      try connection.watch(.read) { [self] in receive() }
    }
  }

  private func receive() {
    attempt { () throws(SystemError) in
      var buffer = [UInt8](repeating: 0, count: Self.chunk)
      while let count = try connection.receive(into: &buffer) {
        do throws(HTTPAnswerFault) {
          if count == 0 { try received.end() } else { try received.take(buffer[..<count]) }
        } catch { return finish(.failed(error.reason)) }
        if received.isComplete { return finish(judgement()) }
      }
    }
  }

  private func attempt(_ work: () throws(SystemError) -> Void) {
    do throws(SystemError) { try work() } catch {
      switch error.errno {
      case ECONNRESET where received.received == 0: finish(.failed("connection reset before an answer"))
      case ECONNRESET: finish(.failed("connection reset after \(received.received) bytes of the answer"))
      default: finish(.failed("cannot \(error)"))
      }
    }
  }

  // MARK: Judging

  private func delay() -> String {
    guard connection.isConnected else { return connection.delay(request.timeout) }
    if let wrong = wrongStatus() { return wrong }
    guard received.received > 0 else { return "no answer within \(request.timeout.text)" }
    return "answer not complete within \(request.timeout.text), \(received.received) bytes came"
  }

  private func judgement() -> ProbeResult {
    if let wrong = wrongStatus() { return .failed(wrong) }
    guard let wanted = request.bodyContains, !received.body.contains(Array(wanted.utf8)) else { return .passed }
    let place = received.isCut ? "the first \(HTTPAnswer.limit) bytes do" : "body does"
    return .failed("\(place) not contain \(Excerpt.beginning(of: wanted.utf8)), \(bodyBegins(with: "it begins"))")
  }

  private func wrongStatus() -> String? {
    guard let status else { return nil }
    let isRight = request.status.map { $0 == status } ?? (200...299).contains(status)
    guard !isRight else { return nil }
    let wanted = request.status.map { "\($0)" } ?? "2xx"
    return "status \(status) instead of \(wanted), \(bodyBegins(with: "body begins"))"
  }

  private func bodyBegins(with words: String) -> String {
    received.body.isEmpty ? "the body is empty" : "\(words) \(Excerpt.beginning(of: received.body))"
  }
}

extension HTTPProbe.Request {
  /// The whole question; nil when a part of it would end its line early.
  fileprivate var text: String? {
    guard path.hasPrefix("/"), (path + host).utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return nil }
    return
      "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: baton-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n"
  }
}

extension [UInt8] {
  /// Whether `part` occurs in one piece.
  fileprivate func contains(_ part: [UInt8]) -> Bool {
    guard let first = part.first else { return true }
    guard count >= part.count else { return false }
    return indices.dropLast(part.count - 1).contains { start in
      self[start] == first && self[start..<(start + part.count)].elementsEqual(part)
    }
  }
}
