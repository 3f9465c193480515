import Glibc

/// How often the service manager wants to hear `WATCHDOG=1`. Source: sd_watchdog_enabled(3).
public struct Watchdog: Hashable, Sendable {
  /// After this long without a sign of life, counted from READY=1, the manager kills the service.
  public let limit: Duration

  /// How often to send: twice within the limit. Send the first one together with READY=1.
  public var interval: Duration { limit / 2 }

  /// What `$WATCHDOG_USEC` and `$WATCHDOG_PID` demand of this process; nil when nothing. Both are removed unless `unset`
  /// is false; call it before starting any thread.
  public static func fromEnvironment(unset: Bool = true) throws(SystemdError) -> Watchdog? {
    let microseconds = ManagerEnvironment.take("WATCHDOG_USEC", unset: unset)
    let pid = ManagerEnvironment.take("WATCHDOG_PID", unset: unset)
    return try parse(microseconds: microseconds, pid: pid, ownPID: getpid())
  }

  /// What the two variables say. Without `pid` they are meant for everyone.
  public static func parse(microseconds: String?, pid: String?, ownPID: Int32) throws(SystemdError) -> Watchdog? {
    guard let microseconds else { return nil }
    if let pid {
      guard let target = Int32(pid), target > 0 else {
        throw SystemdError(
          "read", "WATCHDOG_PID", cause: .invalid("\"\(OneLine.escaped(pid, limit: 64))\" is not a process id"))
      }
      guard target == ownPID else { return nil }
    }
    guard let number = Int64(microseconds), number > 0 else {
      throw SystemdError(
        "read", "WATCHDOG_USEC",
        cause: .invalid("\"\(OneLine.escaped(microseconds, limit: 64))\" is not a number of microseconds above 0"))
    }
    return Watchdog(limit: .microseconds(number))
  }
}
