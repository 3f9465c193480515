import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem

@Suite struct SignalTests {
  @Test func `signals become events of the loop, and none is lost while nobody looks`() async {
    await #expect(processExitsWith: .success) {
      let loop = try EventLoop()
      var heard: [Signal] = []
      let source = try SignalSource([.terminate, .hangup], on: loop) { heard.append($0) }
      // To this thread: the process has others here, which batond has not when it blocks signals.
      for signal in [SIGTERM, SIGHUP, SIGTERM] { try #require(pthread_kill(pthread_self(), signal) == 0) }
      try loop.turn(waiting: true)
      try #require(Set(heard) == [.terminate, .hangup])
      source.cancel()
      // Blocked still, or this would be the end.
      try #require(pthread_kill(pthread_self(), SIGTERM) == 0)
    }
  }

  @Test func `systemd sees in /proc that SIGHUP is caught`() async {
    await #expect(processExitsWith: .success) {
      let loop = try EventLoop()
      let source = try SignalSource([.hangup], on: loop) { _ in }
      let text = String(decoding: try readFile("/proc/self/status"), as: UTF8.self)
      let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("SigCgt:") })
      let caught = try #require(line.split(separator: "\t").last.flatMap { UInt64($0, radix: 16) })
      try #require(caught & 1 == 1)
      withExtendedLifetime(source) {}
    }
  }

  @Test func `a pidfd reaches its process or nobody`() throws {
    let child = try SpawnRequest(program: "/bin/sleep", arguments: ["sleep", "1000"], environment: [:]).spawn()
    #expect(child.pidfd.signal(.terminate))
    var status: Int32 = 0
    #expect(waitpid(child.pid, &status, 0) == child.pid && status == SIGTERM)
    #expect(!child.pidfd.signal(.terminate))
  }

  @Test func `names`() {
    #expect("\(Signal.terminate)" == "SIGTERM" && "\(Signal(64))".contains("64"))
    #expect(SystemError("bind", "x", errno: EADDRINUSE).description == "bind x: EADDRINUSE Address already in use")
    #expect(ErrorNumber.name(12_345) == "E12345")
  }
}
