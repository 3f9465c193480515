import ArgumentParser
import ControlProtocol
import Deployment
import DeploymentRuntime
import Glibc
import JSON
import LinuxSystem
import Settings
import Vocabulary

/// From a request to its end, or to the moment when nobody watches any more.
struct OperationRun {
  enum Place { case unit, child }

  let service: DeployedService
  let request: OperationRequest
  let format: OutputFormat

  /// `unit` was made before this process became the deploy user.
  func begin(_ unit: DeployUnit?, detached: Bool) throws {
    do throws(StepFailure) {
      try request.write(service.layout, effects: Effects(.act))
    } catch {
      throw Failure(.failed, error.what, holds: "nothing was begun", next: error.next)
    }
    let process: OperationProcess
    if let unit {
      process = try start(unit)
    } else {
      process = try OperationProcess.startChild(service, request.operation)
    }
    if detached {
      if format == .text {
        Terminal.print("operation \(request.operation) works on the host: baton deploy \(service.mention) --attach")
      } else {
        Terminal.print(["operation": .string(request.operation.text), "attached": false])
      }
      return
    }
    try Self.follow(service, request.operation, process, format)
  }

  /// Waits for its turn, at most as long as was said.
  private func start(_ unit: DeployUnit) throws -> OperationProcess {
    let deadline = Instant.monotonicNow() + request.patience
    let process = OperationProcess.unit(unit.name, unit.bus)
    let interruptions = Interruptions()
    while unit.isBusy {
      let left = deadline - .monotonicNow()
      guard left > .zero, interruptions.taken() == 0 else {
        OperationRequest.withdraw(service.layout, request.operation)
        let holder = OperationLock.holder(service.layout).map { "\($0)" } ?? unit.name
        throw Failure(
          .busy, "busy: \(holder)", holds: "nothing was begun",
          next: "baton deploy \(service.mention) --attach follows it; --wait DURATION waits for it")
      }
      var poller = pollfd(fd: interruptions.readable?.raw ?? -1, events: Int16(POLLIN), revents: 0)
      // systemd would tell, to those who subscribe; a second is soon enough for who waits in a queue.
      _ = poll(&poller, 1, Int32(clamping: min(left.milliseconds + 1, 1_000)))
    }
    try unit.start()
    return process
  }

  /// Shows it to its end, and ends as it ended.
  static func follow(
    _ service: DeployedService, _ id: OperationID, _ process: OperationProcess, _ format: OutputFormat
  ) throws {
    let display = format.display
    let end = OperationFollower(service: service, id: id, process: process, display: display).follow()
    display.finish()
    switch end {
    case .verdict(let verdict, let shown): try tell(verdict, shown, format, service)
    case .left:
      Terminal.say("baton: operation \(id) goes on on the host")
      Terminal.say("next:  baton deploy \(service.mention) --attach follows it again")
      throw ExitCode(130)
    case .died:
      throw Failure(
        .needsPerson, "operation \(id) ended without a word: its process was killed or the host went down",
        holds: "not known before it is recovered; nothing of the old release was removed",
        next: "baton recover \(service.mention)")
    case .ignored:
      OperationRequest.withdraw(service.layout, id)
      throw Failure(
        .failed, "operation \(id) was not taken up", holds: "nothing was begun",
        next: "journalctl -u baton-deploy@\(service.name) says why")
    }
  }

  static func tell(
    _ verdict: OperationVerdict, _ shown: Set<String>, _ format: OutputFormat, _ service: DeployedService
  ) throws {
    if format != .text { Terminal.print(verdict.json) }
    guard verdict.exitStatus != 0 else {
      if format == .text {
        let line = "\(plain(verdict.what)) (operation \(verdict.operation), \(Ages.took(verdict.took)))"
        Terminal.print(StyledLine(line), indent: 0)
      }
      return
    }
    if !verdict.journal.isEmpty, format == .text {
      Terminal.say("last lines of \(service.deploy.unit):")
      for line in verdict.journal { Terminal.say("  | \(plain(line))", indent: 4) }
    }
    let lines = format == .text ? verdict.lines.filter { !shown.contains($0) } : verdict.lines
    if !lines.isEmpty, !verdict.journal.isEmpty, format == .text { Terminal.say("last lines of what failed:") }
    var failure = Failure(
      ExitStatus(rawValue: verdict.exitStatus) ?? .failed, verdict.what, holds: verdict.holds,
      next: verdict.next ?? "baton show \(verdict.operation) \(service.settingsOption)shows all of it")
    failure.lines = lines
    failure.isPrinted = format != .text
    throw failure
  }
}

extension DeployedService {
  /// For commands that take no name but this.
  var settingsOption: String { path == "/etc/baton/\(name).toml" ? "" : "--settings \(path) " }
}
