import CLinux
import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

@Suite struct ManifestTests {
  let tree = ScratchTree()
  let origin = Manifest.Origin(
    release: ReleaseID("20260101T000000Z-0123456-abcd"), operation: OperationID("deploy-1"),
    source: "https://example.org/a b.git", ref: "main", commit: String(repeating: "0", count: 40), who: "root\nx",
    made: 1_767_225_600, toolchain: "go version go1.22 \\ linux/amd64")

  private func path(_ text: String) throws -> TreePath { try #require(TreePath(text)) }

  private func manifest(outside: Set<TreePath> = []) throws -> Manifest {
    try Manifest.of(tree("t"), origin, outside: outside)
  }

  private func makeTree() {
    tree.file("t/bin/main", "program", mode: 0o755)
    tree.file("t/config/app.toml", "a = 1", mode: 0o640)
    tree.link("t/current config", "config/../config/app toml\n")
    tree.directory("t/empty", mode: 0o700)
  }

  @Test func theDigestIsSHA256() {
    #expect(Digest.of(Array("abc".utf8)).hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(Digest.of([]).hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  }

  @Test func theTextIsTheSameForTheSameTree() throws {
    makeTree()
    let text = String(decoding: ManifestText.text(of: try manifest()), as: UTF8.self)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let digest = Digest.of(Array("program".utf8))
    #expect(
      lines[0...5] == [
        "baton-manifest 1", "release 20260101T000000Z-0123456-abcd", "operation deploy-1", "made 2026-01-01T00:00:00Z",
        "who root\\x0ax", "source https://example.org/a b.git",
      ])
    #expect(lines.contains("f 755 7 \(digest) bin/main"))
    #expect(lines.contains("l current\\x20config config/../config/app\\x20toml\\x0a"))
    #expect(lines.contains("d 700 empty"))
    #expect(text == String(decoding: ManifestText.text(of: try manifest()), as: UTF8.self))
  }

  @Test func itReadsBackAsItWas() throws {
    makeTree()
    let odd: [[UInt8]] = [
      [0xff, 0xfe, 0x20], Array("new\nline".utf8), [UInt8](repeating: UInt8(ascii: "n"), count: 255),
    ]
    for name in odd {
      let path = TreePath(trusted: Array(tree("t").utf8) + [UInt8(ascii: "/")] + name)
      close(path.withPointer { open($0, O_CREAT | O_WRONLY | O_CLOEXEC, 0o644) })
    }
    let made = try manifest(outside: [try path("logs"), try path("a/b c")])
    #expect(made.items.count == 9)
    let files = durable()
    try files.write(made, to: tree("manifest"))
    let read = try Manifest.read(tree("manifest"))
    #expect(read == made)
    #expect(read.origin.who == "root\nx")
    #expect(files.effects.log.map(\.kind) == [.write, .rename, .sync])
    #expect(try read.differences(in: tree("t")).isEmpty)
  }

  @Test func everyDamageIsSeen() throws {
    makeTree()
    let text = ManifestText.text(of: try manifest())
    for index in stride(from: 0, to: text.count, by: 7) {
      var damaged = text
      damaged[index] ^= 1
      #expect(throws: ManifestError.self, "byte \(index)") { try ManifestText.parse(damaged) }
    }
    for length in stride(from: 0, to: text.count, by: 13) {
      #expect(throws: ManifestError.self) { try ManifestText.parse(Array(text.prefix(length))) }
    }
  }

  /// Whoever can write the file can also write its hash: what it says must still be bounded.
  @Test(arguments: [
    "f 755 7 00 ../../etc/passwd", "d 755 /etc", "d 755 b\nd 755 a", "d 755 a\nd 755 a", "d 99999 a", "x 1 a", "l a ",
    "d 755 ", "d 755 a/../b",
  ])
  func wellSignedNonsenseIsRefused(_ lines: String) {
    let items = lines + "\n"
    var text = Array(
      """
      baton-manifest 1
      release r
      operation o
      made 2026-01-01T00:00:00Z
      who w
      source s
      items \(lines.split(separator: "\n").count)
      tree \(Digest.of(Array(items.utf8)))

      \(items)
      """.utf8)
    text += Array("end \(Digest.of(text))\n".utf8)
    #expect(throws: ManifestError.self) { try ManifestText.parse(text) }
  }

  @Test func whatIsOutsideIsAnchored() throws {
    for name in ["t/logs/today", "t/src/logs/code.c", "t/src/tmp/x", "t/tmp/y"] { tree.file(name) }
    let made = try manifest(outside: [try path("logs"), try path("tmp")])
    #expect(made.items.map(\.path.description) == ["src", "src/logs", "src/logs/code.c", "src/tmp", "src/tmp/x"])
    tree.file("t/logs/tomorrow")
    #expect(try made.differences(in: tree("t")).isEmpty)
    tree.file("t/src/logs/more.c")
    #expect(try made.differences(in: tree("t")).first.map(\.description) == ["not in it: src/logs/more.c"])
  }

  @Test func everyDifferenceIsFound() throws {
    makeTree()
    for name in ["t/a", "t/b", "t/c", "t/d"] { tree.file(name, "same") }
    let made = try manifest()
    unlink(tree("t/a"))
    tree.file("t/b", "diff")
    chmod(tree("t/c"), 0o4755)
    unlink(tree("t/d"))
    tree.link("t/d", "c")
    tree.file("t/e")
    unlink(tree("t/current config"))
    tree.link("t/current config", "elsewhere")
    chmod(tree("t/empty"), 0o777)
    let found = try made.differences(in: tree("t"))
    #expect(
      found.first.map(\.description) == [
        "missing: a", "changed: b", "mode 644 has become 4755: c", "changed: current\\x20config",
        "another kind of thing: d", "not in it: e", "mode 700 has become 777: empty",
      ])
    #expect((found.added, found.removed, found.changed) == (1, 1, 5))
    // Without reading, the same size passes.
    #expect(try made.differences(in: tree("t"), contents: false).count == 6)
    #expect(try made.differences(in: tree("t"), limit: 2).first.count == 2)
    #expect(try made.differences(in: tree("t"), limit: 2).count == 7)
  }

