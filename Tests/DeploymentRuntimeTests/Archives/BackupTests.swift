import CSQLite
import Deployment
import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

/// What a backup holds, what people's tools make of it, and when none is made.
struct BackupTests {
  @Test(arguments: ["zst", "gz"])
  func itHoldsTheReleaseAndPeopleCanReadIt(format: String) throws {
    let one = try BackupFixture(
      "shared = [\"logs\", \"data\"]\n[backup]\nformat = \"\(format)\"\nshared = [\"data\"]\n")
    try one.makeRelease()
    try one.write("\(one.layout.shared)/data/upload", "upload")
    try one.write("\(one.layout.shared)/logs/log", "log")
    let archive = try one.backUp()
    #expect(one.names == ["\(one.release)_\(one.operation.id).tar.\(format)"])
    var facts = stat()
    stat(archive, &facts)
    #expect(facts.st_mode & 0o7777 == 0o600)
    let place = ArchivePlace()
    #expect(shell("tar -C \(place.directory) -xf \(archive)"))
    #expect(shell("diff -r --no-dereference \(one.layout.release(one.release)) \(place.path("release"))"))
    #expect(place.read("shared/data/upload") == "upload")
    #expect(!place.exists("shared/logs"))
    #expect(shell("cmp \(one.layout.manifest(one.release)) \(place.path("release.manifest"))"))
    let backup = try BackupArchive(archive).verify()
    #expect(backup.manifest.origin.release == one.release)
    #expect(backup.shared.items.map(\.path.description) == ["data", "data/upload"])
  }

  @Test func longNamesAndLargeFilesAreWhole() throws {
    let one = try BackupFixture()
    let long = String(repeating: "n", count: 180)
    try one.makeRelease([
      "main": "m", "\(long)/\(long)": "long", "big": String(decoding: noise(5_000_000, seed: 3), as: UTF8.self),
      "e": "",
    ])
    symlink(String(repeating: "t", count: 300), "\(one.layout.release(one.release))/dangling")
    symlink("/usr/bin/python3", "\(one.layout.release(one.release))/python")
    try one.seal()
    let archive = try one.backUp()
    let place = ArchivePlace()
    #expect(shell("tar -C \(place.directory) -xf \(archive)"))
    #expect(shell("diff -r --no-dereference \(one.layout.release(one.release)) \(place.path("release"))"))
    #expect(shell("zstd -dc \(archive) | tar -t"))
  }

  @Test func aReleaseThatIsNotWhatItsManifestSaysIsNotBackedUp() throws {
    let one = try BackupFixture()
    try one.makeRelease()
    try one.write("\(one.layout.release(one.release))/lib/a.txt", "x")
    let failure = stepFailure { () throws(StepFailure) in try BackupStep().run(one.operation) }
    #expect(failure?.what.contains("release/lib/a.txt (content)") == true)
    #expect(one.names == [])
    unlink("\(one.layout.release(one.release))/lib/a.txt")
    let missing = stepFailure { () throws(StepFailure) in try BackupStep().run(one.operation) }
    #expect(missing?.what == "the release \(one.release) is not what its manifest says: lib/a.txt is missing")
    #expect(one.names == [])
  }

  @Test func aDatabaseIsCopiedByItsOwnBackup() throws {
    let one = try BackupFixture("[backup]\nshared = [\"data\"]\n")
    try one.makeRelease()
    try one.write("\(one.layout.shared)/data/keep", "")
    var database: OpaquePointer?
    sqlite3_open("\(one.layout.shared)/data/app.db", &database)
    // Its last change is in the log alone, as in a service that runs.
    let script =
      "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x); INSERT INTO t VALUES (42)"
    #expect(sqlite3_exec(database, script, nil, nil, nil) == SQLITE_OK)
    defer { sqlite3_close(database) }
    let archive = try one.backUp()
    let place = ArchivePlace()
    #expect(shell("tar -C \(place.directory) -xf \(archive)"))
    #expect(try directoryEntries(place.path("shared/data")).sorted() == ["app.db", "keep"])
    var copy: OpaquePointer?
    sqlite3_open(place.path("shared/data/app.db"), &copy)
    defer { sqlite3_close(copy) }
    var statement: OpaquePointer?
    sqlite3_prepare_v2(copy, "SELECT x FROM t", -1, &statement, nil)
    defer { sqlite3_finalize(statement) }
    #expect(sqlite3_step(statement) == SQLITE_ROW)
    #expect(sqlite3_column_int(statement, 0) == 42)
    #expect(one.names.count == 1)
  }

