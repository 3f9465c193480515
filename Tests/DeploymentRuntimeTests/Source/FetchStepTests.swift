import Deployment
import Glibc
import Testing
import Vocabulary

@testable import DeploymentRuntime
@testable import LinuxSystem

@Suite struct FetchStepTests {
  let scratch = Scratch()
  let repository: GitRepository

  init() throws {
    repository = try GitRepository(in: scratch)
    try repository.commit(["main.c": "int main() { return 0; }\n", "web/index.html": "hello\n"])
  }

  private func fixture(_ more: String = "", id: String = "op-1", mode: Effects.Mode = .act) throws -> OperationFixture {
    try OperationFixture("repository = \"DIR/repo\"\n" + more, id: id, mode: mode, scratch: scratch)
  }

  /// Fetches, and the directory of the release.
  @discardableResult
  private func fetch(
    _ fixture: OperationFixture, _ source: ReleaseSource = .repository(ref: nil), work: ReleaseWork = ReleaseWork()
  ) throws -> String {
    try FetchStep(source, work).run(fixture.operation)
    return "app/releases/\(try #require(fixture.operation.facts.release))"
  }

  private func failure(_ body: () throws -> some Any) -> StepFailure? {
    do {
      _ = try body()
      Issue.record("it did not fail")
      return nil
    } catch { return error as? StepFailure }
  }

  @Test func aCommitIsExportedAsItIs() throws {
    repository.write("bin/run", "#!/bin/sh\n", mode: 0o755)
    repository.write("with blank\tand\u{e9}", "odd\n")
    symlink("web/index.html", repository.scratch.path("repo/link"))
    let commit = try repository.commit()
    let fixture = try fixture()
    let release = try fetch(fixture)
    #expect(fixture.operation.facts.commit == commit)
    #expect(fixture.operation.facts.release?.text.contains("-\(commit.prefix(7))-") == true)
    #expect(scratch.names(in: release) == ["bin", "link", "main.c", "web", "with blank\tand\u{e9}"].sorted())
    #expect(scratch.read("\(release)/web/index.html") == "hello\n")
    #expect(try FileFacts.of(scratch.path("\(release)/bin/run")).mode == 0o755)
    #expect(try FileFacts.of(scratch.path("\(release)/main.c")).mode == 0o644)
    #expect(try readLink(scratch.path("\(release)/link")) == Array("web/index.html".utf8))
    #expect(scratch.names(in: "app/deploys") == ["gitconfig", "mirror.git", "sources"])
  }

  @Test func whatIsNotThereIsSaid() throws {
    let missing = failure { try fetch(try fixture("ref = \"no-such\"")) }
    #expect(missing?.what == "there is no branch, tag or commit no-such in \(repository.path)")
    #expect(missing?.next == "name one that is there, such as main")
    let commit = failure { try fetch(try fixture("ref = \"\(String(repeating: "a", count: 40))\"")) }
    #expect(commit?.kind == .failed)
    for odd in ["--upload-pack=x", "main..x", "main^", "a b", "main@{1}", ""] {
      #expect(failure { try Ref(odd) }?.kind == .refused)
    }
    #expect(scratch.names(in: "app/releases").isEmpty)
  }

  @Test func aRepositoryThatIsNoneIsSaid() throws {
    let none = try OperationFixture("repository = \"DIR/app\"", scratch: scratch)
    let failed = failure { try fetch(none) }
    #expect(failed?.what.hasPrefix("\(scratch.path("app")) could not be fetched: ") == true)
    #expect(failed?.lines.isEmpty == false)
    let program = try OperationFixture("repository = \"ext::DIR/mark\"", scratch: scratch)
    scratch.write("mark", "#!/bin/sh\ntouch \(scratch.path("done"))\n", mode: 0o755)
    #expect(failure { try fetch(program) }?.kind == .failed)
    #expect(!scratch.exists("done"))
  }

  @Test func branchesTagsAndCommitsAreFound() throws {
    let first = try repository.head
    try repository.git("tag", "-a", "-m", "v1", "v1")
    let second = try repository.commit(["main.c": "2"])
    try repository.git("tag", "main", first)
    for (ref, commit) in [
      ("refs/heads/main", second), ("refs/tags/main", first), ("v1", first), (String(first.prefix(10)), first),
      (first, first),
    ] {
      let fixture = try fixture("ref = \"\(ref)\"")
      try fetch(fixture)
      #expect(fixture.operation.facts.commit == commit, "\(ref)")
    }
    #expect(failure { try fetch(try fixture("ref = \"main\"")) }?.next == "write refs/heads/main or refs/tags/main")
  }

