import LinuxSystem
import Vocabulary

/// What a probe found out. A no is an outcome, not an error.
package enum ProbeResult: Hashable, Sendable {
  case passed
  /// Why not, for the person who is on call: `connection refused`, `status 500 instead of 200, the body begins "…"`.
  case failed(String)

  package var isPassed: Bool { self == .passed }
}

/// Something under way that may be called off: its completion is then never called.
package protocol Cancellable: AnyObject {
  /// May be called at any time, also after the end and more than once.
  func cancel()
}

/// The one answer of a probe: given once, before or at its deadline, after `start` has returned, and not at all after
/// it was called off.
final class PendingAnswer {
  let timeout: Duration
  private let loop: EventLoop
  private var completion: ((ProbeResult) -> Void)?
  private var deadline: TimerToken?
  private var hasBegun = false

  init(loop: EventLoop, timeout: Duration, completion: @escaping (ProbeResult) -> Void) {
    self.loop = loop
    self.timeout = timeout
    self.completion = completion
  }

  /// Sets the deadline, at which `expired` has to give an answer.
  /// - Returns: false when it was begun or called off before.
  func begin(expired: @escaping () -> Void) -> Bool {
    guard !hasBegun, completion != nil else { return false }
    hasBegun = true
    deadline = loop.schedule(after: timeout, expired)
    return true
  }

  /// Only the first counts.
  func give(_ result: ProbeResult) {
    guard let completion else { return }
    cancel()
    completion(result)
  }

  /// For an answer that is known before `start` has returned.
  func giveLater(_ result: ProbeResult) {
    loop.deferred { self.give(result) }
  }

  func cancel() {
    completion = nil
    loop.cancel(deadline)
    deadline = nil
  }
}
