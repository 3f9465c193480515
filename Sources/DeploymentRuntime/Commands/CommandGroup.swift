import Glibc
import LinuxSystem
import Synchronization
import Vocabulary

/// All processes of one command: in a cgroup where ours is delegated to us (`Delegate=yes`), else by session, descent and
/// a marker in their environment; we become the parent of orphans. What escapes without a cgroup is a process that made
/// a session of its own, whose parents are gone and that cleared its environment; systemd ends it with the unit.
final class CommandGroup {
  /// In the environment of everything a command starts.
  static let markerName = "BATON_COMMAND"

  let marker: String
  private let containment: any Containment
  private var leader: SpawnedProcess?
  /// Seen alive: those of them that become our children are ours to reap.
  private var seen: Set<Int32> = []

  /// Asked once, before anything is moved about in our cgroup.
  private static let factory = ContainmentFactory()
  /// Main processes of the commands that run now in this process, and how many there have been.
  private static let running = Mutex<(leaders: Set<Int32>, count: Int)>((leaders: [], count: 0))

  init(_ operation: OperationID) {
    // Orphans come to us from now on. It fails nowhere since Linux 3.4; without it only daemons would escape.
    try? ProcessTree.becomeSubreaper()
    let number = Self.running.withLock { running in
      running.count += 1
      return running.count
    }
    marker = "\(operation)/\(getpid())/\(number)"
    containment = Self.factory.make("command-\(number)", marker: "\(Self.markerName)=\(marker)") {
      let leaders = Self.running.withLock { $0.leaders }
      return ProcessTree.children(of: getpid()).filter { !leaders.contains($0) }
    }
  }

  /// Where the main process is to be born.
  var cgroup: Descriptor? { containment.cgroup }

  func adopt(_ process: SpawnedProcess) {
    leader = process
    _ = Self.running.withLock { $0.leaders.insert(process.pid) }
    containment.adopt(process.pid, process.pidfd)
  }

  /// SIGTERM to those that are still in the command's own session.
  func terminate() {
    guard let leader else { return }
    kill(-leader.pid, SIGTERM)
    // A stopped one would not see it.
    kill(-leader.pid, SIGCONT)
  }

  func killAll() {
    note()
    containment.killAll()
  }

  /// Reaps the main process, which has ended. Before it, whatever is left of its session can still be found by it.
  func reapLeader() -> CommandResult.Outcome {
    guard let pid = leader?.pid else { return .exited(0) }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 { if errno != EINTR { break } }
    _ = Self.running.withLock { $0.leaders.remove(pid) }
    let signal = status & 0x7F
    return signal == 0 ? .exited(status >> 8 & 0xFF) : .signalled(Signal(signal))
  }

  /// Nothing is left. To be asked after ``reapLeader()``.
  var isEmpty: Bool {
    reapOrphans()
    return containment.isEmpty
  }

  /// Names of what is there beside the main process.
  var others: [String] {
    note()
    return containment.members().filter { $0.pid != leader?.pid }.map(\.command)
  }

  /// Gives the cgroup back.
  func remove() {
    reapOrphans()
    containment.remove()
  }

  private func note() { seen.formUnion(containment.members().map(\.pid)) }

  private func reapOrphans() {
    for pid in ProcessTree.children(of: getpid()) {
      guard pid != leader?.pid, seen.contains(pid) || getsid(pid) == leader?.pid else { continue }
      if waitpid(pid, nil, WNOHANG) == pid { seen.remove(pid) }
    }
  }
}

/// What a command may take of the machine.
enum CommandLimits {
  /// Sets the memory limit of a command's cgroup. False where that cannot be had.
  static func limitMemory(of cgroup: Descriptor, to limit: ByteCount) -> Bool {
    if write("\(limit.bytes)", to: "memory.max", in: cgroup) {
      // Or the swap of the whole machine is used first. Not there without swap.
      _ = write("0", to: "memory.swap.max", in: cgroup)
      return true
    }
    // Controllers are given to children only by a cgroup without processes of its own: we move into a leaf beside the
    // command. Source: cgroups(7), "no internal processes".
    mkdirat(cgroup.raw, "../deploy", 0o755)
    guard write("\(getpid())", to: "../deploy/cgroup.procs", in: cgroup),
      write("+memory", to: "../cgroup.subtree_control", in: cgroup),
      write("\(limit.bytes)", to: "memory.max", in: cgroup)
    else { return false }
    _ = write("0", to: "memory.swap.max", in: cgroup)
    return true
  }

  static func ranOutOfMemory(_ cgroup: Descriptor) -> Bool {
    let raw = openat(cgroup.raw, "memory.events", O_RDONLY | O_CLOEXEC)
    guard raw >= 0, let text = try? readAll(Descriptor(owning: raw), "memory.events") else { return false }
    return String(decoding: text, as: UTF8.self).split(separator: "\n").contains {
      $0.hasPrefix("oom_kill ") && $0 != "oom_kill 0"
    }
  }

  private static func write(_ text: String, to name: String, in cgroup: Descriptor) -> Bool {
    let raw = openat(cgroup.raw, name, O_WRONLY | O_CLOEXEC)
    guard raw >= 0 else { return false }
    let file = Descriptor(owning: raw)
    let bytes = Array(text.utf8)
    return Glibc.write(file.raw, bytes, bytes.count) == bytes.count
  }

  /// Its niceness counts between sessions, too.
  static func lowerPriority(ofSessionOf leader: Int32) {
    // Where autogroups are on, niceness counts only inside a session, and this is what counts between them; elsewhere
    // there is no such file. Source: sched(7).
    guard let file = try? Descriptor.open("/proc/\(leader)/autogroup", flags: O_WRONLY) else { return }
    _ = Glibc.write(file.raw, "10", 2)
  }
}
