import CLinux
import Glibc
import LinuxSystem
import Synchronization
import Testing
import Vocabulary

@testable import DeploymentRuntime

@Suite struct DurableFilesTests {
  let tree = ScratchTree()
  let files = durable()

  private var log: [Effect.Kind] { files.effects.log.map(\.kind) }

  @Test func writingIsWriteThenRenameThenSync() throws {
    tree.file("settings", "old", mode: 0o600)
    try files.write(Array("new".utf8), to: tree("settings"), mode: 0o640)
    #expect(try tree.text("settings") == "new")
    #expect(try FileFacts.of(tree("settings")).mode == 0o640)
    #expect(log == [.write, .rename, .sync])
    #expect(files.effects.log.map(\.subject) == [tree(".tmp-op-1-settings"), tree("settings"), tree.path])
    #expect(tree.names() == ["settings"])
  }

  @Test func aFullDiskLeavesTheOldAndNothingElse() throws {
    guard geteuid() == 0 else { return print("SKIPPED aFullDiskLeavesTheOldAndNothingElse: mounting needs root") }
    let small = tree.directory("small")
    try #require(mount("tmpfs", small, "tmpfs", 0, "size=64k") == 0)
    defer { umount2(small, Int32(MNT_DETACH)) }
    tree.file("small/state", "old")
    let error = #expect(throws: SystemError.self) {
      try files.write([UInt8](repeating: 1, count: 100_000), to: tree("small/state"))
    }
    #expect(error?.name == "ENOSPC")
    #expect(try tree.text("small/state") == "old")
    #expect(tree.names("small") == ["state"])
    // Nor does the way back need space for a link.
    try files.replaceSymlink(tree("small/current"), with: "releases/a")
    #expect(try DiskSpace.at(small).total == ByteCount(65_536))
  }

  @Test func aPlanTouchesNothing() throws {
    let files = DurableFiles(Effects(.plan, faults: nil), operation: OperationID("op-1"))
    try files.write([1], to: tree("a"))
    try files.replaceSymlink(tree("b"), with: "x")
    try files.makeDirectory(tree("c"))
    try files.exchange(tree("d"), tree("e"))
    #expect(tree.names() == [])
    #expect(
      files.effects.log.filter { $0.kind != .sync }.map(\.kind) == [
        .write, .rename, .symlink, .rename, .makeDirectory, .exchange,
      ])
  }

  @Test func aLinkIsNeverMissing() throws {
    for name in ["a", "b"] { tree.file("releases/\(name)/file", name) }
    let current = tree("current")
    try files.replaceSymlink(current, with: "releases/a")
    let ended = Atomic(false)
    let misses = Atomic(0)
    let looks = Atomic(0)
    let effects = Atomic(0)
    Parallel.each(of: 2, threads: 2) { index in
      if index == 0 {
        var facts = stat()
        while !ended.load(ordering: .acquiring) {
          if stat("\(current)/file", &facts) != 0 { misses.wrappingAdd(1, ordering: .relaxed) }
          looks.wrappingAdd(1, ordering: .releasing)
        }
      } else {
        while looks.load(ordering: .acquiring) == 0 { sched_yield() }
        let files = durable()
        for turn in 0..<1_000 { try? files.replaceSymlink(current, with: turn % 2 == 0 ? "releases/b" : "releases/a") }
        effects.store(files.effects.count, ordering: .relaxed)
        ended.store(true, ordering: .releasing)
      }
    }
    #expect(misses.load(ordering: .relaxed) == 0)
    #expect(looks.load(ordering: .relaxed) > 1_000)
    #expect(try readLink(current) == Array("releases/a".utf8))
    #expect(effects.load(ordering: .relaxed) == 3_000)
  }

  @Test func aLinkReplacesOnlyALink() throws {
    tree.file("current/data", "precious")
    let error = #expect(throws: SystemError.self) { try files.replaceSymlink(tree("current"), with: "x") }
    #expect(error?.name == "EEXIST")
    #expect(try tree.text("current/data") == "precious")
    #expect(log == [])
  }

  @Test func exchangeSwapsWhatTheNamesMean() throws {
    tree.file("server/main", "program")
    tree.link("releases/r1", "../current")
    try files.exchange(tree("server"), tree("releases/r1"))
    #expect(try tree.text("releases/r1/main") == "program")
    #expect(try readLink(tree("server")) == Array("../current".utf8))
    #expect(log == [.exchange, .sync, .sync])
  }

  @Test func moveNeverLosesWhatIsThere() throws {
    tree.file("a", "a")
    tree.file("b", "b")
    let error = #expect(throws: SystemError.self) { try files.move(tree("a"), to: tree("b")) }
    #expect(error?.name == "EEXIST")
    #expect(try tree.text("b") == "b")
  }

  @Test func directoriesHaveTheirModeWhateverTheUmask() throws {
    let mask = umask(0o077)
    defer { umask(mask) }
    try files.makeDirectories(tree("x/y"), mode: 0o755)
    #expect(try FileFacts.of(tree("x/y")).mode == 0o755)
    chmod(tree("x/y"), 0o700)
    try files.makeDirectory(tree("x/y"), mode: 0o755)
    #expect(try FileFacts.of(tree("x/y")).mode == 0o700)
    tree.file("plain", "")
    #expect(throws: SystemError.self) { try files.makeDirectory(tree("plain")) }
    #expect(tree.names() == ["plain", "x"])
  }

  @Test func aSetgidDirectoryPassesItOn() throws {
    tree.directory("shared", mode: 0o2775)
    try files.makeDirectory(tree("shared/logs"), mode: 0o775)
    #expect(try FileFacts.of(tree("shared/logs")).mode == 0o2775)
  }

  @Test func leftoversOfOneOperationAreSwept() throws {
    tree.file(".tmp-op-1-x", "")
    tree.file(".tmp-op-1-tree/a/b", "")
    tree.file(".tmp-op-2-x", "")
    tree.file("kept", "")
    try files.sweep(tree.path, of: OperationID("op-1"))
    #expect(tree.names() == [".tmp-op-2-x", "kept"])
    try files.sweep(tree.path)
    #expect(tree.names() == ["kept"])
  }

  @Test func temporaryNamesFit() {
    let long = String(repeating: "ü", count: 127)
    let name = TemporaryName.beside("/x/\(long)", OperationID("deploy-20260101T000000Z-1234")).split(separator: "/")[1]
    #expect(name.utf8.count <= 255)
    #expect(TemporaryName.isOne(String(name), of: OperationID("deploy-20260101T000000Z-1234")))
  }

  @Test(arguments: [("/a/b", "/a"), ("/a", "/"), ("/", "/"), ("a", "."), ("/a/b/", "/a"), ("a/b", "a")])
  func parents(_ path: String, _ parent: String) { #expect(parentDirectory(of: path) == parent) }
}