  @Test func noReleaseHoldsSocketsAndDevices() throws {
    makeTree()
    let made = try manifest()
    mkfifo(tree("t/pipe"), 0o600)
    #expect(throws: ManifestError.unfit(try path("pipe"), "named pipe")) { try manifest() }
    #expect(try made.differences(in: tree("t")).first.map(\.description) == ["not in it: pipe"])
    guard geteuid() == 0 else { return print("SKIPPED noReleaseHoldsSocketsAndDevices: mknod needs root") }
    unlink(tree("t/pipe"))
    mknod(tree("t/disk"), S_IFBLK | 0o600, 0)
    #expect(throws: ManifestError.unfit(try path("disk"), "device")) { try manifest() }
  }

  @Test func hardLinksAreFilesOfTheirOwn() throws {
    tree.file("t/a", "x", mode: 0o6755)
    link(tree("t/a"), tree("t/b"))
    let made = try manifest()
    #expect(made.items.map(\.mode) == [0o6755, 0o6755])
    #expect(made.items[0].content == made.items[1].content)
    #expect(made.contentSize == ByteCount(2))
  }

  @Test func largeFilesAreReadWhole() throws {
    var state: UInt64 = 1
    let bytes = (0..<300_000).map { _ -> UInt8 in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
    tree.directory("t")
    for size in [65_535, 65_536, 65_537, 300_000] {
      try durable().write(Array(bytes.prefix(size)), to: tree("t/\(size)"))
    }
    for item in try manifest().items {
      guard case .file(let size, let digest) = item.content else { continue }
      #expect(digest == Digest.of(bytes.prefix(Int(size))))
    }
  }

  @Test(arguments: [(0, "1970-01-01T00:00:00Z"), (1_767_225_599, "2025-12-31T23:59:59Z")] as [(Int64, String)])
  func wallTime(_ seconds: Int64, _ text: String) {
    #expect(DateText.text(seconds) == text)
    #expect(DateText.seconds(text) == seconds)
    #expect(DateText.seconds("\(text) ") == nil)
    #expect(DateText.seconds("2026-02-30T00:00:00Z") == nil)
  }
}
