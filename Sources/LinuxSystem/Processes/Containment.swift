import CLinux
import Glibc

/// A process as a report names it.
package struct ProcessName: Hashable, Sendable {
  package let pid: Int32
  package let command: String

  package init(pid: Int32, command: String) {
    self.pid = pid
    self.command = command
  }
}

/// Everything one worker ever started, so that it can be ended whole and counts as gone only when nothing is left.
package protocol Containment: AnyObject {
  /// The cgroup the main process is to be born in, if there is one.
  var cgroup: Descriptor? { get }
  /// The main process has been spawned, as leader of a session of its own.
  func adopt(_ pid: Int32)
  /// Another image of this program spawned it. `hasExited`: the main process has been reaped.
  func resume(_ pid: Int32, hasExited: Bool)
  func contains(_ pid: Int32) -> Bool
  /// Nothing is left but, perhaps, zombies.
  var isEmpty: Bool { get }
  /// SIGKILL to all of it. Stopped and frozen ones die too.
  func killAll()
  func members() -> [ProcessName]
  /// Gives back what was made for it, once it is empty.
  func remove()
}

/// Makes containments: cgroups where systemd has delegated ours (`Delegate=yes`), else by session and descent.
package struct ContainmentFactory {
  private let delegated: String?

  /// Looks once whether our own cgroup is delegated to us. Source: systemd.resource-control(5), cgroups(7).
  package init() { delegated = Cgroup.delegatedDirectory() }

  package var usesCgroups: Bool { delegated != nil }

  /// - Parameters:
  ///   - label: names the cgroup; unique while the worker lives.
  ///   - marker: an environment entry only this worker's processes have.
  ///   - orphans: children of ours that are no worker's main process.
  /// - Returns: a containment for one worker that is yet to be spawned.
  package func make(_ label: String, marker: String, orphans: @escaping () -> [Int32]) -> any Containment {
    if let delegated, let cgroup = Cgroup(path: "\(delegated)/\(label)") { return cgroup }
    return ProcessSession(marker: marker, orphans: orphans)
  }
}

/// A cgroup of version 2 with one worker in it.
final class Cgroup: Containment {
  let cgroup: Descriptor?
  private let path: String

  /// nil when it cannot be made: the caller falls back to sessions.
  init?(path: String) {
    self.path = path
    guard mkdir(path, 0o755) == 0 || errno == EEXIST,
      let directory = try? Descriptor.open(path, flags: O_RDONLY | O_DIRECTORY)
    else { return nil }
    cgroup = directory
  }

  func adopt(_ pid: Int32) {}
  func resume(_ pid: Int32, hasExited: Bool) {}

  func contains(_ pid: Int32) -> Bool {
    guard let place = Cgroup.path(of: "\(pid)") else { return false }
    let name = path.split(separator: "/").last.map(String.init) ?? ""
    return place.split(separator: "/").contains(Substring(name))
  }

  /// Only a cgroup that is gone counts as empty unread: without descriptors to look, something may still live in it.
  var isEmpty: Bool {
    do throws(SystemError) {
      let text = try readFile("\(path)/cgroup.events")
      return String(decoding: text, as: UTF8.self).split(separator: "\n").contains("populated 0")
    } catch { return error.errno == ENOENT || error.errno == ENODEV }
  }

  func killAll() {
    if let control = try? Descriptor.open("\(path)/cgroup.kill", flags: O_WRONLY), write(control.raw, "1", 1) == 1 {
      return
    }
    // Before Linux 5.14 there is no cgroup.kill.
    for member in members() { kill(member.pid, SIGKILL) }
  }

  func members() -> [ProcessName] {
    Self.pids(in: path).map { ProcessName(pid: $0, command: ProcessTree.command(of: $0)) }
  }

  func remove() { Self.remove(path) }

  private static func remove(_ path: String) {
    for name in (try? directoryEntries(path)) ?? [] where !name.contains(".") { remove("\(path)/\(name)") }
    rmdir(path)
  }

  private static func pids(in path: String) -> [Int32] {
    let own = (try? readFile("\(path)/cgroup.procs")).map { String(decoding: $0, as: UTF8.self) } ?? ""
    let nested = ((try? directoryEntries(path)) ?? []).filter { !$0.contains(".") }.flatMap {
      pids(in: "\(path)/\($0)")
    }
    return own.split(separator: "\n").compactMap { Int32($0) } + nested
  }

  /// The path of a process in version 2's hierarchy: `0::/system.slice/…`.
  private static func path(of process: String) -> String? {
    guard let text = try? readFile("/proc/\(process)/cgroup") else { return nil }
    let line = String(decoding: text, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("0::") }
    return line.map { String($0.dropFirst(3)) }
  }

  /// Our own cgroup, if systemd has marked it as ours to divide.
  static func delegatedDirectory() -> String? {
    guard let text = try? readFile("/proc/self/mountinfo"), let own = path(of: "self"), own != "/" else { return nil }
    for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count, fields[dash + 1] == "cgroup2",
        fields.count > 4
      else { continue }
      let path = fields[4] + own
      let directory = String(path)
      let isOurs = ["user.delegate", "trusted.delegate"].contains { (name: String) in
        cl_attribute(directory, name) == 0x31
      }
      if isOurs, access(directory, W_OK) == 0 { return directory }
    }
    return nil
  }
}
