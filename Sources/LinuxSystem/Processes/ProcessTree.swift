import CLinux
import Glibc
package import Vocabulary

/// What /proc tells of processes. Each answer may be out of date when it comes. Source: proc(5).
package enum ProcessTree {
  private static let maxDepth = 64

  /// Children of all threads of `pid`, zombies with them.
  package static func children(of pid: Int32) -> [Int32] {
    let threads = (try? directoryEntries("/proc/\(pid)/task")) ?? []
    return threads.flatMap { thread -> [Int32] in
      guard let text = try? readFile("/proc/\(pid)/task/\(thread)/children") else { return [] }
      return String(decoding: text, as: UTF8.self).split(separator: " ").compactMap { Int32($0) }
    }
  }

  package static func descendants(of pid: Int32, depth: Int = maxDepth) -> [Int32] {
    guard depth > 0 else { return [] }
    return children(of: pid).flatMap { [$0] + descendants(of: $0, depth: depth - 1) }
  }

  package static func command(of pid: Int32) -> String {
    guard let text = try? readFile("/proc/\(pid)/comm") else { return "?" }
    return String(decoding: text.prefix { $0 != 0x0a }, as: UTF8.self)
  }

  /// Also of one that is gone.
  static func isZombie(_ pid: Int32) -> Bool { statistics(of: pid)?.first.map { $0 == "Z" || $0 == "X" } ?? true }

  /// Clock ticks from boot to its start: with the pid it names one process and no later one.
  static func startTime(of pid: Int32) -> UInt64? {
    guard let fields = statistics(of: pid), fields.count > 19 else { return nil }
    return UInt64(fields[19])
  }

  /// The fields of /proc/PID/stat from the third on: what stands before may hold blanks and parentheses.
  private static func statistics(of pid: Int32) -> [Substring]? {
    guard let text = try? readFile("/proc/\(pid)/stat"), let end = text.lastIndex(of: UInt8(ascii: ")")) else {
      return nil
    }
    return String(decoding: text.dropFirst(end + 1), as: UTF8.self).split(separator: " ")
  }

  /// Resident memory of a process.
  package static func residentMemory(of pid: Int32) -> ByteCount? {
    statm(of: pid).map { ByteCount($0.resident) }
  }

  /// Resident memory that is no file's. Anyone may read it; pages shared with a child since its fork count in both.
  package static func anonymousMemory(of pid: Int32) -> UInt64? {
    statm(of: pid).map { $0.resident - min($0.shared, $0.resident) }
  }

  /// In bytes. Source: proc(5), statm.
  private static func statm(of pid: Int32) -> (resident: UInt64, shared: UInt64)? {
    guard let text = try? readFile("/proc/\(pid)/statm") else { return nil }
    let fields = String(decoding: text, as: UTF8.self).split(separator: " ")
    guard fields.count > 2, let resident = UInt64(fields[1]), let shared = UInt64(fields[2]) else { return nil }
    let page = UInt64(sysconf(Int32(_SC_PAGESIZE)))
    return (resident * page, shared * page)
  }

  /// Its share of the memory it has in common with others, and all of its own: what would be free without it. nil also
  /// for the process of another user without CAP_SYS_PTRACE.
  /// Source: proc(5), smaps_rollup. Takes as long as the process is large.
  package static func proportionalMemory(of pid: Int32) -> UInt64? {
    guard let text = try? readFile("/proc/\(pid)/smaps_rollup") else { return nil }
    let line = String(decoding: text, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("Pss:") }
    return line?.split(separator: " ").dropFirst().first.flatMap { UInt64($0) }.map { $0 * 1_024 }
  }

  /// Closes every descriptor from `first` on: whoever started this process may have left some open. Only at the start,
  /// before anything else is opened.
  package static func closeDescriptors(from first: Int32) { _ = cl_close_from(UInt32(max(first, 3))) }

  /// From now on orphans of our children become our children, so that we can find and reap them.
  package static func becomeSubreaper() throws(SystemError) {
    try retrying("become a subreaper") { cl_become_subreaper() }
  }
}

extension Descriptor {
  /// Signals the process of this pidfd, never another that got its number. False when it has ended.
  @discardableResult
  package func signal(_ signal: Signal) -> Bool { cl_signal_process(raw, signal.number) == 0 }

  /// Whether somebody has waited for the process of this pidfd: its number may be another's then.
  package var isReaped: Bool { cl_signal_process(raw, 0) != 0 && errno == ESRCH }
}
