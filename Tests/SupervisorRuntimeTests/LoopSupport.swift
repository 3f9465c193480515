import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem
@testable import SupervisorRuntime

extension EventLoop {
  /// Runs until `isDone`, which must come true within `limit`.
  func run(within limit: Duration = .seconds(20), until isDone: () -> Bool) throws {
    var isLate = false
    let guardian = schedule(after: limit) { isLate = true }
    defer { cancel(guardian) }
    while !isDone() {
      try #require(!isLate, "not done within \(limit)")
      try turn(waiting: true)
    }
  }

  /// Lets everything happen that is due now.
  func settle() throws {
    for _ in 0..<8 { try turn(waiting: false) }
  }
}

/// Collects the answers of a probe.
final class Answers {
  private(set) var all: [ProbeResult] = []
  func take(_ result: ProbeResult) { all.append(result) }
  var reason: String? { if case .failed(let why) = all.first { why } else { nil } }
}

/// Reaps the children of one test, and nobody else's.
final class TestReaper: ChildWatcher {
  private let loop: EventLoop
  private(set) var reaped: [Int32: ChildExit] = [:]

  init(_ loop: EventLoop) { self.loop = loop }

  func watch(_ pid: Int32, _ ended: @escaping (ChildExit) -> Void) {
    // Asked every two milliseconds, since a pid alone is nothing that can be waited for.
    loop.schedule(after: .milliseconds(2)) { [self] in
      var status: Int32 = 0
      guard waitpid(pid, &status, WNOHANG) == pid else { return watch(pid, ended) }
      let exit: ChildExit = status & 0x7F == 0 ? .exited(status >> 8 & 0xFF) : .signalled(status & 0x7F)
      reaped[pid] = exit
      ended(exit)
    }
  }
}

/// A directory under the system's temporary one, removed with all in it.
final class ScratchDirectory {
  let path: String

  init() throws {
    var template = Array("/tmp/probes-XXXXXX".utf8CString)
    path = try #require(mkdtemp(&template).map { String(cString: $0) })
  }

  deinit {
    for name in (try? directoryEntries(path)) ?? [] { remove("\(path)/\(name)") }
    remove(path)
  }
}
