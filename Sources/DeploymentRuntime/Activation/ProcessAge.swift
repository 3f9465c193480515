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

  /// Those of the cgroup and of those below it; at most so many.
  static func processes(of cgroup: String, limit: Int = 10_000) -> [Int32] {
    guard cgroup.hasPrefix("/"), cgroup.utf8.count > 1 else { return [] }
    var found: [Int32] = []
    for directory in ControlGroups.tree("/sys/fs/cgroup\(cgroup)") {
      guard found.count < limit, let text = try? readFile("\(directory)/cgroup.procs") else { continue }
      found += String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { Int32($0) }
    }
    return found
  }

  private static func start(of pid: Int32) -> UInt64? {
    guard let text = try? readFile("/proc/\(pid)/stat"), let end = text.lastIndex(of: UInt8(ascii: ")")) else {
      return nil
    }
    let fields = String(decoding: text.dropFirst(end + 1), as: UTF8.self).split(separator: " ")
    return fields.count > 19 ? UInt64(fields[19]) : nil
  }
}

/// Directories of cgroup v2.
enum ControlGroups {
  private static let limit = 4_096

  /// The directory and all below it, parents first.
  static func tree(_ top: String) -> [String] {
    var found = [top]
    var next = 0
    while next < found.count, found.count < limit {
      let directory = found[next]
      next += 1
      for name in (try? directoryEntries(directory)) ?? [] {
        var status = stat()
        let path = "\(directory)/\(name)"
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { found.append(path) }
      }
    }
    return found
  }

  /// The kernel's number of a cgroup is the inode of its directory.
  static func number(of directory: String) -> UInt64? {
    var status = stat()
    return stat(directory, &status) == 0 ? UInt64(status.st_ino) : nil
  }

  /// A figure of a file such as `memory.current`, or of a line of one such as `cpu.stat`.
  static func figure(_ file: String, _ name: String? = nil, of cgroup: String) -> UInt64? {
    guard cgroup.hasPrefix("/"), cgroup.utf8.count > 1, let text = try? readFile("/sys/fs/cgroup\(cgroup)/\(file)")
    else {
      return nil
    }
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
    guard let name else { return lines.first.flatMap { UInt64($0) } }
    return lines.first { $0.hasPrefix("\(name) ") }?.split(separator: " ").last.flatMap { UInt64($0) }
  }
}
