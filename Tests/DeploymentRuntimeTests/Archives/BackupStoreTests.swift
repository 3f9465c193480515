import Deployment
import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

/// Which backups are kept, and how a release comes back.
struct BackupStoreTests {
  // MARK: Coming back

  @Test func aReleaseComesBackAsItWas() throws {
    let one = try BackupFixture("shared = [\"logs\"]\n")
    try one.makeRelease()
    try one.write("\(one.layout.shared)/logs/log", "log")
    symlink("../../shared/logs", "\(one.layout.release(one.release))/logs")
    let archive = try one.backUp()
    let directory = one.layout.release(one.release)
    #expect(shell("cp -a \(directory) \(directory).before && rm -r \(directory) && rm \(one.layout.current)"))
    try one.store.restoreRelease(from: archive, audience: one.fixture.audience)
    #expect(shell("diff -r --no-dereference \(directory).before \(directory)"))
    #expect(try Releases(one.layout, one.files).verify(one.release).origin.release == one.release)
  }

  @Test func aDamagedOneIsReplacedInOneExchange() throws {
    let one = try BackupFixture()
    try one.makeRelease()
    try one.backUp()
    unlink(one.layout.current)
    try one.write("\(one.layout.release(one.release))/main", "damaged")
    try one.store.restoreRelease(from: one.operation.facts.backup ?? "", audience: one.fixture.audience)
    try Releases(one.layout, one.files).verify(one.release)
    #expect(one.operation.effects.log.contains { $0.kind == .exchange })
    #expect(((try? directoryEntries(one.layout.releases)) ?? []).count == 2)
  }

  @Test func neverOverTheTreeThatRuns() throws {
    let one = try BackupFixture()
    try one.makeRelease()
    let archive = try one.backUp()
    try one.write("\(one.layout.release(one.release))/main", "edited by hand")
    let failure = stepFailure { () throws(StepFailure) in
      try one.store.restoreRelease(from: archive, audience: one.fixture.audience)
    }
    #expect(failure?.kind == .refused)
    #expect(try readFile("\(one.layout.release(one.release))/main") == Array("edited by hand".utf8))
    try one.store.restoreRelease(from: archive, replacesCurrent: true, audience: one.fixture.audience)
    #expect(try readFile("\(one.layout.release(one.release))/main") == Array("#!/bin/sh\n".utf8))
  }

  @Test func allOfItCanBeUnpackedAside() throws {
    let one = try BackupFixture("[backup]\nshared = [\"data\"]\n")
    try one.makeRelease()
    try one.write("\(one.layout.shared)/data/upload", "upload")
    let archive = try one.backUp()
    let place = ArchivePlace()
    try one.store.restore(from: archive, to: place.path("aside"), audience: one.fixture.audience)
    #expect(shell("diff -r --no-dereference \(one.layout.release(one.release)) \(place.path("aside/release"))"))
    #expect(place.read("aside/shared/data/upload") == "upload")
    #expect(try directoryEntries(place.directory) == ["aside"])
    let again = stepFailure { () throws(StepFailure) in
      try one.store.restore(from: archive, to: place.path("aside"), audience: one.fixture.audience)
    }
    #expect(again?.what.contains("EEXIST") == true)
  }

  @Test func theWayBackTakesTheNewestSoundOne() throws {
    let one = try BackupFixture()
    try one.makeRelease()
    try one.backUp()
    try one.write("\(one.layout.release(one.release))/main", "damaged")
    let next = try BackupFixture(id: "op-2", scratch: one.fixture.scratch)
    try RestoreReleaseStep().run(next.operation)
    try Releases(one.layout, one.files).verify(one.release)
    // With no sound archive it says so and changes nothing.
    try one.write(one.store.path(one.operation.facts.backup ?? ""), "broken")
    try one.write("\(one.layout.release(one.release))/main", "damaged")
    let failure = stepFailure { () throws(StepFailure) in try RestoreReleaseStep().run(next.operation) }
    #expect(failure?.kind == .stuck)
    #expect(try readFile("\(one.layout.release(one.release))/main") == Array("damaged".utf8))
  }

