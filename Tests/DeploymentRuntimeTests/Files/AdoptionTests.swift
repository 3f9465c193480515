import CLinux
import Deployment
import Glibc
import LinuxSystem
import Synchronization
import Testing
import Vocabulary

@testable import DeploymentRuntime

/// A service that runs in place, as it was before there were releases: a program, a configuration, logs, a cache.
final class AdoptionFixture {
  let fixture: OperationFixture
  let wish: AdoptionSteps.Wish
  let layout: Layout
  /// Users that nobody is.
  static let (deployer, service): (UInt32, UInt32) = (3_000_001, 3_000_002)

  var tree: String { wish.tree }

  init(shared: [String] = ["logs", "data/db", "new"], excluded: [String] = ["cache"]) throws {
    // In memory: each of these tests syncs hundreds of times.
    let scratch = Scratch()
    guard mount("tmpfs", scratch.directory, "tmpfs", 0, "mode=0755") == 0 else {
      throw SystemError("mount", scratch.directory, errno: errno)
    }
    fixture = try OperationFixture(scratch: scratch)
    layout = fixture.operation.layout
    let tree = "\(layout.directory)/server"
    wish = AdoptionSteps.Wish(
      tree: tree, shared: shared, excluded: excluded, user: Self.deployer, group: Self.deployer, who: "root",
      service: Identity(user: Self.service, group: Self.service, groups: []))
    for folder in ["", "/bin", "/logs", "/data", "/data/db", "/cache", "/.git"] { mkdir(tree + folder, 0o755) }
    for (name, text, mode) in [
      ("bin/main", "program", 0o755), ("secret.toml", "password", 0o600), ("logs/app.log", "line\n", 0o644),
      ("data/db/rows", "rows", 0o600), ("cache/x", "x", 0o644), (".git/HEAD", String(repeating: "a", count: 40), 0o644),
    ] as [(String, String, UInt32)] {
      try durable("setup").write(Array(text.utf8), to: "\(tree)/\(name)", mode: mode)
      chown("\(tree)/\(name)", Self.service, Self.service)
    }
    symlink("bin/main", "\(tree)/start")
    chmod(fixture.scratch.directory, 0o755)
    for top in [tree, "\(tree)/bin"] { chown(top, Self.service, Self.service) }
  }

  deinit { umount2(fixture.scratch.directory, Int32(MNT_DETACH)) }

  func operation(stoppingBefore number: Int? = nil) -> Operation {
    let old = fixture.operation
    let plan = number.map { FaultPlan(number: $0, .before, errno: EIO) }
    return Operation(
      id: old.id, service: old.service, settings: old.settings, deploy: old.deploy,
      effects: Effects(.act, faults: plan), audience: fixture.audience, abort: nil)
  }

  /// The steps in their order, until one fails: as far as a killed process came.
  func adopt(_ operation: Operation, looking: Bool = true) throws(StepFailure) {
    let nobody: AdoptionExamination.Users = { (names) throws(SystemError) in TreeUsers(names: names) }
    let steps = AdoptionSteps.make(
      wish, archive: AdoptionSteps.copy, users: looking ? TreeUsers.of : nobody)
    for step in Intent(operation: operation.id, kind: .adopt).steps { try steps[step]?.run(operation) }
  }

  /// Everything in the tree, links to shared paths followed, with owners and modes.
  func picture() throws -> [String] {
    var lines: [String] = []
    for name in [
      ".", "bin", "bin/main", "secret.toml", "logs", "logs/app.log", "data", "data/db", "data/db/rows", "cache",
      "cache/x", "start", ".git/HEAD",
    ] {
      var facts = stat()
      let path = "\(tree)/\(name)"
      guard stat(path, &facts) == 0 else {
        lines.append("\(name) is missing")
        continue
      }
      let text = facts.st_mode & S_IFMT == S_IFREG ? String(decoding: try readFile(path), as: UTF8.self) : "-"
      lines.append("\(name) \(facts.st_uid) \(facts.st_gid) \(String(facts.st_mode, radix: 8)) \(text)")
    }
    return lines
  }

  /// What any reader of the tree finds, whoever owns it.
  func contents() throws -> [String] {
    try picture().map {
      $0.split(separator: " ").enumerated().filter { ![1, 2, 3].contains($0.offset) }.map { String($0.element) }.joined(
        separator: " ")
    }
  }
}

