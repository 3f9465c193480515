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
  /// Called after a look that reaped anything: groups may have become empty.
  package var reaped: () -> Void = {}

  package init() {}

  package func watch(_ pid: Int32, _ ended: @escaping (ChildExit) -> Void) { watchers[pid] = ended }

  /// Whether somebody waits for this child: a worker's main process, or a command.
  package func isWatched(_ pid: Int32) -> Bool { watchers[pid] != nil }

  /// Reaps all that have ended.
  package func reap() {
    var any = false
    while true {
      var status: Int32 = 0
      let pid = waitpid(-1, &status, WNOHANG)
      if pid < 0 && errno == EINTR { continue }
      guard pid > 0 else { break }
      any = true
      let signal = status & 0x7f
      let exit: ChildExit = signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
      watchers.removeValue(forKey: pid)?(exit)
    }
    if any { reaped() }
  }
}
