import Glibc

/// The descriptors a service manager passed at start: sockets of `.socket` units and what the descriptor store kept,
/// which only their names tell apart. Source: sd_listen_fds_with_names(3).
///
/// Their order means nothing: match by name. Names may repeat.
public struct ListenDescriptors: Hashable, Sendable {
  public struct Passed: Hashable, Sendable {
    /// `FileDescriptorName=` of the socket unit, `FDNAME=` of the store; `unknown` when the manager gave no names.
    public let name: String
    /// Open, close-on-exec, and the caller's to close.
    public let descriptor: Int32
  }

  public let all: [Passed]

  /// The first number the protocol passes descriptors at (SD_LISTEN_FDS_START).
  public static let firstDescriptor: Int32 = 3

  /// Takes what the manager passed to this process, and sets close-on-exec. Empty without a manager, or when the
  /// variables are meant for another process. They are removed unless `unset` is false, so that no child believes them;
  /// call it before starting any thread, and once.
  public static func fromEnvironment(unset: Bool = true) throws(SystemdError) -> ListenDescriptors {
    let pid = ManagerEnvironment.take("LISTEN_PID", unset: unset)
    let count = ManagerEnvironment.take("LISTEN_FDS", unset: unset)
    let names = ManagerEnvironment.take("LISTEN_FDNAMES", unset: unset)
    _ = ManagerEnvironment.take("LISTEN_PIDFDID", unset: unset)
    let passed = try parse(pid: pid, count: count, names: names, ownPID: getpid())
    for one in passed {
      guard fcntl(one.descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
        throw SystemdError("take the passed descriptor", "\(one.descriptor) (\(one.name))", errno: errno)
      }
    }
    return ListenDescriptors(all: passed)
  }

  /// What the three variables say, without looking at the descriptors.
  public static func parse(
    pid: String?, count: String?, names: String?, ownPID: Int32
  ) throws(SystemdError) -> [Passed] {
    guard let pid, let count else { return [] }
    func refusal(_ variable: String, _ reason: String) -> SystemdError {
      SystemdError("read", variable, cause: .invalid(reason))
    }
    guard let target = Int32(pid), target > 0 else {
      throw refusal("LISTEN_PID", "\"\(OneLine.escaped(pid, limit: 64))\" is not a process id")
    }
    guard target == ownPID else { return [] }
    // 0 is allowed; the upper bound keeps a wrong number from making this process walk through two billion of them.
    guard let number = Int32(count), (0...65_536).contains(number) else {
      throw refusal("LISTEN_FDS", "\"\(OneLine.escaped(count, limit: 64))\" is not a number from 0 to 65536")
    }
    var list = [String](repeating: "unknown", count: Int(number))
    if let names, number > 0 {
      list = names.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      guard list.count == Int(number) else {
        throw refusal("LISTEN_FDNAMES", "it has \(list.count) names for \(number) descriptors")
      }
    }
    return list.enumerated().map { Passed(name: $1, descriptor: firstDescriptor + Int32($0)) }
  }
}
