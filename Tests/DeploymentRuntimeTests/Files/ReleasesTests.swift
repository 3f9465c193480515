import CLinux
import Deployment
import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

@Suite struct ReleasesTests {
  let tree = ScratchTree()
  let files = durable()
  let id = ReleaseID("20260101T000000Z-0123456-abcd")
  let other = ReleaseID("20260102T000000Z-none-ffff")

  private var releases: Releases { Releases(Layout(directory: tree.path), files) }

  private func manifest(_ id: ReleaseID) throws {
    let origin = Manifest.Origin(
      release: id, operation: OperationID("op-1"), source: "/src", who: "root", made: 1_767_225_600)
    let path = releases.layout.release(id)
    try files.write(try Manifest.of(path, origin), to: releases.layout.manifest(id))
  }

  @Test func idsHaveTheirForm() {
    let id = ReleaseID.make(commit: "0123456789", at: 1_767_225_600)
    #expect(id.text.hasPrefix("20260101T000000Z-0123456-"))
    #expect(id.text.utf8.count == 29)
    #expect(id.hasForm)
    #expect(ReleaseID.make(commit: nil, at: 0).text.hasPrefix("19700101T000000Z-none-"))
    for bad in ["", "-", "a.manifest", ".tmp-x", "a/b", "..", "ü"] { #expect(!ReleaseID(bad).hasForm, "\(bad)") }
    #expect(Set((0..<100).map { _ in ReleaseID.make(commit: nil, at: 0) }).count > 90)
  }

  @Test func onlyReleasesWithAManifestAreComplete() throws {
    try releases.prepare()
    #expect(try releases.list() == [])
    for id in [other, id] { _ = try releases.create(id) }
    try manifest(id)
    tree.file("releases/notes.txt")
    tree.directory("releases/.tmp-op-9-x")
    tree.link("releases/link", "x")
    #expect(
      try releases.list() == [
        Releases.Found(id: id, isComplete: true), Releases.Found(id: other, isComplete: false),
      ])
    #expect(throws: SystemError.self) { try releases.create(id) }
    #expect(throws: SystemError.self) { try releases.create(ReleaseID("../x")) }
  }

  @Test func thePointerIsWhatItIs() throws {
    try releases.prepare()
    #expect(try releases.pointer() == .none)
    #expect(try releases.current() == nil)
    #expect(throws: SystemError.self) { try releases.point(to: id) }
    #expect(try releases.pointer() == .none)
    _ = try releases.create(id)
    try releases.point(to: id)
    #expect(try releases.current() == id)
    #expect(try readLink(tree("current")) == Array("releases/\(id)".utf8))
    rmdir(tree("releases/\(id)"))
    #expect(try releases.pointer() == .dangling(id))
    unlink(tree("current"))
    symlink("\(tree.path)/releases/\(id)", tree("current"))
    #expect(try releases.pointer() == .dangling(id))
    for target in ["/etc", "releases/../x", "releases/a/b", "releases/", "elsewhere"] {
      unlink(tree("current"))
      symlink(target, tree("current"))
      #expect(try releases.pointer() == .foreign(target: target))
    }
    unlink(tree("current"))
    tree.directory("current")
    #expect(try releases.pointer() == .noLink(noun: "directory"))
    let failure = #expect(throws: StepFailure.self) { try releases.current() }
    #expect(failure?.next?.contains("baton adopt") == true)
  }

  @Test func aReleaseIsVerified() throws {
    try releases.prepare()
    _ = try releases.create(id)
    tree.file("releases/\(id)/main", "program", mode: 0o755)
    #expect(throws: StepFailure.self) { try releases.verify(id) }
    try manifest(id)
    try releases.verify(id)
    tree.file("releases/\(id)/main", "PROGRAM", mode: 0o755)
    let failure = #expect(throws: StepFailure.self) { try releases.verify(id) }
    #expect(failure?.lines == ["changed: main"])
    // A manifest of another release, put in its place.
    rename(tree("releases/\(id).manifest"), tree("releases/\(other).manifest"))
    rename(tree("releases/\(id)"), tree("releases/\(other)"))
    #expect(throws: StepFailure.self) { try releases.verify(other) }
  }

  @Test func theRunningReleaseIsNotDiscarded() throws {
    try releases.prepare()
    for id in [id, other] { _ = try releases.create(id) }
    try manifest(other)
    try releases.point(to: id)
    #expect(throws: StepFailure.self) { try releases.discard(id) }
    try releases.discard(other)
    try releases.discard(other)
    #expect(tree.names("releases") == [id.text])
  }

  @Test func sealingTakesWritingAndSetuidAway() throws {
    tree.file("r/main", "", mode: 0o6777)
    tree.file("r/logs/x", "", mode: 0o666)
    tree.directory("r/bin", mode: 0o2775)
    tree.file("target", "", mode: 0o666)
    tree.link("r/link", "../target")
    let logs = try #require(TreePath("logs"))
    let listing = try ReleaseModes.seal(tree("r"), outside: [logs], files)
    #expect(listing.items == (try TreeContents.list(tree("r"), outside: [logs]).items))
    #expect(try FileFacts.of(tree("r/main")).mode == 0o755)
    #expect(try FileFacts.of(tree("r/bin")).mode == 0o2755)
    #expect(try FileFacts.of(tree("r/logs/x")).mode == 0o666)
    #expect(try FileFacts.of(tree("target")).mode == 0o666)
  }

