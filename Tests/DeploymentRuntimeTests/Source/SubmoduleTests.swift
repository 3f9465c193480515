import Deployment
import Glibc
import Testing
import Vocabulary

@testable import DeploymentRuntime
@testable import LinuxSystem

@Suite struct SubmoduleTests {
  @Test(arguments: [
    ("../b.git", "https://h/x/a.git", "https://h/x/b.git"), ("./b", "/srv/a.git", "/srv/a.git/b"),
    ("../../b", "ssh://g@h/x/y/a/", "ssh://g@h/x/b"), ("../b", "git@h:a", "git@h:b"),
    ("https://h/b", "/a", "https://h/b"),
  ])
  func relativeURLs(_ url: String, _ base: String, _ wanted: String) {
    #expect(Submodules.absolute(url, from: base) == wanted)
  }

  @Test func passwordsInURLsAreNotShown() {
    #expect(Mirror.shown("https://me:pass@word@host/x@y") == "https://me@host/x@y")
    #expect(Mirror.shown("git@host:me/x") == "git@host:me/x")
    #expect(Mirror.shown("/srv/a@b") == "/srv/a@b")
  }

  @Test func submodulesAreExportedWithThoseInThem() throws {
    let scratch = Scratch()
    let inner = try GitRepository(in: scratch, "inner")
    try inner.commit(["deep.txt": "deep\n"])
    let library = try GitRepository(in: scratch, "library")
    try library.git("submodule", "--quiet", "add", "../inner", "inner")
    let old = try library.commit(["lib.txt": "old\n"])
    let repository = try GitRepository(in: scratch)
    try repository.git("submodule", "--quiet", "add", "../library", "vendor/lib")
    try repository.commit(["main": "main\n"])
    // The submodule goes on; what counts is what the commit names.
    try library.commit(["lib.txt": "new\n"])
    let fixture = try OperationFixture("repository = \"DIR/repo\"", scratch: scratch)
    try FetchStep(.repository(ref: nil), ReleaseWork()).run(fixture.operation)
    let release = "app/releases/\(try #require(fixture.operation.facts.release))"
    #expect(scratch.read("\(release)/vendor/lib/lib.txt") == "old\n")
    #expect(scratch.read("\(release)/vendor/lib/inner/deep.txt") == "deep\n")
    #expect(!scratch.exists("\(release)/vendor/lib/.git") && !old.isEmpty)
    // A commit that was never pushed.
    try repository.git("update-index", "--cacheinfo", "160000,\(String(repeating: "1", count: 40)),vendor/lib")
    try repository.git("commit", "--quiet", "--message=unpushed")
    let next = try OperationFixture("repository = \"DIR/repo\"", id: "op-2", scratch: scratch)
    #expect {
      try FetchStep(.repository(ref: nil), ReleaseWork()).run(next.operation)
    } throws: { ($0 as? StepFailure)?.what.contains("of the submodule vendor/lib is not in") == true }
  }

  @Test func largeFilesComeOrAreRefused() throws {
    let scratch = Scratch()
    let repository = try GitRepository(in: scratch)
    guard findProgram("git-lfs", in: "/", path: CommandEnvironment.path) != nil else {
      Issue.record("git-lfs is not installed: run scripts/setup")
      return
    }
    try repository.git("lfs", "install", "--local")
    try repository.git("lfs", "track", "*.bin")
    try repository.commit(["a.bin": String(repeating: "large\n", count: 1_000), "b.txt": "b\n"])
    let text = "repository = \"DIR/repo\""
    let fixture = try OperationFixture(text, scratch: scratch)
    try FetchStep(.repository(ref: nil), ReleaseWork()).run(fixture.operation)
    let release = "app/releases/\(try #require(fixture.operation.facts.release))"
    #expect(scratch.read("\(release)/a.bin")?.utf8.count == 6_000)
    let mirror = Mirror(fixture.operation, of: repository.path, at: fixture.operation.layout.mirror)
    let file = GitFile(path: try #require(TreePath("a.bin")), kind: .file, object: "0")
    #expect {
      _ = try LargeFiles.prepare([file], commit: "c", in: mirror, path: "/nowhere")
    } throws: { ($0 as? StepFailure)?.next == "install git-lfs on this host, or deploy an archive with --from" }
    // Objects nobody has: a pointer is never deployed.
    Scratch.remove(scratch.path("repo/.git/lfs"))
    Scratch.remove(scratch.path("app/deploys/mirror.git/lfs"))
    let next = try OperationFixture(text, id: "op-2", scratch: scratch)
    #expect(throws: StepFailure.self) { try FetchStep(.repository(ref: nil), ReleaseWork()).run(next.operation) }
    scratch.write("pointer/a.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    #expect(throws: StepFailure.self) { try LargeFiles.check([file], in: scratch.path("pointer")) }
  }
}
