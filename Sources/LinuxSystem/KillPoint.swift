import Glibc

/// Instants at which a test may end this process without notice; nothing in builds for release.
///
/// `BATON_KILL_AT=17` ends it at the 17th, `BATON_KILL_FROM=reload` counts from the first reload on and not from the
/// start, `BATON_KILL_LOG=FILE` gets a line for each that is reached.
package enum KillPoint {
  #if DEBUG
    private struct State {
      var isCounting = variable("BATON_KILL_FROM") == nil
      var number = 0
      let target = variable("BATON_KILL_AT").flatMap { Int($0) }
      let log = variable("BATON_KILL_LOG").map { open($0, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600) }
    }

    /// Used on the loop's thread alone.
    nonisolated(unsafe) private static var state = State()
    private static let isWanted = variable("BATON_KILL_AT") != nil || variable("BATON_KILL_LOG") != nil

    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
  #endif

  package static func reach(_ what: @autoclosure () -> String) {
    #if DEBUG
      guard isWanted, state.isCounting else { return }
      state.number += 1
      if let log = state.log {
        let line = Array("\(state.number) \(what())\n".utf8)
        _ = write(log, line, line.count)
      }
      if state.number == state.target { kill(getpid(), SIGKILL) }
    #endif
  }

  /// What is counted from has begun.
  package static func begin(_ what: StaticString) {
    #if DEBUG
      guard isWanted, !state.isCounting, variable("BATON_KILL_FROM") == "\(what)" else { return }
      state.isCounting = true
    #endif
  }
}