  @Test func whatTheServiceCannotReadOrCanWriteIsNamed() throws {
    chmod(tree.path, 0o755)
    tree.file("r/main", "", mode: 0o755)
    tree.file("r/secret", "", mode: 0o640)
    tree.file("r/open", "", mode: 0o646)
    let me = Identity(user: geteuid(), group: getegid(), groups: [])
    let stranger = Identity(user: me.user &+ 4_711, group: me.group &+ 4_711, groups: [])
    let member = Identity(user: me.user &+ 4_711, group: me.group &+ 4_711, groups: [me.group])
    let listing = try TreeContents.list(tree("r"))
    #expect(
      try ReleaseModes.trouble(in: tree("r"), listing, for: stranger) == .init(unreadable: "secret", writable: "open"))
    #expect(try ReleaseModes.trouble(in: tree("r"), listing, for: member).unreadable == nil)
    chmod(tree.path, 0o700)
    #expect(try ReleaseModes.trouble(in: tree("r"), listing, for: stranger).unreadable == tree.path)
  }
}

@Suite struct SharedPathsTests {
  let tree = ScratchTree()
  let files = durable()

  private var layout: Layout { Layout(directory: tree.path) }

  private func link(_ paths: String..., into id: String = "r1") throws {
    try SharedPaths(paths).link(into: tree("releases/\(id)"), layout, files)
  }

  init() throws { try Releases(Layout(directory: tree.path), files).prepare() }

  @Test(arguments: [["/logs"], ["../logs"], ["."], [""], ["a", "a/b"], ["a", "./a/"]]) func refused(_ paths: [String]) {
    #expect(throws: StepFailure.self) { try SharedPaths(paths) }
  }

  @Test func theFirstReleaseGivesItsOwn() throws {
    tree.file("releases/r1/data/db/app.sqlite", "rows")
    tree.file("releases/r1/config.toml", "a = 1")
    try link("data/db", "config.toml")
    #expect(try readLink(tree("releases/r1/data/db")) == Array("../../../shared/data/db".utf8))
    #expect(try tree.text("releases/r1/data/db/app.sqlite") == "rows")
    #expect(try tree.text("shared/data/db/app.sqlite") == "rows")
    #expect(try tree.text("shared/config.toml") == "a = 1")
    let count = files.effects.count
    try link("data/db", "config.toml")
    #expect(files.effects.count == count)
  }

  @Test func whereNeitherHasOneItIsMade() throws {
    tree.directory("releases/r1")
    chmod(tree("shared"), 0o2775)
    try link("var/uploads")
    #expect(try FileFacts.of(tree("shared/var/uploads")).mode == 0o2775)
    #expect(tree.names("releases/r1/var") == ["uploads"])
  }

  @Test func laterReleasesMeetTheSharedOne() throws {
    tree.file("shared/logs/today", "line")
    tree.file("releases/r2/logs/.gitkeep")
    try link("logs", into: "r2")
    #expect(try tree.text("releases/r2/logs/today") == "line")
    // What both have is the shared one's business.
    tree.file("releases/r3/logs/today", "from the repository")
    try link("logs", into: "r3")
    #expect(try tree.text("releases/r3/logs/today") == "line")
  }

  @Test func nothingIsHidden() throws {
    tree.file("shared/config/prod.toml", "x")
    tree.file("releases/r2/config/new.toml", "only here")
    let failure = #expect(throws: StepFailure.self) { try link("config", into: "r2") }
    #expect(failure?.what.contains("config/new.toml") == true)
    #expect(try tree.text("releases/r2/config/new.toml") == "only here")
  }

  @Test func aLinkAboveIsNoWayOut() throws {
    tree.directory("elsewhere")
    tree.link("releases/r1/data", "\(tree.path)/elsewhere")
    #expect(throws: StepFailure.self) { try link("data/db") }
    #expect(tree.names("elsewhere") == [])
  }

  /// Ended after each of its effects and run again, it comes to the same.
  @Test func itGoesOnFromAnyInstant() throws {
    let tree = ScratchTree()
    let layout = Layout(directory: tree.path)
    let shared = try SharedPaths(["data/db", "logs", "new"])
    var effects = 0
    for stop in 1..<60 {
      _ = try? TreeRemoval.remove(tree("releases/r1"))
      _ = try? TreeRemoval.remove(layout.shared)
      try Releases(layout, durable()).prepare()
      tree.file("releases/r1/data/db/rows", "rows")
      tree.file("releases/r1/logs/.gitkeep")
      tree.file("shared/logs/today", "line")
      let stopping = DurableFiles(
        Effects(.act, faults: FaultPlan(number: stop, .before, errno: EIO)), operation: OperationID("op-1"))
      let failure: StepFailure?
      do throws(StepFailure) {
        try shared.link(into: tree("releases/r1"), layout, stopping)
        failure = nil
      } catch { failure = error }
      // Whatever was reached: nothing is lost.
      #expect(try tree.text("releases/r1/data/db/rows") == "rows", "stopped at \(stop)")
      try shared.link(into: tree("releases/r1"), layout, durable())
      try durable().sweep(tree("releases/r1"))
      try durable().sweep(layout.shared)
      #expect(try tree.text("shared/data/db/rows") == "rows")
      #expect(try tree.text("releases/r1/logs/today") == "line")
      #expect(tree.names("releases/r1") == ["data", "logs", "new"])
      #expect(tree.names("shared") == ["data", "logs", "new"])
      effects = stop
      if failure == nil { break }
    }
    // 19 effects; a new one is stopped at as well.
    #expect(effects == 20)
  }
}
