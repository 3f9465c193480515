/// Through here goes everything a deploy does to the world: one call, one effect, one fault point before and one after.
/// Reading is no effect.
///
/// - A plan is the same code with an `Effects` that only writes down.
/// - Tests end, stop or fail the process at each point: see ``FaultPlan``.
package final class Effects {
  package enum Mode: Hashable, Sendable { case act, plan }

  package let mode: Mode
  /// In the order done, or planned. At most ``logLimit``; the count goes on.
  package private(set) var log: [Effect] = []
  package private(set) var count = 0
  private let faults: FaultPlan?
  /// Called right after each effect that was done, and that nothing went wrong with: for tests that look at every
  /// instant.
  package var observer: ((Effect) -> Void)?

  package static let logLimit = 10_000

  package init(_ mode: Mode, faults: FaultPlan? = FaultPlan.fromEnvironment()) {
    self.mode = mode
    self.faults = faults
  }

  /// Does `act`, or in a plan answers `planned`.
  package func perform<Answer, Failure: InjectableError>(
    _ kind: Effect.Kind, _ subject: String, planned: @autoclosure () -> Answer, _ act: () throws(Failure) -> Answer
  ) throws(Failure) -> Answer {
    let effect = Effect(kind, subject)
    count += 1
    if log.count < Self.logLimit { log.append(effect) }
    guard mode == .act else { return planned() }
    if let errno = faults?.reach(count, .before, effect) { throw Failure(injected: errno, into: effect) }
    let answer = try act()
    observer?(effect)
    if let errno = faults?.reach(count, .after, effect) { throw Failure(injected: errno, into: effect) }
    return answer
  }

  package func perform<Failure: InjectableError>(
    _ kind: Effect.Kind, _ subject: String, _ act: () throws(Failure) -> Void
  ) throws(Failure) {
    try perform(kind, subject, planned: (), act)
  }
}
