import CLinux
import Glibc
import LinuxSystem

/// Which processes of a cgroup are younger than something. Readable by anyone: proc(5), cgroups(7).
enum ProcessAge {
  /// Clock ticks since boot, as in /proc/PID/stat.
  static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    let ticks = UInt64(max(sysconf(Int32(_SC_CLK_TCK)), 1))
    return UInt64(time.tv_sec) * ticks + UInt64(time.tv_nsec) * ticks / 1_000_000_000
  }

  static func hasYounger(than ticks: UInt64, in cgroup: String) -> Bool {
    processes(of: cgroup).contains { pid in start(of: pid).map { $0 >= ticks } ?? false }
  }

  static func hasOlder(than ticks: UInt64, in cgroup: String) -> Bool {
    processes(of: cgroup).contains { pid in start(of: pid).map { $0 < ticks } ?? false }
  }

  /// Those of the cgroup and of those below it; at most so many.
  static func processes(of cgroup: String, limit: Int = 10_000) -> [Int32] {
    var found: [Int32] = []
    for directory in ControlGroups.directory(of: cgroup).map({ ControlGroups.tree($0) }) ?? [] {
      guard found.count < limit, let text = try? readFile("\(directory)/cgroup.procs") else { continue }
      found += String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { Int32($0) }
    }
    return found
  }

  private static func start(of pid: Int32) -> UInt64? { number(21, of: pid) }

  /// Clock ticks it has used, itself and the children it waited for.
  static func ticks(of pid: Int32) -> UInt64? {
    let parts = [13, 14, 15, 16].map { number($0, of: pid) }
    return parts.contains(nil) ? nil : parts.reduce(0) { $0 + ($1 ?? 0) }
  }

  /// A field of /proc/PID/stat, counted from 0 as proc(5) counts from 1.
  private static func number(_ field: Int, of pid: Int32) -> UInt64? {
    guard let text = try? readFile("/proc/\(pid)/stat"), let end = text.lastIndex(of: UInt8(ascii: ")")) else {
      return nil
    }
    let fields = String(decoding: text.dropFirst(end + 1), as: UTF8.self).split(separator: " ")
    // The first two, which may hold blanks, are cut off.
    return fields.count > field - 2 ? UInt64(fields[field - 2]) : nil
  }
}
