import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

@Suite struct TreePathTests {
  @Test(arguments: ["", "a", "a/b", "./a//b/", "…/ü", ".hidden", "..x", "x.."])
  func accepted(_ text: String) { #expect(TreePath(text) != nil) }

  @Test(arguments: [
    "/a", "..", "a/../b", "a/..", "a\0b", String(repeating: "a/", count: 2_100), String(repeating: "a", count: 256),
  ])
  func refused(_ text: String) { #expect(TreePath(text) == nil) }

  @Test func normalised() { #expect(TreePath("./a//b/")?.bytes == Array("a/b".utf8)) }

  @Test(arguments: [
    Array("a b\\\n".utf8), [0xff, 0x41, 0xc3], Array("größe".utf8), [0x7f, 1, 0x20], Array("\\x41".utf8),
  ])
  func anyBytesSurviveTheirText(_ bytes: [UInt8]) {
    let text = EscapedText.escape(bytes)
    #expect(EscapedText.unescape(Array(text.utf8)) == bytes)
    #expect(text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f })
  }

  @Test(arguments: ["\\", "\\x4", "\\y41", "\\x4g"]) func badEscapes(_ text: String) {
    #expect(EscapedText.unescape(Array(text.utf8)) == nil)
  }

  @Test func insideIsByNameNotByLetters() {
    #expect(TreePath("logs/a")?.isInside(TreePath(trusted: Array("logs".utf8))) == true)
    #expect(TreePath("logs2")?.isInside(TreePath(trusted: Array("logs".utf8))) == false)
    #expect(TreePath("src/logs")?.isInside(TreePath(trusted: Array("logs".utf8))) == false)
  }
}

@Suite struct TreeTests {
  let tree = ScratchTree()
  let files = durable()

  private func met(_ top: String, skipping: Set<TreePath> = [], limits: TreeLimits = TreeLimits()) throws -> [String] {
    var paths: [String] = []
    try TreeWalk.each(in: top, skipping: skipping, limits: limits) { (entry) throws(SystemError) in
      paths.append(entry.path.escaped)
    }
    return paths
  }

  @Test func theWalkHasTheOrderOfPaths() throws {
    for name in ["t/a/b", "t/a-b", "t/ab", "t/b/c/d", "t/a b", "t/B"] { tree.file(name) }
    let paths = try met(tree("t"))
    #expect(paths == ["B", "a", "a/b", "a\\x20b", "a-b", "ab", "b", "b/c", "b/c/d"])
    let sorted = paths.compactMap { TreePath(escaped: Array($0.utf8)) }
    #expect(sorted == sorted.sorted())
  }

  @Test func whatIsSkippedIsAnchoredAtTheTop() throws {
    for name in ["t/logs/x", "t/src/logs/y", "t/logs2"] { tree.file(name) }
    let logs = try #require(TreePath("logs"))
    #expect(try met(tree("t"), skipping: [logs]) == ["logs2", "src", "src/logs", "src/logs/y"])
  }

  @Test func linksAreNotFollowed() throws {
    tree.file("outside/secret", "x")
    tree.link("t/way", "../outside")
    tree.link("t/loop", ".")
    #expect(try met(tree("t")) == ["loop", "way"])
    tree.link("top", "t")
    #expect(throws: SystemError.self) { try met(tree("top")) }
  }

  @Test func limitsAreKept() throws {
    for number in 0..<20 { tree.file("t/\(number)") }
    #expect(throws: SystemError("walk", "\(tree("t")) (10 entries)", errno: E2BIG)) {
      try met(tree("t"), limits: TreeLimits(entries: 10))
    }
    tree.file("deep/a/b/c/d/e", "")
    let error = #expect(throws: SystemError.self) { try met(tree("deep"), limits: TreeLimits(depth: 2)) }
    #expect(error?.name == "ELOOP")
  }

  @Test func aMountInsideIsRefusedAndNotEmptied() throws {
    guard geteuid() == 0 else { return print("SKIPPED aMountInsideIsRefusedAndNotEmptied: mounting needs root") }
    tree.file("elsewhere/precious", "x")
    tree.directory("t/inner")
    // A bind mount has the same device: only the mount tells.
    try #require(mount(tree("elsewhere"), tree("t/inner"), nil, UInt(MS_BIND), nil) == 0)
    defer { umount2(tree("t/inner"), Int32(MNT_DETACH)) }
    #expect(throws: SystemError.self) { try met(tree("t")) }
    let error = #expect(throws: SystemError.self) { try files.removeTree(tree("t")) }
    #expect(error?.name == "EXDEV")
    #expect(try tree.text("elsewhere/precious") == "x")
  }

  @Test func removalTakesEverythingAndNothingElse() throws {
    tree.file("outside/precious", "x")
    tree.file("t/a/b/c", "", mode: 0o000)
    tree.link("t/a/way", "../../outside")
    tree.link("t/dir", "\(tree.path)/outside")
    mkfifo(tree("t/pipe"), 0o600)
    mkdir(tree("t/\u{1}\n \\"), 0o700)
    chmod(tree("t/a/b"), 0o500)
    try files.removeTree(tree("t"))
    try files.removeTree(tree("t"))
    #expect(tree.names() == ["outside"])
    #expect(try tree.text("outside/precious") == "x")
  }

  /// Deeper than descriptors would reach, and than a path can be written.
  @Test func removalOfADeepTree() throws {
    tree.directory("deep")
    var at = try Descriptor.open(tree("deep"), flags: O_RDONLY | O_DIRECTORY)
    for _ in 0..<3_000 {
      #expect(mkdirat(at.raw, "d", 0o700) == 0)
      at = Descriptor(owning: openat(at.raw, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    }
    try files.removeTree(tree("deep"))
    #expect(tree.names() == [])
  }

  /// A removal that was killed leaves directories at the top, under names of its own.
  @Test func removalAfterOneThatWasKilled() throws {
    for number in 0..<20 {
      tree.file("t/.tmp-deep-0-\(number)-1/left")
      let line = "t/d\(number)/" + [String](repeating: "d", count: 600).joined(separator: "/")
      tree.directory(line)
    }
    try files.removeTree(tree("t"))
    #expect(tree.names() == [])
  }

  @Test func aTreeDisappearsInOneStep() throws {
    tree.file("releases/r1/a", "")
    try files.discardTree(tree("releases/r1"))
    #expect(files.effects.log.map(\.kind) == [.rename, .sync, .removeTree])
    #expect(tree.names("releases") == [])
  }

  @Test(arguments: [TreeCopy.Manner.contents, .links]) func copies(_ manner: TreeCopy.Manner) throws {
    tree.file("t/bin/main", "program", mode: 0o755)
    tree.file("t/odd \n name", "x", mode: 0o640)
    tree.file("t/logs/today", "x")
    tree.link("t/way", "/somewhere/else")
    chmod(tree("t/bin"), 0o555)
    try files.copyTree(tree("t"), to: tree("copy"), skipping: [try #require(TreePath("logs"))], manner)
    #expect(try met(tree("copy")) == ["bin", "bin/main", "odd\\x20\\x0a\\x20name", "way"])
    for name in ["", "bin", "bin/main", "odd \n name"] {
      let (old, new) = (try FileFacts.of(tree("t/\(name)")), try FileFacts.of(tree("copy/\(name)")))
      #expect(old.mode == new.mode, "\(name)")
      #expect((old.identity == new.identity) == (manner == .links && old.kind == .file))
      if new.kind == .file { #expect(old.modified == new.modified) }
    }
    #expect(try tree.text("copy/bin/main") == "program")
  }

  @Test func copiesHaveNoSetuidBits() throws {
    tree.file("t/sudo", "x", mode: 0o6755)
    try files.copyTree(tree("t"), to: tree("copy"))
    #expect(try FileFacts.of(tree("copy/sudo")).mode == 0o755)
  }

  @Test func specialFilesAreNotCopied() throws {
    tree.directory("t")
    mkfifo(tree("t/pipe"), 0o600)
    #expect(throws: SystemError("copy the named pipe", "\(tree("copy"))/pipe", errno: EINVAL)) {
      try files.copyTree(tree("t"), to: tree("copy"))
    }
  }

  @Test func sizeCountsAFileOnce() throws {
    tree.file("t/a", String(repeating: "x", count: 10_000))
    link(tree("t/a"), tree("t/b"))
    let size = try TreeSize.of(tree("t"))
    #expect(size.entries == 3)
    #expect(size.content == ByteCount(20_000))
    #expect(size.stored < ByteCount(20_480))
  }

  @Test func spaceIsKnown() throws {
    let space = try DiskSpace.at("/tmp")
    #expect(space.free > ByteCount(0) && space.free < space.total)
  }
}
