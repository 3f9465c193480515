import CLinux
import Glibc
import Vocabulary

extension ResourceBounds {
  /// The files of a cgroup that say so. Source: cgroup-v2 of the kernel's documentation, memory.max, cpu.max, pids.max.
  var files: [(name: String, value: String)] {
    [
      memory.map { ("memory.max", "\($0.bytes)") },
      // Of each 100 ms.
      processorPercent.map { ("cpu.max", "\($0 * 1_000) 100000") },
      processes.map { ("pids.max", "\($0)") },
    ].compactMap { $0 }
  }
}

/// A cgroup of version 2 with one worker in it.
final class Cgroup: Containment {
  /// Only until the worker is born.
  private(set) var cgroup: Descriptor?
  let path: String

  /// nil when it cannot be made: the caller falls back to sessions.
  init?(path: String) {
    self.path = path
    guard mkdir(path, 0o755) == 0 || errno == EEXIST,
      let directory = try? Descriptor.open(path, flags: O_RDONLY | O_DIRECTORY)
    else { return nil }
    cgroup = directory
  }

  /// One that is there.
  init(existing path: String) { self.path = path }

  func adopt(_ pid: Int32, _ pidfd: Descriptor?) { cgroup = nil }
  func reaped() {}

  func contains(_ pid: Int32) -> Bool {
    guard let place = Cgroup.path(of: "\(pid)") else { return false }
    let name = path.split(separator: "/").last.map(String.init) ?? ""
    return place.split(separator: "/").contains(Substring(name))
  }

  /// Only a cgroup that is gone counts as empty unread: without descriptors to look, something may still live in it.
  var isEmpty: Bool {
    do throws(SystemError) {
      return try Self.lines("\(path)/cgroup.events").contains("populated 0")
    } catch { return error.errno == ENOENT || error.errno == ENODEV }
  }

  func killAll() {
    if Self.write("1", to: "\(path)/cgroup.kill") { return }
    // Before Linux 5.14 there is no cgroup.kill.
    for member in members() { kill(member.pid, SIGKILL) }
  }

  func members() -> [ProcessName] {
    Self.pids(in: path).map { ProcessName(pid: $0, command: ProcessTree.command(of: $0)) }
  }

  /// Without the controller the file is not there, and nothing is bounded: ``ContainmentFactory/enable(_:)`` told.
  func bound(by bounds: ResourceBounds) {
    for file in bounds.files { _ = Self.write(file.value, to: "\(path)/\(file.name)") }
  }

  var outOfMemoryKills: UInt64? {
    guard let lines = try? Self.lines("\(path)/memory.events") else { return nil }
    return lines.first { $0.hasPrefix("oom_kill ") }.flatMap { UInt64($0.dropFirst(9)) }
  }

  /// Pages of files are given back when memory is short, and say nothing of a program that grows.
  var memory: ByteCount? {
    guard let lines = try? Self.lines("\(path)/memory.stat") else { return nil }
    return ByteCount(
      lines.reduce(0) { sum, line in
        let parts = line.split(separator: " ")
        guard parts.count == 2, parts[0] == "anon" || parts[0] == "shmem" else { return sum }
        return sum + (UInt64(parts[1]) ?? 0)
      })
  }

  var memoryEvents: Descriptor? { try? Descriptor.open("\(path)/memory.events", flags: O_RDONLY) }

  func remove() { Self.remove(path) }

  // MARK: Files

  static func lines(_ file: String) throws(SystemError) -> [Substring] {
    // By bytes: where one character ends and the next begins takes long to find.
    String(decoding: try readFile(file), as: UTF8.self).utf8.split(separator: UInt8(ascii: "\n")).map(Substring.init)
  }

  /// Whether the kernel took it.
  static func write(_ text: String, to file: String) -> Bool {
    guard let control = try? Descriptor.open(file, flags: O_WRONLY) else { return false }
    let bytes = Array(text.utf8)
    return Glibc.write(control.raw, bytes, bytes.count) == bytes.count
  }

  /// The cgroups in one, by name; whatever their names are, only they have this file.
  static func children(of path: String) -> [String] {
    ((try? directoryEntries(path)) ?? []).filter { access("\(path)/\($0)/cgroup.procs", F_OK) == 0 }
  }

  private static func remove(_ path: String) {
    for name in children(of: path) { remove("\(path)/\(name)") }
    rmdir(path)
  }

  private static func pids(in path: String) -> [Int32] {
    let own = (try? lines("\(path)/cgroup.procs")) ?? []
    return own.compactMap { Int32($0) } + children(of: path).flatMap { pids(in: "\(path)/\($0)") }
  }

  /// The path of a process in version 2's hierarchy: `0::/system.slice/…`.
  static func path(of process: String) -> String? {
    let line = (try? lines("/proc/\(process)/cgroup"))?.first { $0.hasPrefix("0::") }
    return line.map { String($0.dropFirst(3)) }
  }

  /// Where version 2's hierarchy is mounted.
  static var mount: String? {
    for line in (try? lines("/proc/self/mountinfo")) ?? [] {
      let fields = line.split(separator: " ")
      guard let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count, fields[dash + 1] == "cgroup2",
        fields.count > 4
      else { continue }
      return String(fields[4])
    }
    return nil
  }
}

/// What of cgroups this host has.
package enum CgroupSupport {
  /// The controllers that version 2's hierarchy has here. Those that version 1 has taken are not among them.
  package static var controllers: Set<String> {
    guard let mount = Cgroup.mount, let line = try? Cgroup.lines("\(mount)/cgroup.controllers").first else { return [] }
    return Set(line.split(separator: " ").map(String.init))
  }
}

/// How often the kernel has killed a process for want of memory since boot, in any cgroup or none. Source: proc(5), vmstat.
package enum WantOfMemory {
  package static func kills() -> UInt64 {
    guard var rest = (try? readFile("/proc/vmstat"))?[...] else { return 0 }
    // Not divided into its two hundred lines: that took a tenth of a worker's replacement.
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      if rest.starts(with: name) {
        return UInt64(String(decoding: rest[..<end].dropFirst(name.count), as: UTF8.self)) ?? 0
      }
      rest = rest[(end + 1)...]
    }
    return 0
  }

  private static let name = Array("oom_kill ".utf8)
}