  @Test func aBranchThatWasPushedByForceIsFollowed() throws {
    try fetch(try fixture())
    try repository.git("commit", "--quiet", "--amend", "--message=other")
    let fixture = try fixture(id: "op-2")
    try fetch(fixture)
    #expect(fixture.operation.facts.commit == (try repository.head))
  }

  @Test func aBranchThatMovesMeanwhileChangesNothing() throws {
    let commit = try repository.head
    let fixture = try fixture()
    // As soon as it is resolved.
    fixture.audience.noted = { text in
      if text.hasPrefix("HEAD is commit") { _ = try? self.repository.commit(["main.c": "moved"]) }
    }
    let release = try fetch(fixture)
    #expect(try repository.head != commit)
    #expect(fixture.operation.facts.commit == commit)
    #expect(scratch.read("\(release)/main.c") == "int main() { return 0; }\n")
  }

  @Test func ancestorAndSignatureAreAskedFor() throws {
    try repository.git("branch", "stable")
    try repository.commit(["main.c": "not in stable"])
    #expect(
      failure { try fetch(try fixture("require-ancestor = \"stable\"")) }?.what.contains(
        "cannot be reached from stable") == true)
    try fetch(try fixture("require-ancestor = \"main\""))
    let unsigned = failure { try fetch(try fixture("require-signature = \"DIR/signers\"")) }
    #expect(unsigned?.what.contains("has no signature of a key in") == true)
    var keygen = CommandRun(
      ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", scratch.path("key")], in: scratch.directory,
      environment: ["PATH": CommandEnvironment.path])
    keygen.isReading = true
    let keeper = try fixture()
    _ = try keygen.run(keeper.operation)
    try repository.git([
      "-c", "gpg.format=ssh", "-c", "user.signingkey=\(scratch.path("key"))", "commit", "--quiet", "--allow-empty",
      "-S", "-m", "signed",
    ])
    let key = try #require(scratch.read("key.pub"))
    scratch.write("signers", "a@example.org \(key)")
    try fetch(try fixture("require-signature = \"DIR/signers\""))
    scratch.write("signers", "b@example.org namespaces=\"file\" \(key)")
    #expect(failure { try fetch(try fixture("require-signature = \"DIR/signers\"")) } != nil)
    #expect(scratch.names(in: "app/releases").count == 2)
  }

  @Test func aChangedCheckoutIsRefusedWithItsDifference() throws {
    try repository.git("clone", "--quiet", repository.path, scratch.path("app/tree"))
    rename(scratch.path("app/tree/.git"), scratch.path("app/.git"))
    scratch.write("app/main.c", "db=PROD\n")
    scratch.make("app/web")
    scratch.write("app/web/index.html", "hello\n")
    let refused = failure { try fetch(try fixture()) }
    #expect(refused?.kind == .refused)
    #expect(refused?.lines.contains("+db=PROD") == true)
    #expect(scratch.read("app/main.c") == "db=PROD\n" && !scratch.exists("app/.git/refs/stash"))
    #expect(!scratch.exists("app/releases"))
    scratch.write("app/main.c", "int main() { return 0; }\n")
    try fetch(try fixture())
  }

  @Test func exportIgnoreIsHonoured() throws {
    try repository.commit([
      ".gitattributes": "tests export-ignore\n*.md export-ignore\n", "tests/a": "a", "docs/x.md": "x", "docs/y": "y",
    ])
    let release = try fetch(try fixture())
    #expect(scratch.names(in: release) == [".gitattributes", "docs", "main.c", "web"])
    #expect(scratch.names(in: "\(release)/docs") == ["y"])
  }

  @Test func aTreeThatLeadsOutsideWritesNothing() throws {
    let blob = try repository.git(["hash-object", "-w", "--stdin"], input: Array("evil".utf8))
    for name in ["..", ".git", "a/../../b"] {
      let object = stride(from: 0, to: 40, by: 2).map { start -> UInt8 in
        let digits = blob.utf8.dropFirst(start).prefix(2)
        return UInt8(String(decoding: digits, as: UTF8.self), radix: 16) ?? 0
      }
      let tree = try repository.git(
        ["hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        input: Array("100644 \(name)".utf8) + [0] + object)
      let commit = try repository.git(["commit-tree", tree], input: Array("evil".utf8))
      try repository.git("update-ref", "refs/heads/evil", commit)
      let fixture = try fixture("ref = \"evil\"")
      #expect(failure { try fetch(fixture) }?.kind == .failed)
      try FetchStep(.repository(ref: nil), ReleaseWork()).undo(fixture.operation)
      #expect(scratch.names(in: "app/releases").isEmpty && !scratch.exists("app/b"))
    }
  }

  @Test func whatAKilledFetchLeftIsNoObstacle() throws {
    try fetch(try fixture())
    scratch.write("app/deploys/mirror.git/refs/heads/main.lock", "")
    scratch.write("app/deploys/mirror.git/packed-refs.lock", "")
    scratch.make("app/deploys/.tmp-op-0-mirror.git")
    let commit = try repository.commit(["main.c": "new"])
    let fixture = try fixture(id: "op-2")
    try fetch(fixture)
    #expect(fixture.operation.facts.commit == commit)
  }

  @Test(arguments: [true, false]) func aBrokenMirrorIsMadeAnew(_ isWhole: Bool) throws {
    try fetch(try fixture())
    let mirror = "app/deploys/mirror.git"
    if isWhole {
      scratch.write("\(mirror)/HEAD", "garbage")
    } else {
      // Found by whoever reads the object, not by a fetch.
      let tree = try repository.git("rev-parse", "HEAD^{tree}")
      let path = "\(mirror)/objects/\(tree.prefix(2))/\(tree.dropFirst(2))"
      chmod(scratch.path(path), 0o644)
      scratch.write(path, "garbage")
    }
    let fixture = try fixture(id: "op-2")
    let release = try fetch(fixture)
    #expect(scratch.read("\(release)/web/index.html") == "hello\n")
    #expect(fixture.audience.warnings.contains { $0.contains("is broken") })
    #expect(scratch.exists("app/deploys/mirror.git.broken"))
  }

  @Test func undoLeavesNothingAndWhatRunsAlone() throws {
    let fixture = try fixture()
    let release = try fetch(fixture)
    symlink("../\(release)", scratch.path("app/current"))
    unlink(scratch.path("app/current"))
    symlink("releases/\(try #require(fixture.operation.facts.release))", scratch.path("app/current"))
    #expect(failure { try FetchStep(.repository(ref: nil), ReleaseWork()).undo(fixture.operation) } != nil)
    #expect(scratch.exists(release))
    unlink(scratch.path("app/current"))
    for _ in 0..<2 { try FetchStep(.repository(ref: nil), ReleaseWork()).undo(fixture.operation) }
    #expect(scratch.names(in: "app/releases").isEmpty)
  }

  @Test func aPlanTouchesNothing() throws {
    let fixture = try fixture(mode: .plan)
    try fetch(fixture)
    #expect(fixture.operation.facts.commit == (try repository.head))
    #expect(scratch.names(in: "app") == ["main"])
  }

  @Test func directoriesAndArchivesAreSourcesToo() throws {
    let path = repository.path
    let copied = try fixture(id: "op-1")
    let release = try fetch(copied, .directory(path))
    #expect(copied.operation.facts.release?.text.contains("-none-") == true)
    #expect(scratch.names(in: release) == ["main.c", "web"])
    try repository.git("archive", "--format=tar.gz", "--output=\(scratch.path("a.tar.gz"))", "HEAD")
    #expect(
      scratch.names(in: try fetch(try fixture(id: "op-2"), .archive(scratch.path("a.tar.gz")))) == ["main.c", "web"])
    let input = try Descriptor.open(scratch.path("a.tar.gz"), flags: O_RDONLY)
    #expect(scratch.names(in: try fetch(try fixture(id: "op-3"), .input(input))) == ["main.c", "web"])
    scratch.write("bad.tar.gz", "not an archive")
    #expect(failure { try fetch(try fixture(id: "op-4"), .archive(scratch.path("bad.tar.gz"))) } != nil)
    #expect(failure { try fetch(try fixture(id: "op-5"), .directory(scratch.path("nowhere"))) } != nil)
  }
}
