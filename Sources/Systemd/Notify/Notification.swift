/// What a service tells its manager: the assignments of sd_notify(3), with one printer and one parser.
///
/// A datagram carries any number of these, but ``fileDescriptorStore(name:poll:)`` and ``barrier`` travel alone, because
/// they say what the datagram's descriptors are for.
public enum Notification: Hashable, Sendable {
  /// `READY=1`: start-up, or a reload, is finished.
  case ready
  /// `RELOADING=1` with `MONOTONIC_USEC=` in the same datagram, as `Type=notify-reload` demands. Always to be followed by
  /// ``ready``, also when the reload failed.
  ///
  /// The time is CLOCK_MONOTONIC in microseconds. nil: ``NotifyClient`` puts the time of sending; ``parse(_:)`` found none.
  case reloading(monotonicMicroseconds: UInt64?)
  /// `STOPPING=1`: final. Never in a reload or when a program executes its successor.
  case stopping
  /// `STATUS=`: one line for people. Control characters are escaped, and it is cut after ``statusLimit`` bytes.
  case status(String)
  /// `ERRNO=`: why the service fails, as errno(3).
  case errno(Int32)
  /// `BUSERROR=`: why the service fails, as the name of a D-Bus error.
  case busError(String)
  /// `EXIT_STATUS=`
  case exitStatus(Int32)
  /// `MAINPID=`: another process is the main process now.
  case mainPID(Int32)
  /// `WATCHDOG=1`: alive. To be sent by what does the work, not beside it.
  case watchdog
  /// `WATCHDOG=trigger`: to be treated as hung at once.
  case watchdogTrigger
  /// `WATCHDOG_USEC=`: from now on expect ``watchdog`` this often.
  case watchdogInterval(Duration)
  /// `EXTEND_TIMEOUT_USEC=`: the start, reload or stop that runs now may take this much longer from now. Must arrive
  /// before the time that applies has passed; the manager has no word for "for ever".
  case extendTimeout(Duration)
  /// `FDSTORE=1`: keep the datagram's descriptors over a crash and a restart, under `name`. With `poll` false
  /// (`FDPOLL=0`) they are kept even when they report an error or a hang-up, as pipes and connections do.
  case fileDescriptorStore(name: String, poll: Bool)
  /// `FDSTOREREMOVE=1`: close what is stored under `name`.
  case fileDescriptorRemove(name: String)
  /// `BARRIER=1`: the receiver closes the datagram's one descriptor once everything sent before is handled.
  case barrier

  /// The manager refuses datagrams above this size (NOTIFY_BUFFER_MAX, PIPE_BUF).
  public static let datagramLimit = 4096
  /// The most bytes of a status, so that it fits a datagram with company.
  public static let statusLimit = 1024

  /// Whether the manager takes `name` for `FDNAME=` and gives it back unchanged: 1 to 255 printable ASCII characters
  /// without colon and backslash.
  public static func isValidDescriptorName(_ name: String) -> Bool {
    (1...255).contains(name.utf8.count)
      && name.utf8.allSatisfy { (0x20...0x7e).contains($0) && $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: "\\") }
  }

  /// The lines of this notification, each `KEY=VALUE` and a line feed.
  public var lines: String {
    switch self {
    case .ready: "READY=1\n"
    case .reloading(nil): "RELOADING=1\n"
    case .reloading(let time?): "RELOADING=1\nMONOTONIC_USEC=\(time)\n"
    case .stopping: "STOPPING=1\n"
    case .status(let text): "STATUS=\(OneLine.assigned(text, limit: Self.statusLimit))\n"
    case .errno(let number): "ERRNO=\(number)\n"
    case .busError(let name): "BUSERROR=\(OneLine.assigned(name, limit: 255))\n"
    case .exitStatus(let status): "EXIT_STATUS=\(status)\n"
    case .mainPID(let pid): "MAINPID=\(pid)\n"
    case .watchdog: "WATCHDOG=1\n"
    case .watchdogTrigger: "WATCHDOG=trigger\n"
    case .watchdogInterval(let interval): "WATCHDOG_USEC=\(interval.wholeMicroseconds)\n"
    case .extendTimeout(let time): "EXTEND_TIMEOUT_USEC=\(time.wholeMicroseconds)\n"
    case .fileDescriptorStore(let name, let poll): "FDSTORE=1\nFDNAME=\(name)\n" + (poll ? "" : "FDPOLL=0\n")
    case .fileDescriptorRemove(let name): "FDSTOREREMOVE=1\nFDNAME=\(name)\n"
    case .barrier: "BARRIER=1\n"
    }
  }
}

extension Duration {
  /// For `…_USEC=`: never negative, never the value that means "for ever", saturating.
  var wholeMicroseconds: UInt64 {
    guard self > .zero else { return 0 }
    let (seconds, attoseconds) = components
    let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000)
    let (sum, sumOverflow) = whole.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000_000))
    return overflow || sumOverflow ? .max - 1 : sum
  }
}
