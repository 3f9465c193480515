import ControlClient
import ControlProtocol
package import Deployment
import Glibc
import LinuxSystem
package import Systemd
import Vocabulary

/// What runs the service: a unit of systemd's, and, if it is one of baton's, the supervisor in it.
package struct ServiceUnit: Sendable {
  package let name: String
  /// Where batond answers; nil for a unit that baton does not supervise.
  package let control: String?
  package let bus: SystemBus.Address

  package init(_ name: String, control: String?, bus: SystemBus.Address = .automatic) {
    self.name = name
    self.control = control
    self.bus = bus
  }

  // MARK: The supervisor

  /// - Throws: ``ClientError/unreachable(path:_:)`` where none answers.
  func client() throws(ClientError) -> ControlClient {
    // The path of a unit that is not supervised answers nobody.
    try ControlClient(path: control ?? "/nonexistent", patience: .seconds(5))
  }

  func status() throws(ClientError) -> StatusReport { try client().status() }

  /// The status once no handover is under way any more: what was begun comes to its own end, and what was held by
  /// somebody who is gone is given up.
  func settled(within limit: Duration, _ operation: Operation) throws(StepFailure) -> StatusReport {
    let deadline = Instant.monotonicNow() + limit
    while true {
      let status = try asked { () throws(ClientError) in try self.status() }
      if status.handover == nil { return status }
      guard Instant.monotonicNow() < deadline else {
        throw StepFailure(
          .failed, "a handover of \(name) does not come to its end: \(status.text)", next: "baton status shows it")
      }
      try operation.wait(until: .monotonicNow() + .milliseconds(100), ignoringAbort: true)
    }
  }

  /// Waits until a supervisor answers that serves.
  func answering(within limit: Duration, _ operation: Operation, ignoringAbort: Bool) throws(StepFailure)
    -> StatusReport
  {
    let deadline = Instant.monotonicNow() + limit
    while true {
      do throws(ClientError) {
        let status = try self.status()
        if status.serving != nil && status.handover == nil { return status }
      } catch {
        guard Instant.monotonicNow() < deadline else { throw StepFailure(error, of: name) }
      }
      guard Instant.monotonicNow() < deadline else {
        throw StepFailure(.failed, "\(name) does not come to serve within \(limit.text)", next: "baton logs")
      }
      try operation.wait(until: .monotonicNow() + .milliseconds(100), ignoringAbort: ignoringAbort)
    }
  }

  func asked<Answer>(_ body: () throws(ClientError) -> Answer) throws(StepFailure) -> Answer {
    do throws(ClientError) { return try body() } catch { throw StepFailure(error, of: name) }
  }

  // MARK: What runs

  /// For whoever recovers. Waits a while for a handover that is under way.
  package func running(_ operation: Operation) -> Reality.Running {
    guard control != nil else { return isInactive ? .nothing : .unknown }
    do throws(StepFailure) {
      let status = try settled(within: .seconds(120), operation)
      guard let release = status.release, release.text != "-", status.serving != nil else { return .unknown }
      return .release(release)
    } catch { return isInactive ? .nothing : .unknown }
  }

  /// systemd says that it does not run.
  var isInactive: Bool {
    do throws(BusError) {
      return try !UnitState(of: name, SystemBus(bus, timeout: .seconds(5))).isUp
    } catch { return false }
  }
}

extension StepFailure {
  /// What a call to the supervisor ended with.
  init(_ error: ClientError, of unit: String) {
    switch error {
    case .interrupted, .audienceLeft: self = Operation.aborted
    case .refused(.failed(let verdict)): self.init(verdict)
    case .refused(.notAllowed(_, let allowed)):
      self.init(
        .failed, "\(unit): \(error.what)", next: "the deploy user is to be one of \(allowed): usermod -aG baton USER")
    case .unreachable:
      self.init(.failed, "\(unit): \(error.what)", next: "systemctl status \(unit) says why")
    default: self.init(.failed, "\(unit): \(error.what)")
    }
  }

  /// An act of the supervisor that did not end as asked.
  init(_ verdict: VerdictReport) {
    self.init(.failed, verdict.what, next: verdict.next, lines: verdict.lastLines)
  }
}
