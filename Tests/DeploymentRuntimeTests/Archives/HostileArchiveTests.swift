import Glibc
import LinuxSystem
import Testing

@testable import DeploymentRuntime

/// Whatever an archive says, nothing is written outside, and the error names the entry.
struct HostileArchiveTests {
  private let place = ArchivePlace()

  /// Unpacks into `tree`, beside which lies `precious`; a link of the archive may try to reach it.
  private func unpack(
    _ archive: [UInt8], limits: ArchiveLimits = ArchiveLimits(), reserve: UInt64 = 0
  ) -> ArchiveError? {
    place.write("precious", text("precious"))
    place.make("tree")
    let file = place.write("archive.tar", archive)
    var extraction = ArchiveReader.Extraction()
    extraction.reserve = reserve
    return refusal { () throws(ArchiveError) in
      try ArchiveReader(.path(file), limits: limits).extract(into: place.path("tree"), extraction)
    }
  }

  private func expectUnsafe(
    _ error: ArchiveError?, entry: String, why: String, _ location: SourceLocation = #_sourceLocation
  ) {
    guard case .unsafe(let named, let said)? = error?.reason else {
      Issue.record("expected a refusal, got \(error.map { "\($0)" } ?? "success")", sourceLocation: location)
      return
    }
    #expect(named == entry, sourceLocation: location)
    #expect(said.contains(why), sourceLocation: location)
    #expect(place.read("precious") == "precious", sourceLocation: location)
    let names = ((try? directoryEntries(place.directory)) ?? []).sorted()
    #expect(names == ["archive.tar", "precious", "tree"], sourceLocation: location)
  }

  @Test(arguments: ["../precious", "a/../../precious", "..", "a/.."])
  func aPathWithDotDotIsRefused(path: String) {
    var tar = TarBytes()
    tar.add(path, text("stolen"))
    expectUnsafe(unpack(tar.whole), entry: path, why: "leads outside with \"..\"")
  }

  @Test func anAbsolutePathIsRefused() {
    var tar = TarBytes()
    tar.add(place.path("precious"), text("stolen"))
    expectUnsafe(unpack(tar.whole), entry: place.path("precious"), why: "is an absolute path")
  }

  @Test(arguments: ["../precious", "/etc/passwd"])
  func aHardLinkOutsideIsRefused(target: String) {
    var tar = TarBytes()
    tar.add("link", type: "1", target: target)
    expectUnsafe(unpack(tar.whole), entry: "link", why: "is a hard link to \(target), which")
  }

  @Test func aHardLinkToWhatIsNotThereIsRefused() {
    var tar = TarBytes()
    tar.add("link", type: "1", target: "later")
    tar.add("later", text("x"))
    expectUnsafe(unpack(tar.whole), entry: "link", why: "nothing that came before")
  }

  @Test(arguments: ["..", "../precious", "/etc", "a/../../x"])
  func aLinkOutsideIsRefused(target: String) {
    var tar = TarBytes()
    tar.add("link", type: "2", target: target)
    expectUnsafe(unpack(tar.whole), entry: "link", why: "is a link to \(target)")
  }

  @Test func aLinkThatLeavesByWayOfAnotherIsRefused() {
    var tar = TarBytes()
    // By its words `door` stays inside: b/c/../../precious is precious. But b is the top itself.
    tar.add("c/", type: "5", mode: 0o755)
    tar.add("b", type: "2", target: ".")
    tar.add("door", type: "2", target: "b/c/../../precious")
    expectUnsafe(unpack(tar.whole), entry: "door", why: "leads outside")
  }

  @Test func nothingIsWrittenThroughALink() {
    var tar = TarBytes()
    tar.add("door", type: "2", target: "inside")
    tar.add("door/file", text("x"))
    expectUnsafe(unpack(tar.whole), entry: "door", why: "is there twice")
    #expect(!place.exists("tree/inside"))
  }

  @Test func aFileIsNoDirectory() {
    var tar = TarBytes()
    tar.add("name", text("x"))
    tar.add("name/file", text("x"))
    expectUnsafe(unpack(tar.whole), entry: "name", why: "is used as a directory")
  }

  @Test func nothingIsThereTwice() {
    var tar = TarBytes()
    tar.add("name", text("first"))
    tar.add("./name", text("second"))
    expectUnsafe(unpack(tar.whole), entry: "name", why: "is there twice")
    #expect(place.read("tree/name") == "first")
  }

  @Test(arguments: [("3", "a device"), ("4", "a device"), ("6", "a FIFO")] as [(Character, String)])
  func devicesAndFIFOsAreRefused(type: Character, word: String) {
    var tar = TarBytes()
    tar.add("dev/null", type: type, mode: 0o666)
    expectUnsafe(unpack(tar.whole), entry: "dev/null", why: "is \(word)")
  }

