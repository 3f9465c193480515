import Glibc
import Vocabulary

/// What workers of a supervisor that died left behind: ended before anything is started anew, so that an exclusive
/// program never runs twice.
package struct Leftovers: Sendable {
  package private(set) var found: [ProcessName] = []
  /// Still there when the time was up: in the kernel's hands, such as a disk that does not answer.
  package private(set) var left: [ProcessName] = []
  /// That were cut by it; nil: they could not be counted.
  package private(set) var connections: Int? = 0
  package private(set) var uncounted: SystemError?

  /// Ends them and waits until they have ended, for at most `limit`: not for the loop.
  /// `marker` begins an environment entry that only this service's workers have.
  /// Connections to `addresses` are counted.
  static func end(
    in delegated: DelegatedCgroup?, marker: String, addresses: [SocketAddress] = [], within limit: Duration
  ) -> Leftovers {
    let deadline = Instant.monotonicNow() + limit
    var leftovers = Leftovers()
    let cgroups = delegated?.workers ?? []
    var census: ConnectionCensus?
    func count(_ pids: [Int32]) {
      let taken = census ?? ConnectionCensus(of: addresses)
      census = taken
      leftovers.uncounted = taken.failure
      let count = taken.count(heldBy: pids)
      leftovers.connections = count.flatMap { count in leftovers.connections.map { $0 + count } }
    }
    for cgroup in cgroups where !cgroup.isEmpty {
      let members = cgroup.members()
      leftovers.found += members
      count(members.map(\.pid))
      cgroup.killAll()
    }
    for cgroup in cgroups {
      cgroup.waitUntilEmpty(by: deadline)
      if cgroup.isEmpty { cgroup.remove() } else { leftovers.left += cgroup.members() }
    }
    // A program may fork while it is looked for: the last round finds nothing.
    let prefix = Array(marker.utf8)
    for _ in 0..<rounds {
      let round = marked(prefix)
      if round.isEmpty { break }
      let fresh = round.map(\.name).filter { name in !leftovers.found.contains { $0.pid == name.pid } }
      leftovers.found += fresh
      count(fresh.map(\.pid))
      for one in round { one.process.signal(.kill) }
      for one in round where !one.process.waitForEnd(by: deadline) { leftovers.left.append(one.name) }
      if !leftovers.left.isEmpty { break }
    }
    return leftovers
  }

  private static let rounds = 16

  private static func marked(_ prefix: [UInt8]) -> [(name: ProcessName, process: Descriptor)] {
    let pids = ((try? directoryEntries("/proc")) ?? []).compactMap { Int32($0) }
    return pids.compactMap { pid in
      guard pid != getpid(), has(prefix, pid), let process = try? Descriptor.process(pid), has(prefix, pid),
        !ProcessTree.isZombie(pid)
      else { return nil }
      return (ProcessName(pid: pid, command: ProcessTree.command(of: pid)), process)
    }
  }

  private static func has(_ prefix: [UInt8], _ pid: Int32) -> Bool {
    guard let environment = try? readFile("/proc/\(pid)/environ") else { return false }
    return environment.split(separator: 0).contains { $0.starts(with: prefix) }
  }
}

extension Cgroup {
  /// Source: cgroup.events notifies whoever polls it for POLLPRI.
  fileprivate func waitUntilEmpty(by deadline: Instant) {
    guard let events = try? Descriptor.open("\(path)/cgroup.events", flags: O_RDONLY) else { return }
    var buffer = [UInt8](repeating: 0, count: 256)
    while true {
      // Reading arms the next notification.
      guard pread(events.raw, &buffer, buffer.count, 0) > 0, !isEmpty, events.wait(for: POLLPRI, by: deadline) else {
        return
      }
    }
  }
}

extension Descriptor {
  /// Of a pidfd: whether the process has ended.
  fileprivate func waitForEnd(by deadline: Instant) -> Bool { wait(for: POLLIN, by: deadline) }

  fileprivate func wait(for events: Int32, by deadline: Instant) -> Bool {
    while true {
      let left = deadline - .monotonicNow()
      var wanted = pollfd(fd: raw, events: Int16(events), revents: 0)
      let milliseconds = left > .zero ? Int32(clamping: left.microseconds / 1_000 + 1) : 0
      let count = poll(&wanted, 1, milliseconds)
      if count > 0 { return true }
      if count == 0 || errno != EINTR { return false }
    }
  }
}