/// Only root may see the open files of others, and give files away.
@Suite(.enabled(if: geteuid() == 0, "SKIPPED AdoptionTests: adopting needs root")) struct AdoptionTests {
  @Test func theTreeBecomesARelease() throws {
    let fixture = try AdoptionFixture()
    let before = try fixture.contents()
    let operation = fixture.operation()
    try fixture.adopt(operation)
    let release = try #require(operation.facts.release)
    #expect(operation.facts.commit == String(repeating: "a", count: 40))
    #expect(release.text.contains("-aaaaaaa-"))
    #expect(try fixture.contents() == before)
    #expect(try readLink(fixture.tree) == Array("current".utf8))
    let releases = Releases(fixture.layout, durable())
    #expect(try releases.current() == release)
    #expect(try releases.list() == [Releases.Found(id: release, isComplete: true)])
    let manifest = try releases.verify(release)
    #expect(manifest.items.map(\.path.description) == ["bin", "bin/main", "data", "secret.toml", "start"])
    #expect(manifest.origin.source == fixture.tree)
    // The deploy user's, read by the service as before, written by nobody else.
    let secret = try FileFacts.of("\(fixture.tree)/secret.toml")
    #expect((secret.user, secret.group, secret.mode) == (AdoptionFixture.deployer, AdoptionFixture.service, 0o640))
    let service = Identity(user: AdoptionFixture.service, group: AdoptionFixture.service, groups: [])
    let outside = manifest.outside
    let listing = try TreeContents.list(fixture.layout.release(release), outside: outside)
    #expect(try ReleaseModes.trouble(in: fixture.layout.release(release), listing, for: service) == .init())
    // What is shared and excluded keeps its owner.
    #expect(try FileFacts.of("\(fixture.tree)/data/db/rows").user == AdoptionFixture.service)
    #expect(try FileFacts.of("\(fixture.tree)/cache/x").user == AdoptionFixture.service)
    #expect(try FileFacts.of("\(fixture.layout.shared)/logs").kind == .directory)
    #expect(throws: StepFailure.self) { try fixture.adopt(fixture.operation()) }
  }

  @Test func undoingPutsItAllBack() throws {
    let fixture = try AdoptionFixture()
    let before = try fixture.picture()
    let directory = try FileFacts.of(fixture.layout.directory)
    let operation = fixture.operation()
    try fixture.adopt(operation)
    try AdoptionPlaces.handOver(operation, to: AdoptionFixture.deployer, AdoptionFixture.deployer)
    #expect(try FileFacts.of(fixture.layout.directory).user == AdoptionFixture.deployer)
    // Written since: it is kept.
    try durable("later").write(Array("more".utf8), to: "\(fixture.layout.shared)/logs/later.log")
    _ = try AdoptionUndo.run({ _ in fixture.operation() }, fixture.layout)
    #expect(try fixture.picture() == before)
    #expect(try readFile("\(fixture.tree)/logs/later.log") == Array("more".utf8))
    #expect(try FileFacts.of(fixture.tree).kind == .directory)
    #expect(try FileFacts.of(fixture.layout.directory).user == directory.user)
    #expect(try directoryEntries(fixture.layout.releases) == [])
    #expect(try directoryEntries(fixture.layout.shared).sorted() == ["data", "new"])
    #expect(access(fixture.layout.current, F_OK) != 0)
    #expect(throws: StepFailure.self) { try AdoptionUndo.run({ _ in fixture.operation() }, fixture.layout) }
    // And once more from the start.
    try fixture.adopt(fixture.operation())
  }

  /// The way back from the end, cut off before each of its effects and taken up again.
  @Test func undoingGoesOnFromAnyInstant() throws {
    let fixture = try AdoptionFixture()
    let (before, contents) = (try fixture.picture(), try fixture.contents())
    var points = 0
    for stop in 1..<200 {
      try fixture.adopt(fixture.operation(), looking: false)
      let isOver: Bool
      do throws(StepFailure) {
        _ = try AdoptionUndo.run({ _ in fixture.operation(stoppingBefore: stop) }, fixture.layout)
        isOver = true
      } catch {
        isOver = false
        #expect(try fixture.contents() == contents, "cut off before effect \(stop)")
        // Where even the record is gone, so is everything else.
        if access(Adoption.path(fixture.layout), F_OK) == 0 {
          _ = try AdoptionUndo.run({ _ in fixture.operation() }, fixture.layout)
        }
      }
      #expect(try fixture.picture() == before, "cut off before effect \(stop)")
      if isOver { break }
      points += 1
    }
    #expect(points > 40)
  }

  @Test func undoingIsRefusedWhenALaterReleaseRuns() throws {
    let fixture = try AdoptionFixture()
    try fixture.adopt(fixture.operation())
    let releases = Releases(fixture.layout, durable())
    let later = ReleaseID("20990101T000000Z-none-0000")
    _ = try releases.create(later)
    try releases.point(to: later)
    let failure = #expect(throws: StepFailure.self) {
      try AdoptionUndo.run({ _ in fixture.operation() }, fixture.layout)
    }
    #expect(failure?.next?.hasPrefix("go back to it first: baton rollback --to") == true)
    #expect(try releases.current() == later)
  }

  /// Cut off before each effect of the adoption, the tree is whole; undone from there, it is as it was; and so it is when
  /// the undoing itself is cut off before each of its effects.
  @Test func itIsWholeAtEveryInstant() throws {
    var points = 0
    var backPoints = 0
    for stop in 1..<200 {
      let fixture = try AdoptionFixture()
      let (before, contents) = (try fixture.picture(), try fixture.contents())
      let isOver: Bool
      do throws(StepFailure) {
        try fixture.adopt(fixture.operation(stoppingBefore: stop), looking: false)
        isOver = true
      } catch { isOver = false }
      #expect(try fixture.contents() == contents, "cut off before effect \(stop)")
      if isOver { break }
      points += 1
      // The undoing from every seventh point, and in AdoptionUndo from the end, is cut off as well.
      for back in 1..<(stop % 7 == 0 ? 200 : 1) {
        do throws(StepFailure) {
          try AdoptionSteps.undoAll(fixture.operation(stoppingBefore: back))
          break
        } catch {
          backPoints += 1
          #expect(try fixture.contents() == contents, "cut off before \(stop), undoing before \(back)")
        }
      }
      try AdoptionSteps.undoAll(fixture.operation())
      #expect(try fixture.picture() == before, "cut off before effect \(stop) and undone")
      #expect(try FileFacts.of(fixture.tree).kind == .directory)
      #expect((try? directoryEntries(fixture.layout.releases)) ?? [] == [])
      #expect(try directoryEntries(fixture.layout.directory).allSatisfy { !TemporaryName.isOne($0) })
      #expect(access(Adoption.path(fixture.layout), F_OK) != 0)
    }
    #expect(points > 40)
    #expect(backPoints > 40)
  }

  /// Somebody looks without pause at the tree, and a service reads and writes it, while it is adopted and put back.
  @Test func theServiceNoticesNothing() throws {
    let fixture = try AdoptionFixture()
    let script = """
      cd '\(fixture.tree)'
      exec 5>>logs/app.log
      while [ -e '\(fixture.layout.directory)/run' ]; do
        echo held >&5
        echo named >> '\(fixture.tree)/logs/app.log' && echo relative >> logs/app.log || echo miss
        cat bin/main >/dev/null && cat '\(fixture.tree)/secret.toml' >/dev/null || echo miss
      done
      """
    let flag = "\(fixture.layout.directory)/run"
    try durable("setup").write([], to: flag)
    let output = try Descriptor.pipe()
    var request = SpawnRequest(program: "/bin/sh", arguments: ["sh", "-c", script], environment: [:])
    request.standardOutput = output.writer
    request.standardError = output.writer
    let child = try request.spawn()
    (request.standardOutput, request.standardError) = (nil, nil)
    output.writer.close()
    let log = "\(fixture.tree)/logs/app.log"
    while try readFile(log, limit: 64 << 20).count < 100 { sched_yield() }
    let path = "\(fixture.tree)/bin/main"
    let looks = Atomic(0)
    let misses = Atomic(0)
    let isOver = Atomic(false)
    let steps = Mutex<[String]>([])
    let given = UncheckedFixture(fixture: fixture)
    Parallel.each(of: 2, threads: 2) { index in
      if index == 0 {
        var facts = stat()
        while !isOver.load(ordering: .acquiring) {
          if stat(path, &facts) != 0 || stat(log, &facts) != 0 { misses.wrappingAdd(1, ordering: .relaxed) }
          looks.wrappingAdd(1, ordering: .relaxed)
        }
      } else {
        let fixture = given.fixture
        do {
          for _ in 0..<20 {
            try fixture.adopt(fixture.operation(), looking: false)
            _ = try AdoptionUndo.run({ _ in fixture.operation() }, fixture.layout)
          }
        } catch { steps.withLock { $0.append("\(error)") } }
        isOver.store(true, ordering: .releasing)
      }
    }
    unlink(flag)
    let said = String(decoding: try readAll(output.reader, "the service"), as: UTF8.self)
    var status: Int32 = 0
    waitpid(child.pid, &status, 0)
    #expect(steps.withLock { $0 } == [])
    #expect(misses.load(ordering: .relaxed) == 0)
    #expect(looks.load(ordering: .relaxed) > 1_000)
    #expect(said == "")
    // Nothing written was lost, through whichever name.
    let lines = String(decoding: try readFile(log, limit: 256 << 20), as: UTF8.self).split(separator: "\n")
    let counts = ["held", "named", "relative"].map { word in lines.count { $0 == word } }
    #expect(Set(counts).count == 1, "\(counts)")
  }

  /// Handed to the one thread that uses it.
  private struct UncheckedFixture: @unchecked Sendable { let fixture: AdoptionFixture }
}
