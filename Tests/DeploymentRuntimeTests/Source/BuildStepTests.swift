import Deployment
import Glibc
import Testing
import Vocabulary

@testable import DeploymentRuntime
@testable import LinuxSystem

@Suite struct BuildStepTests {
  let scratch = Scratch()
  let source = Scratch()

  init() { source.write("main.c", "#include <stdio.h>\nint main(void) { puts(\"built\"); return 0; }\n") }

  /// A release made of `source`, built by these commands; nothing else is in the way.
  private func build(_ settings: String, _ change: (OperationFixture) -> Void = { _ in }) throws -> OperationFixture {
    let fixture = try OperationFixture(settings, scratch: scratch)
    change(fixture)
    let work = ReleaseWork()
    try FetchStep(.directory(source.directory), work).run(fixture.operation)
    try BuildStep(work).run(fixture.operation)
    try VerifyStep(work, who: "a test").run(fixture.operation)
    return fixture
  }

  private func failure(_ settings: String, _ change: (OperationFixture) -> Void = { _ in }) throws -> (
    StepFailure, OperationFixture
  ) {
    var made: OperationFixture?
    do {
      _ = try build(settings) {
        made = $0
        change($0)
      }
    } catch let failure as StepFailure { return (failure, try #require(made)) }
    throw NothingFailed()
  }

  private struct NothingFailed: Error {}

  private func shell(_ text: String) -> String { "build = [[\"sh\", \"-c\", '''\(text)''']]\n" }

  /// What a way back leaves.
  private func undo(_ fixture: OperationFixture) throws {
    let work = ReleaseWork()
    try VerifyStep(work, who: "").undo(fixture.operation)
    try BuildStep(work).undo(fixture.operation)
    try FetchStep(.directory(""), work).undo(fixture.operation)
    #expect(scratch.names(in: "app/releases").isEmpty)
  }

  @Test func aProgramIsCompiledAndTheReleaseComplete() throws {
    let fixture = try build("build = [[\"gcc\", \"-o\", \"main\", \"main.c\"], [\"./main\"]]\nartifacts = [\"main\"]\n")
    let release = try #require(fixture.operation.facts.release)
    #expect(fixture.audience.lines == ["$ gcc -o main main.c", "$ ./main", "built"])
    let manifest = try Manifest.read(fixture.operation.layout.manifest(release))
    #expect(manifest.origin.toolchain?.hasPrefix("gcc ") == true && manifest.origin.who == "a test")
    #expect(manifest.items.map(\.path.description) == ["main", "main.c"])
    try Releases(fixture.operation.layout, DurableFiles(fixture.effects, operation: fixture.operation.id)).verify(
      release)
    // The manifest is the last thing written, after the tree is on the disk.
    let log = fixture.effects.log
    let sync = try #require(log.firstIndex(of: Effect(.sync, fixture.operation.layout.release(release))))
    let rename = try #require(log.firstIndex(of: Effect(.rename, fixture.operation.layout.manifest(release))))
    #expect(sync < rename)
    try undo(fixture)
  }

  @Test func aBuildThatFailsSaysWhyAndLeavesNothing() throws {
    scratch.write("app/old", "old\n")
    let (failure, fixture) = try failure(shell("echo main.c:3: no; exit 2"))
    #expect(failure.kind == .failed && failure.what.hasSuffix("failed with exit status 2"))
    #expect(failure.lines == ["main.c:3: no"])
    let release = try #require(fixture.operation.facts.release)
    #expect(!scratch.exists("app/releases/\(release).manifest"))
    try undo(fixture)
    #expect(scratch.read("app/old") == "old\n" && scratch.names(in: source.directory).isEmpty)
  }

  @Test func aBuildThatHangsIsEnded() throws {
    let (failure, fixture) = try failure(shell("echo waiting; exec sleep 600") + "build-timeout = \"300ms\"\n")
    #expect(
      failure.what == "the build was ended: it took longer than build-timeout, 300ms" && failure.lines == ["waiting"])
    #expect(Survivors.of(fixture.operation.id).isEmpty)
  }

  @Test func aBuildThatForksAwayIsEndedWhole() throws {
    let text =
      "setsid sh -c 'echo $$ > ../../pid; exec sleep 600' >/dev/null 2>&1 & while ! [ -s ../../pid ]; do :; done"
    let fixture = try build(shell(text))
    let pid = try #require(Int32(scratch.read("app/pid")?.split(separator: "\n").first ?? ""))
    #expect(ProcessTree.isZombie(pid))
    #expect(fixture.audience.notes.contains { $0.contains("left processes behind (sleep)") })
  }

  @Test func anAbortLeavesNoProcess() throws {
    let (failure, fixture) = try failure(shell("echo begun; sleep 600 & sleep 600")) { fixture in
      fixture.audience.heard = { if $0 == "begun" { fixture.abort() } }
    }
    #expect(failure.kind == .aborted)
    #expect(Survivors.of(fixture.operation.id).isEmpty)
    try undo(fixture)
  }

  @Test func manyMegabytesOfOutputAreBorne() throws {
    var count = 0
    let (failure, _) = try failure(
      shell("yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c 20000000; exit 1")
    ) {
      $0.audience.heard = { _ in count += 1 }
    }
    #expect(count > 280_000 && failure.lines.count == 20)
  }

  @Test func secretsAreGivenAndNeverShown() throws {
    scratch.write("secrets", "TOKEN=sentinel-4711-value\n")
    let secrets = try Secrets.read([scratch.path("secrets")], in: "/")
    let (failure, fixture) = try failure(
      shell(
        "test \"$TOKEN\" = sentinel-4711-value && echo given && env && echo $TOKEN >&2; echo $TOKEN | base64; exit 1")
    ) { $0.operation.secrets = secrets }
    #expect(fixture.audience.lines.contains("given") && fixture.audience.lines.contains("TOKEN=***"))
    let seen = fixture.audience.everything + failure.what + failure.lines.joined() + (failure.next ?? "")
    for piece in ["sentinel-4711", "c2VudGluZWwtNDcx"] { #expect(!seen.contains(piece)) }
    scratch.write("secrets", "-----BEGIN sentinel-4711\n")
    #expect { _ = try Secrets.read([scratch.path("secrets")], in: "/") } throws: { !"\($0)".contains("sentinel") }
  }

  @Test func theEnvironmentIsTheSettingsAndOurs() throws {
    let fixture = try build(
      shell("env | grep -E '^(BATON_|MODE|HOME|EDITOR)' | sort") + "build-environment = { MODE = \"release\" }\n")
    let release = try #require(fixture.operation.facts.release)
    let lines = fixture.audience.lines.filter {
      !$0.hasPrefix("HOME=") && !$0.hasPrefix("BATON_COMMAND=") && !$0.hasPrefix("$ ")
    }
    #expect(
      lines == [
        "BATON_DIRECTORY=\(scratch.path("app"))", "BATON_OPERATION=\(fixture.operation.id)", "BATON_RELEASE=\(release)",
        "BATON_RELEASE_DIRECTORY=\(scratch.path("app/releases/\(release)"))", "BATON_SERVICE=app", "MODE=release",
      ])
  }

  @Test func aBuildThatFillsTheDiskLeavesRoom() throws {
    guard geteuid() == 0 else {
      print("SKIPPED aBuildThatFillsTheDiskLeavesRoom: mounting a small tmpfs needs root")
      return
    }
    scratch.make("app")
    guard mount("tmpfs", scratch.path("app"), "tmpfs", 0, "size=4m") == 0 else {
      print("SKIPPED aBuildThatFillsTheDiskLeavesRoom: mount: \(ErrorNumber.name(errno))")
      return
    }
    defer { umount2(scratch.path("app"), Int32(MNT_DETACH)) }
    let (failure, fixture) = try failure(shell("head -c 20000000 /dev/zero > big"))
    #expect(failure.lines.contains { $0.contains("No space left") })
    try undo(fixture)
    #expect(try DiskSpace.at(scratch.path("app")).free.bytes > 3 << 20)
  }

  // MARK: Verify

  @Test(arguments: [
    ("true", "is not there: ENOENT No such file or directory"), ("touch app", "is empty"),
    ("echo x > app", "is not executable"), ("mkdir app", "is no regular file"),
    ("ln -s /bin/true app", "is a link that leads out of the release, to /usr/bin/true"),
  ])
  func artifactsMustBeGood(_ text: String, _ reason: String) throws {
    let (failure, fixture) = try failure(shell(text) + "artifacts = [\"app\"]\n")
    #expect(failure.what == "the artifact app \(reason)")
    let release = try #require(fixture.operation.facts.release)
    #expect(!scratch.exists("app/releases/\(release).manifest"))
  }

  @Test func whatOutlivesReleasesIsLinkedIn() throws {
    scratch.write("app/shared/logs/old.log", "old\n")
    let fixture = try build(
      shell("mkdir -p logs var; touch logs/.keep var/x; chmod 777 var") + "shared = [\"logs\"]\nexclude = [\"var\"]\n")
    let release = try #require(fixture.operation.facts.release)
    #expect(scratch.read("app/releases/\(release)/logs/old.log") == "old\n")
    let manifest = try Manifest.read(fixture.operation.layout.manifest(release))
    #expect(manifest.items.map(\.path.description) == ["main.c"])
    #expect(manifest.outside.map(\.description).sorted() == ["logs", "var"])
  }

  @Test func nobodyElseMayWriteARelease() throws {
    let fixture = try build(shell("chmod 666 main.c; touch s; chmod 4755 s"))
    let release = try #require(fixture.operation.facts.release)
    #expect(try FileFacts.of(scratch.path("app/releases/\(release)/main.c")).mode == 0o644)
    #expect(try FileFacts.of(scratch.path("app/releases/\(release)/s")).mode == 0o755)
  }

  @Test func aPlanBuildsNothing() throws {
    let fixture = try OperationFixture(shell("touch ../../mark"), mode: .plan, scratch: scratch)
    let work = ReleaseWork()
    try FetchStep(.directory(source.directory), work).run(fixture.operation)
    try BuildStep(work).run(fixture.operation)
    try VerifyStep(work, who: "").run(fixture.operation)
    #expect(scratch.names(in: "app") == ["main"])
    #expect(fixture.effects.log.contains { $0.kind == .execute })
  }
}
