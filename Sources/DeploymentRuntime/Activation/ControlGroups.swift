import Glibc
import LinuxSystem
import Vocabulary

/// The control groups of units, as systemd has them: cgroup v2, or beside it the older hierarchies. Readable by anyone.
/// Source: cgroups(7).
enum ControlGroups {
  private static let limit = 4_096
  private static let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"]

  /// Of a unit's `ControlGroup`, such as `/system.slice/x.service`; nil where there is none.
  static func directory(of cgroup: String) -> String? {
    guard cgroup.hasPrefix("/"), cgroup.utf8.count > 1 else { return nil }
    return roots.map { $0 + cgroup }.first { access("\($0)/cgroup.procs", F_OK) == 0 }
  }

  /// Where cgroup v2 is mounted; only its numbers are those that sockets have.
  /// Every directory of v2 has this file, and none of v1.
  static var unified: String? { roots.first { access("\($0)/cgroup.controllers", F_OK) == 0 } }

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

  /// What its processes take: the kernel's own figure, or, where memory is not accounted for, the sum of what is resident.
  static func memory(of cgroup: String) -> ByteCount? {
    if let figure = figure("memory.current", of: cgroup) { return ByteCount(figure) }
    let processes = ProcessAge.processes(of: cgroup)
    return processes.isEmpty
      ? nil : ByteCount(processes.compactMap { ProcessTree.residentMemory(of: $0)?.bytes }.reduce(0, +))
  }

  /// CPU time used so far, in microseconds; where it is not accounted for, that of the processes there are.
  static func cpuTime(of cgroup: String) -> UInt64? {
    if let figure = figure("cpu.stat", "usage_usec", of: cgroup) { return figure }
    let processes = ProcessAge.processes(of: cgroup)
    guard !processes.isEmpty else { return nil }
    let ticks = processes.compactMap { ProcessAge.ticks(of: $0) }.reduce(0, +)
    return ticks * 1_000_000 / UInt64(max(sysconf(Int32(_SC_CLK_TCK)), 1))
  }

  /// A figure of a file such as `memory.current`, or of a line of one such as `cpu.stat`.
  private static func figure(_ file: String, _ name: String? = nil, of cgroup: String) -> UInt64? {
    guard let directory = directory(of: cgroup), let text = try? readFile("\(directory)/\(file)") else { return nil }
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
    guard let name else { return lines.first.flatMap { UInt64($0) } }
    return lines.first { $0.hasPrefix("\(name) ") }?.split(separator: " ").last.flatMap { UInt64($0) }
  }
}
