import CSystemd
import Glibc
import LinuxSystem
import Vocabulary

/// What systemd is doing to a unit at this moment.
public struct UnitJob: Hashable, Sendable {
  public let number: UInt32
  /// `start`, `stop`, `restart`, `reload`, … While a service stops this tells a stop for good from a restart.
  public let type: String
}

/// How a job ended. Source: JobRemoved in org.freedesktop.systemd1(5).
public enum JobResult: Hashable, Sendable {
  case done
  case failed
  case timeout
  case canceled
  case dependency
  case skipped
  /// One of a later systemd.
  case other(String)

  init(_ text: String) {
    switch text {
    case "done": self = .done
    case "failed": self = .failed
    case "timeout": self = .timeout
    case "canceled": self = .canceled
    case "dependency": self = .dependency
    case "skipped": self = .skipped
    default: self = .other(text)
    }
  }
}

public enum UnitVerb: String, Hashable, Sendable, CaseIterable {
  case start, stop, restart, reload
  /// Reloads what can reload, restarts what cannot, and starts what does not run.
  case reloadOrRestart = "reload-or-restart"

  var method: String {
    switch self {
    case .start: "StartUnit"
    case .stop: "StopUnit"
    case .restart: "RestartUnit"
    case .reload: "ReloadUnit"
    case .reloadOrRestart: "ReloadOrRestartUnit"
    }
  }
}

extension SystemBus {
  /// The job of a unit now; nil without one.
  public func job(of unit: UnitPath) throws(BusError) -> UnitJob? {
    let found = try value(.unit("Job"), at: unit.description, "(uo)") { reader in
      reader.inside("r", "uo") { reader.unsigned().flatMap { number in reader.path().map { (number, $0) } } }
    }
    guard found.0 != 0 else { return nil }
    let property = UnitProperty(interface: "org.freedesktop.systemd1.Job", name: "JobType")
    do {
      return UnitJob(number: found.0, type: try value(property, at: found.1, "s") { $0.string() })
    } catch {
      // It ended between the two questions.
      if error.name == "org.freedesktop.DBus.Error.UnknownObject" { return nil }
      throw error
    }
  }

  /// Starts, stops, restarts or reloads a unit and waits until systemd is done with it, at most `within`. What is still
  /// under way then goes on.
  public func perform(_ verb: UnitVerb, _ name: String, within limit: Duration) throws(BusError) -> JobResult {
    let attempt = "\(verb.rawValue) \(name)"
    let finished = FinishedJobs(library: library)
    var slot: OpaquePointer?
    // Listening comes first: a short job may end before the answer with its name is read.
    let answer = library.pointee.sd_bus_match_signal(
      connection, &slot, nil, Self.managerPath, Self.managerInterface, "JobRemoved",
      { message, context, _ in
        if let message, let context {
          Unmanaged<FinishedJobs>.fromOpaque(context).takeUnretainedValue().take(message)
        }
        return 0
      }, Unmanaged.passUnretained(finished).toOpaque())
    guard answer >= 0 else { throw BusError(attempt, answer: answer) }
    defer {
      _ = library.pointee.sd_bus_slot_unref(slot)
      withExtendedLifetime(finished) {}
    }
    try subscribe()
    let path = try manager(attempt, verb.method, [.string(name), .string("replace")]) { $0.path() }
    return try wait(for: path, in: finished, attempt, until: .monotonicNow() + limit)
  }

  /// Forgets that the unit failed, and how often it was started lately: StartLimitBurst= counts anew. Source:
  /// ResetFailedUnit in org.freedesktop.systemd1(5).
  public func resetFailed(_ name: String) throws(BusError) {
    try manager("reset-failed \(name)", "ResetFailedUnit", [.string(name)]) { _ in () }
  }

  /// systemd sends signals only to those who asked; asking twice is no error.
  private func subscribe() throws(BusError) {
    do {
      try manager("hear of jobs", "Subscribe") { _ in () }
    } catch {
      if error.name != "org.freedesktop.systemd1.AlreadySubscribed" { throw error }
    }
  }

  private func wait(
    for path: String, in finished: FinishedJobs, _ attempt: String, until deadline: Instant
  ) throws(BusError) -> JobResult {
    while true {
      if let result = finished.results[path] { return JobResult(result) }
      let processed = library.pointee.sd_bus_process(connection, nil)
      guard processed >= 0 else { throw BusError(attempt, answer: processed) }
      if processed > 0 { continue }
      let left = deadline - .monotonicNow()
      guard left > .zero else {
        throw BusError(
          attempt, message: "systemd is still at it", remedy: "it goes on; `systemctl list-jobs` shows the job")
      }
      let waited = library.pointee.sd_bus_wait(connection, left.wholeMicroseconds)
      if waited < 0, waited != -EINTR { throw BusError(attempt, answer: waited) }
    }
  }
}

/// Jobs that ended since listening began, also those whose name is not known yet.
private final class FinishedJobs {
  private let library: UnsafePointer<csd_bus>
  private(set) var results: [String: String] = [:]
  private static let limit = 4_096

  init(library: UnsafePointer<csd_bus>) { self.library = library }

  func take(_ message: OpaquePointer) {
    let reader = MessageReader(library: library, message: message)
    guard reader.unsigned() != nil, let path = reader.path(), reader.string() != nil, let result = reader.string(),
      results.count < Self.limit
    else { return }
    results[path] = result
  }
}