  @Test func anArchiveOfAnotherServiceIsRefused() throws {
    let one = try BackupFixture()
    try one.makeRelease()
    let archive = try one.backUp()
    let other = BackupStore(one.layout, ServiceName(unchecked: "other"), one.operation.deploy, one.files)
    let failure = stepFailure { () throws(StepFailure) in
      try other.restoreRelease(from: archive, audience: one.fixture.audience)
    }
    #expect(failure?.what.contains("of the service app") == true)
  }

  // MARK: Keeping

  /// A backup of its own release for each, made in this order.
  private func service(with count: Int, keep: Int) throws -> BackupFixture {
    let settings = "[backup]\nkeep = \(keep)\n"
    let scratch = Scratch()
    var last: BackupFixture?
    for number in 1...count {
      // Names and times go the wrong way.
      let one = try BackupFixture(
        settings, id: "op-\(100 - number)", release: "20260101T000000Z-none-\(9_000 - number)", scratch: scratch)
      try one.makeRelease(["main": "\(number)"])
      one.operation.facts.sequence = Int64(number)
      let archive = try one.backUp()
      var time = [timespec(tv_sec: 1_000_000 - number, tv_nsec: 0), timespec(tv_sec: 1_000_000 - number, tv_nsec: 0)]
      utimensat(AT_FDCWD, archive, &time, 0)
      last = one
    }
    guard let last else { throw OperationFixture.SettingsAreMissing() }
    return last
  }

  private func sequences(_ one: BackupFixture) throws -> [Int64] { try one.store.list().found.map(\.head.sequence) }

  @Test func theNewestAreKeptAndNeitherNamesNorTimesSayWhich() throws {
    let last = try service(with: 6, keep: 3)
    let gone = try last.store.prune(releases: [], names: [])
    #expect(gone.map(\.head.sequence) == [1, 2, 3])
    #expect(try sequences(last) == [6, 5, 4])
  }

  @Test func theLastGoodOneIsNeverPruned() throws {
    // As the old script did: failing runs made archives until the only good one was gone.
    let last = try service(with: 12, keep: 2)
    let good = ReleaseID("20260101T000000Z-none-\(9_000 - 1)")
    try last.store.prune(releases: [good], names: [])
    #expect(try sequences(last) == [12, 11, 1])
    let made = try last.store.list().found.last?.name ?? ""
    try last.store.prune(releases: [], names: [made])
    #expect(try sequences(last) == [12, 11, 1])
  }

  @Test func aPlanWritesNothing() throws {
    let scratch = Scratch()
    let one = try BackupFixture(scratch: scratch)
    try one.makeRelease()
    let fixture = try OperationFixture(id: "op-2", mode: .plan, scratch: scratch)
    fixture.operation.facts.previous = one.release
    try BackupStep().run(fixture.operation)
    #expect(one.names == [])
    #expect(fixture.effects.log.map(\.kind) == [.write, .rename, .sync])
  }

  @Test func anAbortLeavesNothing() throws {
    let one = try BackupFixture()
    try one.makeRelease()
    one.fixture.abort()
    let failure = stepFailure { () throws(StepFailure) in try BackupStep().run(one.operation) }
    #expect(failure?.kind == .aborted)
    #expect(one.names == [])
  }

  @Test func undoRemovesWhatAKilledOneLeft() throws {
    let one = try BackupFixture()
    try one.makeRelease()
    try one.write("\(one.layout.backups)/.tmp-\(one.operation.id)-x.tar.zst", "half")
    try one.write("\(one.layout.backups)/.tmp-other-y.tar.zst", "somebody else's")
    try one.backUp()
    try BackupStep().undo(one.operation)
    #expect(one.names == [".tmp-other-y.tar.zst", one.operation.facts.backup ?? ""])
  }
}
