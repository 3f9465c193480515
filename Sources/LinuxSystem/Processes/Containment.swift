package import Vocabulary

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
  /// The main process has been spawned, as leader of a session of its own, by this image of the program or another.
  /// `pidfd` is nil once it has been reaped.
  func adopt(_ pid: Int32, _ pidfd: Descriptor?)
  /// The main process has been reaped: from now on its number may be another's.
  func reaped()
  func contains(_ pid: Int32) -> Bool
  /// Nothing is left but, perhaps, zombies.
  var isEmpty: Bool { get }
  /// SIGKILL to all of it. Stopped and frozen ones die too.
  func killAll()
  func members() -> [ProcessName]
  /// To be said before the main process is spawned.
  func bound(by bounds: ResourceBounds)
  /// What its processes take, files' pages left out; nil where the kernel does not count.
  var memory: ByteCount? { get }
  /// How many of its processes the kernel has killed for want of memory; nil where it does not count them.
  var outOfMemoryKills: UInt64? { get }
  /// Has ``EventLoop/Events/priority`` until it is read when that may have changed; nil where nobody tells.
  var memoryEvents: Descriptor? { get }
  /// Gives back what was made for it, once it is empty.
  func remove()
}

/// Makes containments: cgroups where systemd has delegated ours (`Delegate=yes`), else by session and descent.
package struct ContainmentFactory: Sendable {
  private let delegated: DelegatedCgroup?

  /// Looks once whether our own cgroup is delegated to us. Source: systemd.resource-control(5), cgroups(7).
  ///
  /// - Parameter dividing: this process gets a cgroup of its own within it, so that the others can be bounded.
  package init(dividing: Bool = false) {
    delegated = DelegatedCgroup()
    if dividing { delegated?.divide() }
  }

  package var usesCgroups: Bool { delegated != nil }

  /// - Parameters:
  ///   - label: names the cgroup; unique while the worker lives.
  ///   - marker: an environment entry only this worker's processes have.
  ///   - orphans: children of ours that are no worker's main process.
  /// - Returns: a containment for one worker that is yet to be spawned.
  package func make(_ label: String, marker: String, orphans: @escaping () -> [Int32]) -> any Containment {
    if let delegated, let cgroup = Cgroup(path: "\(delegated.path)/\(label)") { return cgroup }
    return ProcessSession(marker: marker, orphans: orphans)
  }

  /// Lets these controllers bound workers.
  ///
  /// - Returns: those that cannot, here.
  package func enable(_ controllers: Set<String>) -> Set<String> {
    guard let delegated else { return controllers }
    return controllers.filter { !delegated.enable($0) }
  }

  /// Ends what workers of an earlier supervisor left behind; `marker` begins an environment entry only they have.
  package func endLeftovers(marker: String, addresses: [SocketAddress] = [], within limit: Duration) -> Leftovers {
    Leftovers.end(in: delegated, marker: marker, addresses: addresses, within: limit)
  }
}