  @Test func whatIsNoFileIsLeftOutByName() throws {
    let one = try BackupFixture("exclude = [\"data/tmp\"]\n[backup]\nshared = [\"data\", \"none\"]\n")
    try one.makeRelease()
    try one.write("\(one.layout.shared)/data/tmp/x", "x")
    try one.write("\(one.layout.shared)/data/src/tmp/y", "y")
    mkfifo("\(one.layout.shared)/data/pipe", 0o600)
    let backup = try BackupArchive(try one.backUp()).verify()
    // Anchored: another tmp, further down, is in it.
    #expect(backup.shared.items.map(\.path.description) == ["data", "data/src", "data/src/tmp", "data/src/tmp/y"])
    #expect(one.fixture.audience.warnings.count == 2)
    #expect(one.fixture.audience.warnings.contains { $0.contains("data/pipe is a named pipe") })
    #expect(one.fixture.audience.warnings.contains { $0.contains("none is not there") })
  }

  // MARK: Files that do not hold still

  /// Writes to a file from another thread for as long as it lives.
  private final class Scribbler: Sendable {
    private let stop: Descriptor
    private let done: Descriptor

    init(_ path: String, _ write: @escaping @Sendable (Int32, Int) -> Void) throws {
      let stop = try Descriptor.pipe()
      let done = try Descriptor.pipe()
      let file = try Descriptor.open(path, flags: O_WRONLY)
      HelperThread.run { [reader = stop.reader, writer = done.writer] in
        var round = 0
        var poller = pollfd(fd: reader.raw, events: Int16(POLLIN), revents: 0)
        while poll(&poller, 1, 0) == 0 {
          write(file.raw, round)
          round += 1
        }
        writer.close()
      }
      self.stop = stop.writer
      self.done = done.reader
    }

    func end() {
      stop.close()
      var byte: UInt8 = 0
      _ = read(done.raw, &byte, 1)
    }
  }

  @Test func aLogThatGrowsIsInItAsItWas() throws {
    let one = try BackupFixture("[backup]\nshared = [\"log\"]\n")
    try one.makeRelease()
    try one.write("\(one.layout.shared)/log", noise(8_000_000, seed: 1))
    let scribbler = try Scribbler("\(one.layout.shared)/log") { file, round in
      if round < 1_000_000 { _ = pwrite(file, "x", 1, 8_000_000 + round) }
    }
    defer { scribbler.end() }
    let backup = try BackupArchive(try one.backUp()).verify()
    guard case .file(let size, _)? = backup.shared.items.first?.content else {
      Issue.record("no log")
      return
    }
    #expect(size >= 8_000_000)
  }

  @Test func aFileThatNeverHoldsStillIsNamed() throws {
    let one = try BackupFixture("[backup]\nshared = [\"busy\"]\n")
    try one.makeRelease()
    // So large that reading it takes longer than any pause of the one who writes.
    let megabyte = noise(1 << 20, seed: 1)
    try one.write("\(one.layout.shared)/busy", Array(repeatElement(megabyte, count: 16).joined()))
    let scribbler = try Scribbler("\(one.layout.shared)/busy") { file, round in
      _ = pwrite(file, "\(round % 10)", 1, round & 0xff_ffff)
    }
    let failure = stepFailure { () throws(StepFailure) in try BackupStep().run(one.operation) }
    scribbler.end()
    #expect(failure?.what.contains("\(one.layout.shared)/busy changes faster than it can be read") == true)
    #expect(failure?.next == "exclude that path, or stop what writes to it")
    #expect(one.names == [])
  }

