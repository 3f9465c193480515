import Deployment
import Glibc
import LinuxSystem
import Vocabulary

/// A ``StepFailure`` that tests can inject.
struct StepFault: InjectableError {
  let failure: StepFailure

  init(_ failure: StepFailure) { self.failure = failure }

  init(injected errno: Int32, into effect: Effect) {
    failure = StepFailure(
      .failed, "\(effect.kind.rawValue) \(effect.subject): \(ErrorNumber.name(errno)) \(ErrorNumber.text(errno))")
  }
}

extension Effects {
  /// ``perform(_:_:planned:_:)`` for what fails as steps do.
  func act<Answer>(
    _ kind: Effect.Kind, _ subject: String, planned: @autoclosure () -> Answer,
    _ body: () throws(StepFailure) -> Answer
  ) throws(StepFailure) -> Answer {
    do throws(StepFault) {
      return try perform(kind, subject, planned: planned()) { () throws(StepFault) in
        do throws(StepFailure) { return try body() } catch { throw StepFault(error) }
      }
    } catch { throw error.failure }
  }
}

extension Operation {
  /// Somebody asked for an orderly end.
  var isAbortAsked: Bool {
    guard let abort else { return false }
    var entry = pollfd(fd: abort.raw, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, 0) > 0 && entry.revents & Int16(POLLIN) != 0
  }

  static var aborted: StepFailure { StepFailure(.aborted, "it was asked to end") }

  /// Waits for an instant, or for somebody who asks for an orderly end.
  ///
  /// - Throws: `aborted`, unless `ignoringAbort`: on the way back nobody is asked any more.
  func wait(until instant: Instant, ignoringAbort: Bool = false) throws(StepFailure) {
    while true {
      let left = instant - .monotonicNow()
      guard left > .zero else { return }
      var entry = pollfd(fd: ignoringAbort ? -1 : abort?.raw ?? -1, events: Int16(POLLIN), revents: 0)
      let milliseconds = Int32(clamping: left.milliseconds + 1)
      if poll(&entry, 1, milliseconds) > 0, entry.revents & Int16(POLLIN) != 0 { throw Self.aborted }
    }
  }
}
