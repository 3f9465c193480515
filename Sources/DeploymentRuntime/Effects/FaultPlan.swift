internal import Glibc
internal import LinuxSystem

/// What shall go wrong at which point: for tests, and only in builds for debugging.
///
/// `BATON_FAULT=17:before:kill` ends the process without notice right before its 17th effect. Others: `hang` (until it is
/// killed), `interrupt` (SIGINT to itself), `hangup` (SIGHUP to itself), or the name of an errno: `ENOSPC`, `EIO`.
/// `BATON_FAULT_IN=run-operation` leaves processes alone that do not have this word among their arguments.
/// Within a test `freeze` stands for a kill: nothing is done to the world from that point on.
/// `BATON_FAULT_LOG=FILE` gets a line for each point reached: `17 before rename /opt/x/current`.
package struct FaultPlan {
  package enum Side: String, Hashable, Sendable { case before, after }

  package enum Fault: Hashable, Sendable {
    case kill, hang, interrupt, hangup, freeze
    case error(Int32)
  }

  private var target: (number: Int, side: Side, fault: Fault)?
  private var log: Descriptor?

  /// For tests inside the process: the effect of this number ends so.
  package init(_ number: Int, _ side: Side, _ fault: Fault) { target = (number, side, fault) }
  package init(number: Int, _ side: Side, errno: Int32) { self.init(number, side, .error(errno)) }

  private init() {}

  package static func fromEnvironment() -> FaultPlan? {
    #if DEBUG
      if let word = variable("BATON_FAULT_IN"), !CommandLine.arguments.contains(word) { return nil }
      var plan = FaultPlan()
      if let text = variable("BATON_FAULT") { plan.target = parse(text) }
      if let path = variable("BATON_FAULT_LOG") {
        let raw = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        if raw >= 0 { plan.log = Descriptor(owning: raw) }
      }
      return plan.target == nil && plan.log == nil ? nil : plan
    #else
      return nil
    #endif
  }

  private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  private static func parse(_ text: String) -> (number: Int, side: Side, fault: Fault)? {
    let parts = text.split(separator: ":").map(String.init)
    guard parts.count == 3, let number = Int(parts[0]), let side = Side(rawValue: parts[1]) else { return nil }
    switch parts[2] {
    case "kill": return (number, side, .kill)
    case "hang": return (number, side, .hang)
    case "interrupt": return (number, side, .interrupt)
    case "hangup": return (number, side, .hangup)
    case let name:
      return (1...133).first { ErrorNumber.name($0) == name }.map { (number, side, .error($0)) }
    }
  }

  /// The errno the effect shall end with, or nil.
  func reach(_ number: Int, _ side: Side, _ effect: Effect) -> Int32? {
    if let log {
      let line = Array("\(number) \(side.rawValue) \(effect.kind.rawValue) \(effect.subject)\n".utf8)
      _ = write(log.raw, line, line.count)
    }
    guard let target else { return nil }
    if target.fault == .freeze, number > target.number { return EIO }
    guard target.number == number, target.side == side else { return nil }
    switch target.fault {
    case .kill: kill(getpid(), SIGKILL)
    case .hang: while true { pause() }
    case .interrupt: kill(getpid(), SIGINT)
    case .hangup: kill(getpid(), SIGHUP)
    case .freeze: return EIO
    case .error(let errno): return errno
    }
    return nil
  }
}
