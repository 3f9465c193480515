import Deployment
import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

/// A backup that is not as it was written is never taken for one, and never unpacked into place.
struct BackupDamageTests {
  private func made(_ format: String) throws -> (BackupFixture, archive: String, bytes: [UInt8]) {
    let one = try BackupFixture("[backup]\nformat = \"\(format)\"\nshared = [\"data\"]\n")
    var contents = ["main": "#!/bin/sh\n"]
    for number in 0..<40 {
      contents["lib/\(number)"] = String(decoding: noise(5_000, seed: UInt64(number)), as: UTF8.self)
    }
    try one.makeRelease(contents)
    try one.write("\(one.layout.shared)/data/upload", noise(20_000, seed: 99))
    let archive = try one.backUp()
    return (one, archive, try readFile(archive, limit: 1 << 24))
  }

  /// Every 1,000th byte, and the ends, where headers, index and trailers are.
  private func offsets(_ count: Int) -> [Int] {
    Array(stride(from: 0, to: count, by: 1_000)) + Array(0..<40) + Array((count - 120)..<count)
  }

  /// Some bytes mean nothing, such as the time in the head of gzip, and some mean the same when changed, such as the
  /// distance of a match in data that repeats: what is read must be right all the same.
  @Test(arguments: ["zst", "gz"])
  func aChangedByteAnywhereIsNoticedOrHarmless(format: String) throws {
    let (one, archive, bytes) = try made(format)
    let sound = try BackupArchive(archive).verify()
    let copy = "\(archive).copy"
    var noticed = 0
    let offsets = offsets(bytes.count)
    for offset in offsets {
      var broken = bytes
      broken[offset] ^= 0x41
      try one.write(copy, broken)
      do throws(ArchiveError) {
        let backup = try BackupArchive(copy).verify()
        #expect(backup == sound, "byte \(offset) of \(bytes.count)")
      } catch { noticed += 1 }
    }
    #expect(noticed > offsets.count * 9 / 10)
  }

  @Test(arguments: ["zst", "gz"])
  func aCutOneIsNoticed(format: String) throws {
    let (one, archive, bytes) = try made(format)
    let copy = "\(archive).copy"
    for length in offsets(bytes.count) {
      try one.write(copy, Array(bytes.prefix(length)))
      let error = refusal { () throws(ArchiveError) in _ = try BackupArchive(copy).verify() }
      #expect(error != nil, "cut after \(length) of \(bytes.count)")
    }
  }

  @Test func whatIsNoBackupIsNamed() throws {
    let one = try BackupFixture()
    var tar = TarBytes()
    tar.add("main", text("x"))
    let file = "\(one.layout.backups)/foreign.tar.gz"
    try one.write(file, tar.whole)
    #expect(refusal { () throws(ArchiveError) in _ = try BackupArchive(file).verify() }?.reason == .notABackup)
    let listed = try one.store.list()
    #expect(listed.found.isEmpty)
    #expect(listed.broken.map(\.name) == ["foreign.tar.gz"])
    // Nobody removes what nobody understands.
    #expect(try one.store.prune(releases: [], names: []).isEmpty)
    #expect(one.names == ["foreign.tar.gz"])
  }

  @Test func anEntryMoreThanTheManifestHasIsNamed() throws {
    let (one, archive, _) = try made("gz")
    let place = ArchivePlace()
    #expect(shell("tar -C \(place.directory) -xf \(archive)"))
    place.write("release/more", text("more"))
    let names = "backup.txt release.manifest release shared shared.manifest"
    #expect(shell("cd \(place.directory) && tar -czf \(archive) \(names)"))
    let error = refusal { () throws(ArchiveError) in _ = try BackupArchive(archive).verify() }
    #expect(error?.description.contains("release/more (extra)") == true)
    // Nothing of it is put back.
    let id = one.release
    #expect(shell("rm -r \(one.layout.release(id)) && rm \(one.layout.current)"))
    let failure = stepFailure { () throws(StepFailure) in
      try one.store.restoreRelease(from: archive, audience: one.fixture.audience)
    }
    #expect(failure?.what.contains("release/more") == true)
    #expect(((try? directoryEntries(one.layout.releases)) ?? []) == ["\(id).manifest"])
  }
}
