import Deployment
import Glibc
import Testing
import Vocabulary

@testable import DeploymentRuntime
@testable import LinuxSystem

@Suite struct LinkedFilesTests {
  let scratch = Scratch()
  let repository: GitRepository

  init() throws {
    repository = try GitRepository(in: scratch)
    try repository.commit(["same": "same\n", "deep/also": "also\n", "other": "one\n"])
  }

  /// The release, as the one that is in use.
  private func deploy(_ id: String, _ settings: String = "") throws -> String {
    let fixture = try OperationFixture("repository = \"DIR/repo\"\n" + settings, id: id, scratch: scratch)
    fixture.operation.facts.previous = currentRelease(fixture.operation.layout)
    let work = ReleaseWork()
    try FetchStep(.repository(ref: nil), work).run(fixture.operation)
    try BuildStep(work).run(fixture.operation)
    try VerifyStep(work, who: "a test").run(fixture.operation)
    let release = try #require(fixture.operation.facts.release)
    unlink(scratch.path("app/current"))
    symlink("releases/\(release)", scratch.path("app/current"))
    return "app/releases/\(release)"
  }

  private func inode(_ name: String) throws -> UInt64 { try FileFacts.of(scratch.path(name)).identity.inode }

  @Test func whatIsAsItWasIsLinked() throws {
    let first = try deploy("op-1")
    try repository.commit(["other": "two\n"])
    chmod(scratch.path("repo/deep/also"), 0o755)
    try repository.commit()
    let second = try deploy("op-2")
    #expect(try inode("\(first)/same") == inode("\(second)/same"))
    // Another mode, other contents.
    for name in ["deep/also", "other"] { #expect(try inode("\(first)/\(name)") != inode("\(second)/\(name)")) }
    #expect(scratch.read("\(second)/other") == "two\n" && scratch.read("\(first)/other") == "one\n")
    #expect(try FileFacts.of(scratch.path("\(second)/deep/also")).mode == 0o755)
  }

  @Test func aBuildNeverWritesIntoTheReleaseBefore() throws {
    try repository.commit(["gone": "gone\n", "dir/a": "a\n", "dir/b": "b\n", "mode": "mode\n"])
    let first = try deploy("op-1")
    let text =
      "echo changed > same; rm gone; rm -r dir; mkdir dir; echo c > dir/c; chmod 755 mode; echo new > deep/new; pwd"
    let second = try deploy("op-2", "build = [[\"sh\", \"-c\", \"\(text)\"], [\"sh\", \"-c\", \"cat same > seen\"]]\n")
    for (name, content) in [("same", "same\n"), ("gone", "gone\n"), ("dir/a", "a\n"), ("mode", "mode\n")] {
      #expect(scratch.read("\(first)/\(name)") == content)
    }
    #expect(try FileFacts.of(scratch.path("\(first)/mode")).mode == 0o644)
    #expect(!scratch.exists("\(first)/deep/new"))
    for (name, content) in [
      ("same", "changed\n"), ("seen", "changed\n"), ("dir/c", "c\n"), ("deep/new", "new\n"), ("deep/also", "also\n"),
    ] {
      #expect(scratch.read("\(second)/\(name)") == content)
    }
    #expect(try FileFacts.of(scratch.path("\(second)/mode")).mode == 0o755)
    #expect(!scratch.exists("\(second)/gone") && scratch.names(in: "\(second)/dir") == ["c"])
    #expect(scratch.names(in: "app/releases").allSatisfy { !$0.hasPrefix(".tmp-") })
    let fixture = try OperationFixture("repository = \"DIR/repo\"", scratch: scratch)
    if BuildRoom.isAvailable(fixture.operation) {
      #expect(try inode("\(first)/other") == inode("\(second)/other"))
    } else {
      print("SKIPPED linking below a build: this host gives no overlay to \(geteuid())")
    }
    // What a build did write is not taken for what git has.
    let third = try deploy("op-3")
    #expect(scratch.read("\(third)/same") == "same\n" && scratch.read("\(third)/dir/a") == "a\n")
    #expect(try inode("\(third)/other") == inode("\(second)/other"))
  }

  @Test func otherAttributesMakeOtherFiles() throws {
    let first = try deploy("op-1")
    try repository.commit([".gitattributes": "same text eol=crlf\n"])
    let second = try deploy("op-2")
    #expect(scratch.read("\(first)/same") == "same\n" && scratch.read("\(second)/same") == "same\r\n")
  }

  @Test func aReleaseThatWasChangedIsNoDonor() throws {
    let first = try deploy("op-1")
    scratch.write("\(first)/same", "edited by hand\n")
    #expect(scratch.read("\(try deploy("op-2"))/same") == "same\n")
    // Changed without a trace in its times: found by its hash.
    let second = String(try #require(currentRelease(Layout(directory: scratch.path("app")))).text)
    var facts = stat()
    let path = scratch.path("app/releases/\(second)/same")
    stat(path, &facts)
    scratch.write("app/releases/\(second)/same", "SAME\n")
    var times = [facts.st_atim, facts.st_mtim]
    utimensat(AT_FDCWD, path, &times, 0)
    #expect { _ = try deploy("op-3") } throws: {
      ($0 as? StepFailure)?.what.contains("same of release \(second) is no longer what it was") == true
    }
  }

  @Test func filesThatWentIntoSharedAreNotLinked() throws {
    try repository.commit(["data/seed": "seed\n"])
    let first = try deploy("op-1", "shared = [\"data\"]\n")
    #expect(scratch.read("app/shared/data/seed") == "seed\n" && scratch.exists("\(first)/data"))
    let second = try deploy("op-2")
    #expect(scratch.read("\(second)/data/seed") == "seed\n")
    #expect(try inode("\(second)/data/seed") != inode("app/shared/data/seed"))
  }
}
