package import LinuxSystem
import Vocabulary

/// Asks whether something accepts connections at an address: connecting is a yes. Nothing is sent.
///
/// A listener whose queue has room counts, whether or not its program ever accepts.
package final class TCPProbe: Cancellable {
  private let answer: PendingAnswer
  private let connection: ProbeConnection

  /// `completion` is called once, later than ``start()`` and within `timeout`, unless the probe was cancelled before.
  package init(
    loop: EventLoop, target: ProbeTarget, timeout: Duration, completion: @escaping (ProbeResult) -> Void
  ) {
    answer = PendingAnswer(loop: loop, timeout: timeout, completion: completion)
    connection = ProbeConnection(loop: loop, target: target)
  }

  /// A started probe stays alive by itself until it has answered or was cancelled.
  package func start() {
    guard answer.begin(expired: { [self] in finish(.failed(connection.delay(answer.timeout))) }) else { return }
    do throws(ConnectError) {
      try connection.open { [self] failure in finish(failure.map { .failed($0) } ?? .passed) }
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
}

extension ProbeConnection {
  /// Why there was no connection in time.
  func delay(_ timeout: Duration) -> String {
    switch target {
    case .unix: "no connection within \(timeout.text): its queue is full, nobody accepts"
    case .tcp:
      "no connection within \(timeout.text): its queue is full and nobody accepts, or a filter drops what is sent"
    }
  }
}
