import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem
@testable import SupervisorRuntime

@Suite struct CommandProbeTests {
  let loop: EventLoop
  let reaper: TestReaper

  init() throws {
    loop = try EventLoop()
    reaper = TestReaper(loop)
  }

  func run(_ arguments: [String], timeout: Duration = .seconds(20)) throws -> ProbeResult {
    try run(CommandProbe.Command(arguments: arguments, environment: [:]), timeout: timeout)
  }

  func run(_ command: CommandProbe.Command, timeout: Duration = .seconds(20)) throws -> ProbeResult {
    let answers = Answers()
    CommandProbe(loop: loop, children: reaper, command, timeout: timeout, completion: answers.take).start()
    #expect(answers.all.isEmpty, "answered from inside start")
    try loop.run { !answers.all.isEmpty }
    try loop.settle()
    #expect(answers.all.count == 1)
    return answers.all[0]
  }

  @Test func status0PassesAndAnyOtherFailsWithWhatWasPrinted() throws {
    #expect(try run(["true"]) == .passed)
    #expect(try run(["/bin/false"]) == .failed("exit status 1, it printed nothing"))
    #expect(
      try run(["sh", "-c", "echo one; echo two >&2; exit 3"])
        == .failed("exit status 3, it printed \"one\\ntwo\""))
    #expect(try run(["sh", "-c", "kill -SEGV $$"]) == .failed("ended by SIGSEGV, it printed nothing"))
  }

  @Test func whatCannotStartSaysWhy() throws {
    #expect(
      try run(["no-such-program"]) == .failed("cannot start it: exec no-such-program: ENOENT No such file or directory")
    )
    #expect(try run(["/etc/passwd"]) == .failed("cannot start it: exec /etc/passwd: EACCES Permission denied"))
    #expect(try run([]).isPassed == false)
  }

  @Test(.enabled(if: getuid() == 0, "needs root: it starts a command as another user"))
  func itRunsWhereAndAsWhatIsSaid() throws {
    var command = CommandProbe.Command(
      arguments: [
        "sh", "-c", "test \"$PWD $A $(id -u)\" = '/usr 1 65534' && test \"$(cut -d' ' -f6 /proc/$$/stat)\" -eq $$",
      ],
      environment: ["A": "1", "PATH": "/usr/bin:/bin"], directory: "/usr",
      identity: Identity(user: 65_534, group: 65_534, groups: []))
    #expect(try run(command) == .passed)
    command.environment["A"] = "2"
    #expect(try run(command).isPassed == false)
  }

  @Test func atTheDeadlineItsWholeGroupIsKilled() throws {
    let scratch = try ScratchDirectory()
    let script = "trap '' TERM; sleep 300 & echo $! > \(scratch.path)/child; echo waiting; wait"
    #expect(
      try run(["sh", "-c", script], timeout: .seconds(1))
        == .failed("not done within 1s, so it was killed; it printed \"waiting\""))
    try loop.run { !reaper.reaped.isEmpty }
    #expect(Array(reaper.reaped.values) == [.signalled(SIGKILL)])
    let file = try Descriptor.open("\(scratch.path)/child", flags: O_RDONLY)
    var digits = [UInt8](repeating: 0, count: 16)
    let count = read(file.raw, &digits, digits.count)
    let child = try #require(Int32(String(decoding: digits.prefix(max(count - 1, 0)), as: UTF8.self)))
    try loop.run {
      !isRunning(child)
        || {
          loop.deferred {}; return false
        }()
    }
  }

  /// Killed and perhaps not yet reaped by whoever inherited it counts as gone.
  private func isRunning(_ pid: Int32) -> Bool {
    guard let file = try? Descriptor.open("/proc/\(pid)/stat", flags: O_RDONLY) else { return false }
    var text = [UInt8](repeating: 0, count: 512)
    let count = read(file.raw, &text, text.count)
    return count > 0 && !String(decoding: text.prefix(count), as: UTF8.self).contains(") Z")
  }

  @Test func cancelledIsKilledSilently() throws {
    let answers = Answers()
    let probe = CommandProbe(
      loop: loop, children: reaper, .init(arguments: ["sleep", "300"], environment: [:]), timeout: .seconds(20),
      completion: answers.take)
    probe.start()
    probe.cancel()
    try loop.run { !reaper.reaped.isEmpty }
    try loop.settle()
    #expect(Array(reaper.reaped.values) == [.signalled(SIGKILL)])
    #expect(answers.all.isEmpty)
  }

  /// The news of its end may come before that of its last words.
  @Test func whatItPrintedLastIsReadEvenIfTheLoopHadNoTimeFor() throws {
    final class Watcher: ChildWatcher {
      var watched: [(pid: Int32, ended: (ChildExit) -> Void)] = []
      func watch(_ pid: Int32, _ ended: @escaping (ChildExit) -> Void) { watched.append((pid, ended)) }
    }
    let watcher = Watcher()
    let answers = Answers()
    let command = CommandProbe.Command(arguments: ["sh", "-c", "echo last words; exit 1"], environment: [:])
    CommandProbe(
      loop: loop, children: watcher, command, timeout: .seconds(20), completion: answers.take
    ).start()
    let child = try #require(watcher.watched.first)
    var status: Int32 = 0
    while waitpid(child.pid, &status, 0) < 0 && errno == EINTR {}
    child.ended(.exited(1))
    #expect(answers.all == [.failed("exit status 1, it printed \"last words\"")])
  }

  @Test func muchOutputNeitherBlocksItNorIsKept() throws {
    let result = try run(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last words; exit 1"])
    guard case .failed(let why) = result else {
      Issue.record("it passed")
      return
    }
    #expect(why.hasPrefix("exit status 1, it printed …\"xxx"))
    #expect(why.hasSuffix("x\\nlast words\""))
    #expect(why.utf8.count < 600)
  }

  @Test func aGrandchildThatKeepsThePipeDoesNotDelayTheAnswer() throws {
    let begun = Instant.monotonicNow()
    #expect(try run(["sh", "-c", "sleep 5 & exit 0"]) == .passed)
    #expect(Instant.monotonicNow() - begun < .seconds(4))
  }
}