  // MARK: Not the same work twice

  @Test func oneThatSaysTheSameIsTaken() throws {
    let one = try BackupFixture("[backup]\nshared = [\"data\"]\n")
    try one.makeRelease()
    try one.write("\(one.layout.shared)/data/upload", "upload")
    // Younger than a tick of the clock, nobody can tell whether it was written to since.
    var old = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
    utimensat(AT_FDCWD, "\(one.layout.shared)/data/upload", &old, 0)
    try waitUntilItIsOldEnough(one)
    try one.backUp()
    #expect(one.names.count == 1)
    let next = try BackupFixture("[backup]\nshared = [\"data\"]\n", id: "op-2", scratch: one.fixture.scratch)
    try next.backUp()
    #expect(next.operation.facts.backup == one.operation.facts.backup)
    #expect(one.names.count == 1)
    // The same size and the same time: only the kernel's change time tells.
    try one.write("\(one.layout.shared)/data/upload", "UPLOAD")
    utimensat(AT_FDCWD, "\(one.layout.shared)/data/upload", &old, 0)
    let third = try BackupFixture("[backup]\nshared = [\"data\"]\n", id: "op-3", scratch: one.fixture.scratch)
    try third.backUp()
    #expect(one.names.count == 2)
  }

  private func waitUntilItIsOldEnough(_ one: BackupFixture) throws {
    let deadline = Instant.monotonicNow() + .seconds(10)
    while Instant.monotonicNow() < deadline {
      let paths = [try #require(TreePath("data"))]
      if try SharedFiles.look(at: one.layout.shared, paths, excluded: []).fingerprint != nil { return }
    }
    Issue.record("a file never gets old enough to be told from a younger one")
  }

  @Test func oneThatIsBrokenIsNotTaken() throws {
    let one = try BackupFixture()
    try one.makeRelease()
    let archive = try one.backUp()
    var bytes = try readFile(archive)
    bytes[bytes.count / 2] ^= 0x10
    try one.write(archive, bytes)
    let next = try BackupFixture(id: "op-2", scratch: one.fixture.scratch)
    let good = try next.backUp()
    #expect(good != archive)
    #expect(try BackupArchive(good).verify().manifest.origin.release == one.release)
  }

  @Test func chunksOfTheLastOneAreTakenOver() throws {
    let one = try BackupFixture()
    var contents = ["main": "#!/bin/sh\n"]
    for number in 0..<300 {
      contents["lib/\(number)"] = String(decoding: noise(20_000, seed: UInt64(number)), as: UTF8.self)
    }
    try one.makeRelease(contents)
    let first = try one.backUp()
    let next = try BackupFixture(
      id: "op-2", release: "20260102T000000Z-none-0002", scratch: one.fixture.scratch)
    contents["lib/150"] = "changed"
    contents["lib/150a"] = "added"
    contents["lib/77"] = nil
    try next.makeRelease(contents)
    let second = try next.backUp()
    #expect(try BackupArchive(second).verify().manifest.origin.release == next.release)
    let (old, new) = (try index(first), try index(second))
    let same = new.chunks.filter { chunk in old.chunks.contains { $0.key == chunk.key && $0.digest == chunk.digest } }
    #expect(new.chunks.count > 8)
    #expect(same.count * 4 >= new.chunks.count * 3)
    #expect(same.count < new.chunks.count)
    let place = ArchivePlace()
    #expect(shell("tar -C \(place.directory) -xf \(second)"))
    #expect(shell("diff -r --no-dereference \(next.layout.release(next.release)) \(place.path("release"))"))
  }

  @Test func aBrokenChunkIsMadeAnew() throws {
    let one = try BackupFixture()
    var contents = ["main": "#!/bin/sh\n"]
    for number in 0..<100 {
      contents["lib/\(number)"] = String(decoding: noise(20_000, seed: UInt64(number)), as: UTF8.self)
    }
    try one.makeRelease(contents)
    let first = try one.backUp()
    var bytes = try readFile(first, limit: 1 << 24)
    let chunk = try index(first).chunks[1]
    bytes[Int(chunk.offset + chunk.length / 2)] ^= 1
    try one.write(first, bytes)
    let next = try BackupFixture(id: "op-2", scratch: one.fixture.scratch)
    let second = try next.backUp()
    #expect(try BackupArchive(second).verify().manifest.origin.release == one.release)
  }

  /// Whoever relies on an index relies on this having been noticed.
  @Test func aPartThatHoldsOtherEntriesIsNoticed() throws {
    let one = try BackupFixture()
    var contents = ["main": "#!/bin/sh\n"]
    for number in 0..<100 {
      contents["lib/\(number)"] = String(decoding: noise(20_000, seed: UInt64(number)), as: UTF8.self)
    }
    try one.makeRelease(contents)
    let archive = try one.backUp()
    let chunks = try index(archive).chunks
    let size = try FileFacts.of(archive).size
    var all = chunks.map { ArchivePart(bytes: $0.offset..<($0.offset + $0.length)) }
    let end = ArchivePart(
      bytes: (chunks.last.map { $0.offset + $0.length } ?? 0)..<(size - 80 * UInt64(chunks.count) - 56))
    for (number, part) in all.enumerated() {
      var entries: [TreePath] = []
      try ArchiveReader(.parts(archive, [part, end])).list { (entry) throws(ArchiveError) in entries.append(entry.path)
      }
      all[number].first = entries.first
    }
    #expect(all.count > 4)
    try ArchiveReader(.parts(archive, all + [end])).list()
    var wrong = all + [end]
    (wrong[1].first, wrong[2].first) = (wrong[2].first, wrong[1].first)
    var shifted = all + [end]
    shifted[1].bytes = shifted[1].bytes.lowerBound..<(shifted[1].bytes.upperBound - 1)
    shifted[2].bytes = (shifted[2].bytes.lowerBound - 1)..<shifted[2].bytes.upperBound
    var merged = all + [end]
    merged[1].bytes = merged[1].bytes.lowerBound..<merged[2].bytes.upperBound
    merged[2].bytes = merged[3].bytes
    merged.remove(at: 3)
    for parts in [wrong, shifted, merged] {
      let error = refusal { () throws(ArchiveError) in try ArchiveReader(.parts(archive, parts)).list() }
      guard case .damaged = error?.reason else {
        Issue.record("\(error?.description ?? "nothing")")
        continue
      }
    }
  }

  /// As a disk that cannot read it any more: a backup is made all the same, without it.
  @Test func aChunkThatCannotBeHadIsMadeAnew() throws {
    let one = try BackupFixture()
    try one.makeRelease()
    let first = try one.backUp()
    var bytes = try readFile(first, limit: 1 << 24)
    let chunks = try index(first).chunks
    bytes.removeLast(80 * chunks.count + 56)
    let far = chunks.map { ArchiveIndex.Chunk(key: $0.key, offset: 1 << 40, length: $0.length, digest: $0.digest) }
    try one.write(first, bytes + ArchiveIndex(far).bytes)
    let next = try BackupFixture(id: "op-2", release: "20260102T000000Z-none-0002", scratch: one.fixture.scratch)
    try next.makeRelease()
    let second = try next.backUp()
    #expect(try BackupArchive(second).verify().manifest.origin.release == next.release)
    #expect(next.fixture.audience.everything.contains("an older archive is damaged"))
  }

  private func index(_ path: String) throws -> ArchiveIndex {
    try ArchiveIndex.read(try Descriptor.open(path, flags: O_RDONLY), path) ?? ArchiveIndex([])
  }
}
