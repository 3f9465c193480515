import Glibc
import LinuxSystem
package import Supervision

extension ChildExit {
  package var reason: ExitReason {
    switch self {
    case .exited(let code): .exited(code)
    case .signalled(let number): .signalled(number)
    }
  }
}

/// The one place that reaps: workers, commands, and orphans that came to us as their subreaper. SIGCHLD coalesces, so
/// each one means "look at all". Source: waitid(2), PR_SET_CHILD_SUBREAPER in prctl(2).
package final class Children: ChildWatcher {
  private var watchers: [Int32: (ChildExit) -> Void] = [:]
  private var knownOrphans: [Int32]?
  private var isTelling = false
  /// Called after a look that reaped anything: groups may have become empty.
  package var reaped: () -> Void = {}

  package init() {}

  package func watch(_ pid: Int32, _ ended: @escaping (ChildExit) -> Void) { watchers[pid] = ended }

  /// Children nobody waits for: orphans that came to us. Looked up once for all that were reaped together; each of those
  /// had ended before the look, so none of its orphans is missing.
  package func orphans() -> [Int32] {
    if let known = knownOrphans { return known }
    let found = ProcessTree.children(of: getpid()).filter { watchers[$0] == nil }
    if isTelling { knownOrphans = found }
    return found
  }

  /// Reaps all that have ended, then tells whoever waits.
  package func reap() {
    var ended: [(pid: Int32, exit: ChildExit)] = []
    while true {
      var status: Int32 = 0
      let pid = waitpid(-1, &status, WNOHANG)
      if pid < 0 && errno == EINTR { continue }
      guard pid > 0 else { break }
      let signal = status & 0x7f
      ended.append((pid, signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)))
    }
    isTelling = true
    let told = ended.compactMap { one in watchers.removeValue(forKey: one.pid).map { ($0, one.exit) } }
    for (tell, exit) in told { tell(exit) }
    isTelling = false
    knownOrphans = nil
    if !ended.isEmpty { reaped() }
  }
}
