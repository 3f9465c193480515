import Glibc
import Vocabulary

/// A worker's session, and whoever left it: as subreaper we become the parent of every orphan, and an environment entry
/// tells whose it is.
///
/// What escapes: a process that made a session of its own, whose parents are gone, and that cleared its environment.
/// Only a cgroup holds that one.
final class ProcessSession: Containment {
  let cgroup: Descriptor? = nil
  private let marker: [UInt8]
  /// Children of ours that are no worker's main process.
  private let orphans: () -> [Int32]
  private var leader: Int32 = 0
  private var leaderPidfd: Descriptor?
  /// Killed, with their start times: they are here until they have died, though their parents, by which they were found,
  /// may be gone before.
  private var doomed: [Int32: UInt64] = [:]

  /// A program that forks faster than it is found is not chased for ever: whoever waits for emptiness calls again.
  private static let killRounds = 16

  init(marker: String, orphans: @escaping () -> [Int32]) {
    self.marker = Array(marker.utf8)
    self.orphans = orphans
  }

  func adopt(_ pid: Int32, _ pidfd: Descriptor?) {
    leader = pid
    leaderPidfd = pidfd
  }

  func reaped() { leaderPidfd = nil }

  func contains(_ pid: Int32) -> Bool { pid == leader || owner(of: pid) == .ours }

  var isEmpty: Bool {
    doomed = doomed.filter { ProcessTree.startTime(of: $0.key) == $0.value && !ProcessTree.isZombie($0.key) }
    return !isLeading && doomed.isEmpty && children(that: { $0 != .others }).isEmpty
  }

  /// Whether the leader has not been reaped: only then is its number surely its own, and its group's.
  private var isLeading: Bool { leaderPidfd?.isReaped == false }

  func killAll() {
    if isLeading { kill(-leader, SIGKILL) }
    for _ in 0..<Self.killRounds {
      let found = pids().filter { doomed[$0] == nil }
      if found.isEmpty { return }
      // What was told to die cannot fork any more; what it forked just before is found in the next round.
      for pid in found {
        doomed[pid] = ProcessTree.startTime(of: pid)
        kill(pid, SIGKILL)
      }
    }
  }

  func members() -> [ProcessName] {
    Set(pids()).sorted().map { ProcessName(pid: $0, command: ProcessTree.command(of: $0)) }
  }

  func remove() {}

  func bound(by bounds: ResourceBounds) {}
  var outOfMemoryKills: UInt64? { nil }
  var memory: ByteCount? { nil }
  var memoryEvents: Descriptor? { nil }

  private func pids() -> [Int32] {
    let led = isLeading ? [leader] + ProcessTree.descendants(of: leader) : []
    return led.filter { !ProcessTree.isZombie($0) } + children { $0 == .ours }
  }

  private enum Owner {
    case ours, others
    /// In the middle of an execve it has no environment to be told by. It counts as there, but is not killed yet.
    case unknown
  }

  /// Orphans of ours, and below them all whose owner is `wanted`, with what they started.
  private func children(that wanted: (Owner) -> Bool) -> [Int32] {
    func belonging(to pid: Int32) -> [Int32] {
      if ProcessTree.isZombie(pid) { return [] }
      if wanted(owner(of: pid)) { return [pid] + ProcessTree.descendants(of: pid) }
      return ProcessTree.children(of: pid).flatMap(belonging)
    }
    return orphans().flatMap(belonging)
  }

  private func owner(of pid: Int32) -> Owner {
    if getsid(pid) == leader { return .ours }
    guard let environment = try? readFile("/proc/\(pid)/environ") else { return .others }
    if environment.split(separator: 0).contains(where: { $0.elementsEqual(marker) }) { return .ours }
    guard environment.isEmpty else { return .others }
    return (try? readFile("/proc/\(pid)/cmdline"))?.isEmpty == true && !ProcessTree.isZombie(pid) ? .unknown : .others
  }
}