  @Test(arguments: [0o4755, 0o2755, 0o6755])
  func setuidAndSetgidFilesAreRefused(mode: Int) {
    var tar = TarBytes()
    tar.add("su", text("#!/bin/sh\n"), mode: mode)
    expectUnsafe(unpack(tar.whole), entry: "su", why: "setuid or setgid")
  }

  @Test func aSetgidDirectoryLosesTheBit() {
    var tar = TarBytes()
    tar.add("d/", type: "5", mode: 0o2777)
    #expect(unpack(tar.whole) == nil)
    #expect(place.mode("tree/d") == 0o755)
  }

  @Test func depthIsBounded() {
    var tar = TarBytes()
    tar.add(String(repeating: "d/", count: 49) + "f", text("x"))
    #expect(unpack(tar.whole) == nil)
    place.write("long", text(String(repeating: "d/", count: 250) + "f"))
    var deep = TarBytes()
    let name = String(repeating: "d/", count: 250) + "f"
    // GNU's record of a name that is too long for a header.
    deep.add("././@LongLink", type: "L", text(name + "\u{0}"))
    deep.add("d/d", text("x"))
    guard case .unsafe(_, let why)? = unpack(deep.whole)?.reason else {
      Issue.record("251 directories deep, and taken")
      return
    }
    #expect(why == "is 251 directories deep")
  }

  // MARK: Too much

  @Test func aBombIsRefusedBeforeItIsWritten() {
    var tar = TarBytes()
    tar.add("bomb", [], size: 1 << 40)
    guard case .noSpace(let needed, _)? = unpack(tar.bytes)?.reason else {
      Issue.record("a file of 1 TiB was begun")
      return
    }
    #expect(needed == 1 << 40)
    #expect(!place.exists("tree/bomb"))
  }

  @Test func bytesAreBounded() {
    var tar = TarBytes()
    for number in 0..<4 { tar.add("f\(number)", [UInt8](repeating: 1, count: 1_000)) }
    let error = unpack(tar.whole, limits: ArchiveLimits(bytes: 3_000))
    #expect(error?.reason == .tooMuch("unpacked, more than 3000 bytes"))
    #expect(!place.exists("tree/f3"))
  }

  @Test func spaceThatIsReservedStaysFree() {
    var tar = TarBytes()
    tar.add("small", text("x"))
    guard case .noSpace? = unpack(tar.whole, reserve: 1 << 62)?.reason else {
      Issue.record("the reserve was taken")
      return
    }
  }

  @Test func moreEntriesThanAnyReleaseHasAreRefused() {
    var one = TarBytes()
    one.add("x", type: "2", target: "y")
    var bytes: [UInt8] = []
    bytes.reserveCapacity(512 * 500_001)
    for _ in 0..<500_001 { bytes += one.bytes }
    let file = place.write("many.tar", bytes)
    var seen = 0
    let error = refusal { () throws(ArchiveError) in
      try ArchiveReader(.path(file)).list { (_) throws(ArchiveError) in seen += 1 }
    }
    #expect(error?.reason == .tooMuch("more than 500000 entries"))
    #expect(seen == 500_000)
  }

  // MARK: Not what it should be

  @Test func anEmptyFileIsNamed() {
    #expect(unpack([])?.reason == .empty)
    #expect(unpack([UInt8](repeating: 0, count: 10_240))?.reason == .empty)
  }

  @Test(arguments: ["<html>404 Not Found</html>", "PK\u{3}\u{4}", "x"])
  func whatIsNoArchiveIsNamed(bytes: String) {
    guard case .notAnArchive? = unpack(text(bytes) + [UInt8](repeating: 7, count: 2_000))?.reason else {
      Issue.record("taken for an archive")
      return
    }
  }

  @Test func aMissingEndIsNoticed() {
    var tar = TarBytes()
    tar.add("a", text("a"))
    tar.add("b", text("b"))
    // Cut between two entries, inside a header, inside data, and within the mark.
    for length in [1_024, 1_100, 1_540, 2_048, 2_560] {
      guard case .damaged? = unpack(Array(tar.whole.prefix(length)))?.reason else {
        Issue.record("cut after \(length) bytes, and taken for whole")
        return
      }
      unlink(place.path("tree/a"))
      unlink(place.path("tree/b"))
    }
  }

  @Test func aFileThatIsNotThereIsNamed() {
    let error = refusal { () throws(ArchiveError) in try ArchiveReader(.path(place.path("none"))).list() }
    #expect(error?.description == "\(place.path("none")): open \(place.path("none")): ENOENT No such file or directory")
    let other = refusal { () throws(ArchiveError) in try ArchiveReader(.path(place.directory)).list() }
    #expect(other?.description.contains("EISDIR") == true)
  }
}
