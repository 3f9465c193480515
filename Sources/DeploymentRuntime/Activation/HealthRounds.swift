import Deployment
import LinuxSystem
import Probing
import Settings
import Vocabulary

/// The health check: rounds of questions until so many in a row went well, or the deadline.
struct HealthRounds {
  let operation: Operation
  let checks: [Settings.Deploy.Health.Check]
  /// For whom the questions are: `the new generation`, `clients`.
  let whom: String
  /// Where a check goes; nil: as its URL says.
  var route: (Settings.Deploy.Health.Check) throws(StepFailure) -> (any WebRoute)? = { _ in nil }
  /// Asked after each round: whether what answers is still what is meant.
  var proof: () throws(StepFailure) -> Void = {}
  var ignoresAbort = false

  /// - Throws: `failed` with the last bad answer, `aborted`, and what ``proof`` throws.
  func run() throws(StepFailure) {
    guard !checks.isEmpty else { return }
    let health = operation.deploy.health
    let policy = HealthPolicy(
      passes: health.passes, interval: health.interval,
      maxInterval: health.maxInterval, deadline: health.deadline)
    if operation.effects.mode == .plan {
      _ = try round()
      return operation.audience.note(
        "\(whom): asked until \(health.passes) rounds in a row are good, \(health.deadline.text) at most")
    }
    let begun = Instant.monotonicNow()
    var random = SystemRandomNumberGenerator()
    var watch = HealthWatch(policy, startedAt: begun, seed: random.next())
    var last: WebReport?
    while true {
      let bad = try round(until: watch.deadline)
      if let bad {
        if bad.isAborted { throw Operation.aborted }
        if bad.text != last?.text { operation.audience.note("health check: \(bad.text)") }
        last = bad
      }
      try proof()
      switch watch.answered(bad == nil, at: .monotonicNow()) {
      case .ask(let at): try operation.wait(until: at, ignoringAbort: ignoresAbort)
      case .passed:
        return operation.audience.note(
          "\(whom): health check passed, \(watch.passed) of \(watch.rounds) rounds good in a row, "
            + "in \((Instant.monotonicNow() - begun).text)")
      case .failed: throw failure(watch, last, took: .monotonicNow() - begun)
      }
    }
  }

  /// One question each; the first bad answer, or nil.
  func round(until deadline: Instant? = nil) throws(StepFailure) -> WebReport? {
    for check in checks {
      var question = WebQuestion(check)
      if let deadline {
        // Nothing is waited for beyond the deadline of the whole.
        let left = max(deadline - .monotonicNow(), .milliseconds(100))
        question.timeout = min(question.timeout, left)
        question.connectTimeout = min(question.connectTimeout, question.timeout)
      }
      let way = operation.effects.mode == .act ? try route(check) : nil
      let report = try operation.effects.act(
        .request, question.subject,
        planned: WebReport(asked: question.subject, came: "planned")
      ) { () throws(StepFailure) in Web.ask(question, through: way, abort: ignoresAbort ? nil : operation.abort) }
      if !report.isGood { return report }
    }
    return nil
  }

  private func failure(_ watch: HealthWatch, _ last: WebReport?, took: Duration) -> StepFailure {
    let needed = watch.policy.passes == 1 ? "none was good" : "never \(watch.policy.passes) good ones in a row"
    let rounds = watch.rounds == 1 ? "1 round" : "\(watch.rounds) rounds"
    return StepFailure(
      .failed, "\(whom): the health check failed: \(last?.text ?? "no answer") (\(rounds) in \(took.text), \(needed))",
      next: "correct the release, or [health] in the settings; baton probe URL asks once by hand",
      lines: last?.excerpt.map { ["body: \($0)"] } ?? [])
  }
}

extension WebQuestion {
  init(_ check: Settings.Deploy.Health.Check) {
    self.init(url: check.url)
    method = check.method
    headers = check.headers.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    statuses = check.statuses
    contains = check.contains
    member = check.json.map { Member(path: $0.path, equals: $0.equals) }
    connectTimeout = check.connectTimeout
    timeout = check.timeout
    maxLatency = check.maxLatency
    redirects = check.redirects
    caFile = check.caFile
  }
}
