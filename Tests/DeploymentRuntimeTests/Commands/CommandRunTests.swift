import Deployment
import Glibc
import Testing
import Vocabulary

@testable import DeploymentRuntime
@testable import LinuxSystem

@Suite struct CommandRunTests {
  let fixture: OperationFixture
  init() throws { fixture = try OperationFixture() }

  private func run(_ text: String, _ change: (inout CommandRun) -> Void = { _ in }) throws -> CommandResult {
    var command = fixture.shell(text)
    change(&command)
    return try command.run(fixture.operation)
  }

  /// The pid somebody wrote into `name` is that of no process that lives.
  private func isGone(_ name: String) throws -> Bool {
    let pid = try #require(Int32(fixture.scratch.read(name)?.split(separator: "\n").first ?? ""))
    return ProcessTree.isZombie(pid)
  }

  @Test func linesAndStatusComeBack() throws {
    let result = try run("echo one; echo two >&2; printf three; exit 3")
    #expect(result.outcome == .exited(3))
    #expect(fixture.audience.lines == ["one", "two", "three"])
    #expect(result.lastLines == ["one", "two", "three"])
    #expect(throws: StepFailure(.failed, "the shell failed with exit status 3", lines: ["one", "two", "three"])) {
      try result.succeeded()
    }
    #expect(try run("kill -9 $$").outcome == .signalled(.kill))
  }

  @Test func whatItGetsIsExactlyWhatIsNamed() throws {
    let result = try run("env | sort; pwd; cat; ls /proc/self/fd | wc -l; umask") {
      $0.environment = ["PATH": CommandEnvironment.path, "ONE": "1"]
      $0.input = .bytes(Array("given\n".utf8))
      $0.output = .captured(limit: 10_000)
    }
    let lines = result.text.split(separator: "\n").filter { !$0.hasPrefix("BATON_COMMAND=") }
    #expect(
      lines == [
        "ONE=1", "PATH=\(CommandEnvironment.path)", "PWD=\(fixture.scratch.directory)",
        Substring(fixture.scratch.directory), "given", "4", "0022",
      ])
  }

  @Test func capturedBytesAreAsTheyAre() throws {
    let bytes = [UInt8](0...255)
    let result = try run("cat; echo aside >&2") {
      $0.input = .bytes(bytes)
      $0.output = .captured(limit: 256)
    }
    #expect(result.captured == bytes)
    #expect(fixture.audience.lines == ["aside"])
    let tooMuch = try run("head -c 300000 /dev/zero; echo never >&2; cat") {
      $0.output = .captured(limit: 200_000)
      $0.input = .descriptor(try! Descriptor.pipe().reader)
      $0.grace = .milliseconds(100)
    }
    #expect(tooMuch.outcome == .printedTooMuch)
    #expect(tooMuch.captured.count == 200_000)
  }

  @Test func aProgramThatIsNotThereIsSaid() throws {
    let command = CommandRun(["no-such-thing", "x"], in: fixture.scratch.directory, environment: ["PATH": "/usr/bin"])
    #expect {
      _ = try command.run(fixture.operation)
    } throws: { error in
      (error as? StepFailure)?.what
        == "no-such-thing x could not be started: there is no program no-such-thing in PATH (/usr/bin)"
    }
  }

  @Test func aFloodIsReadToItsEnd() throws {
    var count = 0
    fixture.audience.heard = { _ in count += 1 }
    let result = try run("seq 1 300000")
    #expect(count == 300_000)
    #expect(result.lastLines.count == 20 && result.lastLines.last == "300000")
  }

  @Test func aLineWithoutEndIsBounded() throws {
    _ = try run("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after")
    #expect(fixture.audience.lines.count == 2)
    #expect((fixture.audience.lines.first?.utf8.count ?? 0) < 10_000)
    #expect(fixture.audience.lines.last == "after")
  }

  @Test func timeIsUp() throws {
    let before = Instant.monotonicNow()
    let result = try run("trap '' TERM; echo $$ > pid; echo begun; while :; do read x < /dev/zero; done") {
      $0.timeout = .milliseconds(200)
      $0.grace = .milliseconds(200)
    }
    #expect(result.outcome == .timedOut(after: .milliseconds(200)))
    #expect(result.sentence == "the shell was ended: it took longer than 200ms")
    #expect(.monotonicNow() - before < .seconds(5))
    #expect(try isGone("pid"))
  }

  @Test func anAbortEndsItInOrder() throws {
    fixture.audience.heard = { if $0 == "begun" { fixture.abort() } }
    #expect {
      _ = try run("trap 'echo orderly; exit 0' TERM; echo $$ > pid; echo begun; sleep 600 & wait")
    } throws: { error in
      let failure = error as? StepFailure
      return failure?.kind == .aborted && failure?.lines.last == "orderly"
    }
    #expect(try isGone("pid"))
    // The way back is gone in spite of it.
    #expect(try run("echo back") { $0.ignoresAbort = true }.hasSucceeded)
    #expect(throws: StepFailure.self) { try run("cat; sleep 600") }
  }

  @Test(arguments: [
    "sleep 600 & echo $! > pid", "setsid sleep 600 & echo $! > pid",
    "(setsid sh -c 'sleep 600 & echo $! > pid' >/dev/null 2>&1 &) ; while ! [ -s pid ]; do :; done",
    "setsid nohup sh -c 'trap \"\" TERM HUP; echo $$ > pid; sleep 600; sleep 600' >/dev/null 2>&1 & while ! [ -s pid ]; do :; done",
  ])
  func nothingIsLeftBehind(_ text: String) throws {
    let result = try run(text)
    #expect(result.hasSucceeded)
    #expect(try isGone("pid"))
    #expect(!result.leftBehind.isEmpty)
  }

  @Test func limitsAndPriorityAreSet() throws {
    let result = try run("ulimit -d; nice; sh -c nice") {
      $0.memoryLimit = ByteCount(512 << 20)
      $0.isBackground = true
      $0.output = .captured(limit: 1_000)
    }
    let lines = result.text.split(separator: "\n")
    #expect(lines.first == "\(512 << 10)")
    #expect(lines.last == "10")
  }

  @Test func aPlanRunsOnlyWhatReads() throws {
    let plan = try OperationFixture(mode: .plan)
    var command = plan.shell("echo done > mark")
    #expect(try command.run(plan.operation).hasSucceeded)
    #expect(!plan.scratch.exists("mark"))
    #expect(plan.effects.log == [Effect(.execute, "the shell")])
    command = plan.shell("echo seen")
    command.isReading = true
    _ = try command.run(plan.operation)
    #expect(plan.audience.lines == ["seen"] && plan.effects.count == 1)
  }

  @Test func secretsAreInNoOutput() throws {
    fixture.operation.secrets = Secrets(["KEY": "s3cr3t-sentinel", "PEM": "line one of it\nline two of it\n"])
    let result = try run(
      "echo the key is s3cr3t-sentinel.; printf s3cr3t; printf -- '-sentinel\\n'; printf s3cr3t-sentinel | base64; "
        + "printf xs3cr3t-sentinel | base64; echo line two of it; exit 1"
    ) {
      $0.subject = "login s3cr3t-sentinel"
    }
    let seen = fixture.audience.everything + result.lastLines.joined() + fixture.effects.log.map(\.subject).joined()
    for piece in ["s3cr3t", "czNjcjN0", "line two", "M2NyM3Qt"] {
      #expect(!seen.contains(piece), "\(piece) in \(seen)")
    }
    #expect(fixture.audience.lines.first == "the key is ***.")
  }

  @Test func survivorsOfAKilledOperationAreFound() throws {
    let id = OperationID("op-\(getpid())-killed")
    let request = SpawnRequest(
      program: "/bin/sleep", arguments: ["sleep", "600"], environment: [CommandEnvironment.operationName: id.text])
    let process = try request.spawn()
    // The kernel shows a new program's environment a moment after its execve.
    let deadline = Instant.monotonicNow() + .seconds(5)
    while Survivors.of(id).isEmpty, .monotonicNow() < deadline {}
    #expect(Survivors.of(id) == [ProcessName(pid: process.pid, command: "sleep")])
    // Reaped here, since it is a child of this test.
    let effects = Effects(.act, faults: nil)
    _ = try Survivors.end(id, effects)
    var status: Int32 = 0
    #expect(waitpid(process.pid, &status, 0) == process.pid && status & 0x7F == SIGKILL)
    #expect(Survivors.of(id).isEmpty && effects.count == 1)
    #expect(try Survivors.end(id, effects).isEmpty && effects.count == 1)
  }
}
