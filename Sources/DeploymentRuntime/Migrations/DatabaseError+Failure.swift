import Databases
import Deployment
import LinuxSystem

extension DatabaseError: InjectableError {
  package init(injected errno: Int32, into effect: Effect) {
    self.init(.injected, "\(effect.subject): \(ErrorNumber.name(errno)) \(ErrorNumber.text(errno))")
  }
}

extension DatabaseError {
  func failure(_ what: String, next: String? = nil) -> StepFailure {
    let kind: StepFailure.Kind =
      switch self.kind {
      case .aborted: .aborted
      case .statement, .locked, .timedOut, .connection, .injected: .failed
      }
    return StepFailure(kind, "\(what): \(text)", next: next ?? remedy, lines: lines)
  }

  private var remedy: String? {
    switch kind {
    case .locked:
      "end what holds the lock, or deploy again at a quieter time; [migrate] lock-timeout is how long it waits"
    case .timedOut: "[migrate] statement-timeout and timeout are the limits"
    case .connection: "see that the database runs and that the deploy user may connect, then deploy again"
    case .statement, .aborted, .injected: nil
    }
  }
}
