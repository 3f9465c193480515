import Deployment
import DeploymentRuntime
import Glibc
import LinuxSystem
import Settings
import Vocabulary

/// The process that does the work: in its own unit, or as a child of `baton deploy --foreground`. Nobody needs to watch
/// it; what it says lies in `output.log`.
struct OperationHost {
  let service: DeployedService
  let id: OperationID

  /// Returns the exit status.
  func run() -> Int32 {
    let layout = service.layout
    let secrets = Result { () throws(StepFailure) in
      try Secrets.read(service.deploy.secrets, in: layout.directory)
    }
    let masker = service.masker((try? secrets.get()) ?? Secrets())
    let news = OperationNewsLog(layout, id, mask: { masker.mask($0) })
    let began = Instant.monotonicNow()
    let outcome: OperationOutcome
    var journal: [String] = []
    // Open to the last word, so that others see that it is still to come.
    let pipe = Result { () throws(SystemError) in try AbortPipe(layout, id) }
    do throws(StepFailure) {
      let request = try OperationRequest.read(layout, id)
      let assembly = try prepare(pipe, request, try secrets.get(), news)
      outcome = Executor(assembly, patience: request.patience).run(request.intent)
      journal = Aftermath.journal(outcome, assembly.operation, since: began)
      Aftermath.leaveBake(outcome, service, news)
    } catch {
      outcome = OperationOutcome(id, refusedBy: error)
    }
    var verdict = OperationVerdict(outcome)
    verdict.journal = journal
    news.end(verdict)
    withExtendedLifetime(pipe) {}
    return outcome.exitStatus
  }

  private func prepare(
    _ pipe: Result<AbortPipe, SystemError>, _ request: OperationRequest, _ secrets: Secrets, _ news: OperationNewsLog
  ) throws(StepFailure) -> Assembly {
    let pipe = try asFailure { () throws(SystemError) in try pipe.get() }
    pipe.takeSignals()
    let effects = Effects(.act)
    try recover(request, news, OperationAssembly(service: service, effects: effects, secrets: secrets))
    return try OperationAssembly(service: service, effects: effects, secrets: secrets)
      .make(request, audience: news, abort: pipe.descriptor)
  }

  /// What was cut off is brought to its end first.
  private func recover(
    _ request: OperationRequest, _ news: OperationNewsLog, _ assembly: OperationAssembly
  ) throws(StepFailure) {
    let recovery = Recover(service.layout, effects: assembly.effects) { (id, intent) throws(StepFailure) in
      news.note("operation \(id) was cut off: it is brought to its end first")
      return try assembly.makeAgain(id, intent, audience: Both(news, news.log(of: id)), abort: nil)
    }
    let outcomes: [OperationOutcome]
    do throws(StepFailure) {
      outcomes = try recovery.run(.now, who: request.intent.who, patience: request.patience)
    } catch {
      // Somebody is at work; taking the lock tells who.
      if error.kind == .busy { return }
      throw error
    }
    for outcome in outcomes {
      news.log(of: outcome.operation).end(OperationVerdict(outcome))
      news.note("operation \(outcome.operation) ended: \(outcome.holds)")
      guard outcome.exitStatus != 2 else {
        throw StepFailure(
          .refused, "operation \(outcome.operation) could not be brought to its end: \(outcome.what ?? "stuck")",
          next: outcome.next)
      }
    }
  }
}
