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
    let outcome: OperationOutcome
    do throws(StepFailure) {
      outcome = try operate(try OperationRequest.read(layout, id), try secrets.get(), news)
    } catch {
      outcome = OperationOutcome(id, refusedBy: error)
    }
    news.end(OperationVerdict(outcome))
    return outcome.exitStatus
  }

  private func operate(
    _ request: OperationRequest, _ secrets: Secrets, _ news: OperationNewsLog
  ) throws(StepFailure) -> OperationOutcome {
    let pipe: AbortPipe
    do throws(SystemError) { pipe = try AbortPipe(service.layout, id) } catch { throw StepFailure(.refused, error) }
    pipe.takeSignals()
    let effects = Effects(.act)
    try recover(request, news, OperationAssembly(service: service, effects: effects, secrets: secrets))
    let assembly = try OperationAssembly(service: service, effects: effects, secrets: secrets)
      .make(request, audience: news, abort: pipe.descriptor)
    return Executor(assembly, patience: request.patience).run(request.intent)
  }

  /// What was cut off is brought to its end first.
  private func recover(
    _ request: OperationRequest, _ news: OperationNewsLog, _ assembly: OperationAssembly
  ) throws(StepFailure) {
    let recovery = Recover(service.layout, effects: assembly.effects) { (id, intent) throws(StepFailure) in
      news.note("operation \(id) was cut off: it is brought to its end first")
      return try assembly.makeAgain(id, intent, audience: news, abort: nil)
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
      news.note("operation \(outcome.operation) ended: \(outcome.holds)")
      guard outcome.outcome != .stuck else {
        throw StepFailure(
          .refused,
          "operation \(outcome.operation) could not be brought to its end: \(outcome.failure?.what ?? "stuck")",
          next: outcome.next)
      }
    }
  }
}
