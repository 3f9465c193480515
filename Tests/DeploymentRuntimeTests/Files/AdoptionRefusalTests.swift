import CLinux
import Deployment
import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

@Suite(.enabled(if: geteuid() == 0, "SKIPPED AdoptionRefusalTests: adopting needs root")) struct AdoptionRefusalTests {
  private func refusal(_ fixture: AdoptionFixture, tree: String? = nil) throws -> StepFailure {
    let before = try fixture.picture()
    let examination = AdoptionExamination(
      tree: tree ?? fixture.tree, layout: fixture.layout, shared: fixture.wish.shared, excluded: fixture.wish.excluded)
    let failure = try #require(
      #expect(throws: StepFailure.self) { try examination.look() }, "it was not refused")
    #expect(failure.kind == .refused)
    #expect(failure.next != nil)
    #expect(try fixture.picture() == before)
    return failure
  }

  @Test func filesThatAreOpenForWritingAreNamed() throws {
    let fixture = try AdoptionFixture()
    var request = SpawnRequest(
      program: "/bin/sh",
      arguments: ["sh", "-c", "cd \"$0\"; exec 4>>bin/pid 5>>logs/app.log 6<secret.toml; echo; read x", fixture.tree],
      environment: [:])
    let (input, output) = (try Descriptor.pipe(), try Descriptor.pipe())
    (request.standardInput, request.standardOutput) = (input.reader, output.writer)
    let child = try request.spawn()
    var byte: UInt8 = 0
    try #require(read(output.reader.raw, &byte, 1) == 1)
    let failure = try refusal(fixture)
    // logs is shared, and what is only read may be read.
    #expect(failure.lines == ["bin/pid by sh (pid \(child.pid))"])
    let named = AdoptionExamination(
      tree: fixture.tree, layout: fixture.layout, shared: ["logs"], excluded: ["bin/pid"])
    #expect(try named.look().moved == ["logs"])
    input.writer.close()
    var status: Int32 = 0
    waitpid(child.pid, &status, 0)
    #expect(
      try AdoptionExamination(tree: fixture.tree, layout: fixture.layout, shared: [], excluded: []).look().moved == [])
  }

  @Test func aSharedMappingIsWritingWithoutADescriptor() throws {
    let fixture = try AdoptionFixture()
    // Python's mmap keeps a descriptor of its own: closed as well.
    let script = """
      import mmap, os, sys
      file = open(sys.argv[1], "r+b")
      mapping = mmap.mmap(file.fileno(), 0)
      os.closerange(3, 100)
      print(flush=True)
      sys.stdin.read()
      os._exit(0)
      """
    var request = SpawnRequest(
      program: "/usr/bin/python3", arguments: ["python3", "-c", script, "\(fixture.tree)/secret.toml"], environment: [:]
    )
    let (input, output) = (try Descriptor.pipe(), try Descriptor.pipe())
    (request.standardInput, request.standardOutput) = (input.reader, output.writer)
    let child = try request.spawn()
    var byte: UInt8 = 0
    try #require(read(output.reader.raw, &byte, 1) == 1)
    #expect(try refusal(fixture).lines == ["secret.toml by python3 (pid \(child.pid))"])
    input.writer.close()
    var status: Int32 = 0
    waitpid(child.pid, &status, 0)
  }

  @Test func mountsAreRefused() throws {
    let fixture = try AdoptionFixture()
    try #require(mount("tmpfs", "\(fixture.tree)/cache", "tmpfs", 0, "size=64k") == 0)
    // Also where it is excluded: it cannot be moved.
    #expect(try refusal(fixture).what.contains("EXDEV"))
    umount2("\(fixture.tree)/cache", Int32(MNT_DETACH))
    try #require(mount(fixture.tree, fixture.tree, nil, UInt(MS_BIND), nil) == 0)
    #expect(try refusal(fixture).what.contains("mount point"))
    umount2(fixture.tree, Int32(MNT_DETACH))
  }

  @Test func anotherFileSystemIsRefused() throws {
    let fixture = try AdoptionFixture()
    let elsewhere = ScratchTree(in: "/dev/shm")
    elsewhere.file("server/main")
    #expect(try refusal(fixture, tree: elsewhere("server")).what.contains("different file systems"))
  }

  @Test func whatAReleaseCannotHoldIsRefused() throws {
    let fixture = try AdoptionFixture()
    mkfifo("\(fixture.tree)/pipe", 0o600)
    #expect(try refusal(fixture).lines == ["pipe (named pipe)"])
    unlink("\(fixture.tree)/pipe")
    mkfifo("\(fixture.tree)/cache/pipe", 0o600)
    symlink("../../elsewhere", "\(fixture.tree)/bin/out")
    #expect(try refusal(fixture).lines == ["bin/out -> ../../elsewhere"])
    unlink("\(fixture.tree)/bin/out")
    // What is shared moves apart from the tree.
    symlink("../secret.toml", "\(fixture.tree)/logs/out")
    #expect(try refusal(fixture).lines == ["logs/out -> ../secret.toml"])
    unlink("\(fixture.tree)/logs/out")
    link("\(fixture.tree)/secret.toml", "\(fixture.layout.directory)/copy")
    #expect(try refusal(fixture).lines == ["secret.toml has 2 names"])
  }

  @Test func placesThatCannotBeAreRefused() throws {
    let fixture = try AdoptionFixture()
    for tree in [
      "server", "\(fixture.tree)/", "\(fixture.tree)/../server", fixture.layout.directory,
      parentDirectory(of: fixture.layout.directory), "/nonexistent", "\(fixture.tree)/start",
    ] { _ = try? refusal(fixture, tree: tree) }
    let inside = AdoptionExamination(
      tree: fixture.layout.directory, layout: fixture.layout, shared: [], excluded: [])
    #expect(throws: StepFailure.self) { try inside.look() }
    symlink("releases/x", fixture.layout.current)
    #expect(try refusal(fixture).what.contains("is there already"))
  }

  @Test(arguments: [
    ("a/l", "../x", false), ("l", "../x", true), ("a/b/l", "../../../x", true), ("a/l", "/etc", false),
    ("a/l", "./b/../../c/.././..", true), ("a/l", "..", false), ("l", ".", false),
  ]) func linksThatLeave(_ path: String, _ target: String, _ leaves: Bool) throws {
    let path = try #require(TreePath(path))
    #expect(AdoptionExamination.leaves(path, Array(target.utf8), .top) == leaves)
  }
}
