import Deployment
import Glibc
import LinuxSystem
import Testing

@testable import DeploymentRuntime

struct ArchiveReaderTests {
  private let place = ArchivePlace()

  private var sample: [UInt8] {
    var tar = TarBytes()
    tar.add("./", type: "5", mode: 0o750)
    tar.add("./bin/app", text("#!/bin/sh\n"), mode: 0o755)
    tar.add("./etc/", type: "5", mode: 0o500)
    tar.add("./etc/conf", text("a = 1\n"), mode: 0o640)
    tar.add("./app", type: "2", target: "bin/app")
    tar.add("./bin/same", type: "1", target: "./bin/app")
    tar.add("./empty")
    return tar.whole
  }

  @Test func whatIsInItComesOut() throws {
    place.make("tree")
    let file = place.write("a.tar", sample)
    var extraction = ArchiveReader.Extraction()
    extraction.withheld = 0
    let summary = try ArchiveReader(.path(file)).extract(into: place.path("tree"), extraction)
    #expect(summary.entries == 7)
    #expect(summary.bytes == 16)
    #expect(place.read("tree/bin/app") == "#!/bin/sh\n")
    #expect(place.read("tree/bin/same") == "#!/bin/sh\n")
    #expect(place.read("tree/app") == "#!/bin/sh\n")
    #expect(place.read("tree/empty") == "")
    #expect(place.mode("tree") == 0o750)
    #expect(place.mode("tree/bin/app") == 0o755)
    #expect(place.mode("tree/etc") == 0o500)
    #expect(place.mode("tree/etc/conf") == 0o640)
    var facts = stat()
    lstat(place.path("tree/app"), &facts)
    #expect(facts.st_mtim.tv_sec == 1_700_000_000)
    stat(place.path("tree/etc"), &facts)
    #expect(facts.st_mtim.tv_sec == 1_700_000_000)
  }

  @Test func onlyAPartOfItComesOutUnderItsNewName() throws {
    var tar = TarBytes()
    tar.add("app-1.2/", type: "5", mode: 0o755)
    tar.add("app-1.2/main", text("main"), mode: 0o777)
    tar.add("else", text("else"))
    place.make("tree")
    let file = place.write("a.tar", tar.whole)
    var extraction = ArchiveReader.Extraction()
    extraction.place = { entry in
      entry.path.isInside(TreePath("app-1.2")!) ? TreePath(entry.path.bytes.dropFirst("app-1.2/".utf8.count)) : nil
    }
    try ArchiveReader(.path(file)).extract(into: place.path("tree"), extraction)
    #expect(try directoryEntries(place.path("tree")) == ["main"])
    #expect(place.mode("tree/main") == 0o755)
  }

  @Test(arguments: ["gzip", "zstd", "xz", "bzip2"])
  func peoplesCompressionsAreRead(program: String) throws {
    guard shell("command -v \(program)") else { return print("skipped: \(program) is not installed") }
    let file = place.write("a.tar", sample)
    #expect(shell("\(program) -c \(file) > \(file).x"))
    #expect(try ArchiveReader(.path(file + ".x")).list().entries == 7)
  }

  @Test func gzipsChecksumIsCompared() throws {
    guard shell("command -v gzip") else { return print("skipped: gzip is not installed") }
    var tar = TarBytes()
    // Stored, not compressed: only the checksum can tell.
    tar.add("f", noise(3_000, seed: 5))
    let file = place.write("a.tar", tar.whole)
    #expect(
      shell("python3 -c 'import gzip; gzip.open(\"\(file).gz\", \"wb\", 0).write(open(\"\(file)\", \"rb\").read())'"))
    var bytes = try readFile(file + ".gz")
    bytes[1_500] ^= 1
    let broken = place.write("b.tar.gz", bytes)
    let error = refusal { () throws(ArchiveError) in try ArchiveReader(.path(broken)).list() }
    #expect(error?.reason == .damaged("incorrect data check"))
    // Two files in a row are one.
    #expect(shell("head -c 2000 \(file) | gzip > \(file).2 && tail -c +2001 \(file) | gzip >> \(file).2"))
    #expect(try ArchiveReader(.path(file + ".2")).list().bytes == 3_000)
  }

  @Test func whatTarMakesIsRead() throws {
    place.make("from")
    let long = String(repeating: "n", count: 200)
    place.write("from/\(long)", text("long"))
    place.write("from/\u{e9}", text("accent"))
    place.write("from/\u{65}\u{301}", text("other accent"))
    // Latin-1: no text at all, and a name all the same.
    #expect(shell("cd \(place.path("from")) && touch $(printf 'latin-\\351') && ln -s $(printf '\\351') link"))
    place.make("tree")
    for format in ["gnu", "pax", "posix"] {
      #expect(shell("tar -C \(place.path("from")) --format=\(format) -cf \(place.path("a.tar")) ."))
      try ArchiveReader(.path(place.path("a.tar"))).extract(into: place.path("tree"))
      #expect(place.read("tree/\(long)") == "long")
      #expect(shell("diff -r --no-dereference \(place.path("from")) \(place.path("tree"))"))
      #expect(shell("rm -r \(place.path("tree"))"))
      place.make("tree")
    }
  }

  @Test func aSparseFileKeepsItsHoles() throws {
    place.make("from")
    place.make("tree")
    #expect(
      shell("cd \(place.path("from")) && truncate -s 3M hole && printf x | dd of=hole bs=1 seek=1000000 conv=notrunc"))
    for format in ["gnu", "pax"] {
      #expect(shell("tar -C \(place.path("from")) -S --format=\(format) -cf \(place.path("a.tar")) ."))
      try ArchiveReader(.path(place.path("a.tar"))).extract(into: place.path("tree"))
      #expect(shell("cmp \(place.path("from/hole")) \(place.path("tree/hole")) && rm \(place.path("tree/hole"))"))
    }
  }

  @Test func aPipeIsReadAsItComes() throws {
    let pipe = try Descriptor.pipe()
    let bytes = sample
    HelperThread.run { [writer = pipe.writer] in
      for start in stride(from: 0, to: bytes.count, by: 700) {
        let part = bytes[start..<min(start + 700, bytes.count)]
        _ = part.withUnsafeBytes { write(writer.raw, $0.baseAddress, $0.count) }
      }
      writer.close()
    }
    #expect(try ArchiveReader(.descriptor(pipe.reader, name: "standard input")).list().entries == 7)
  }

  @Test func anAbortEndsASilentPipe() throws {
    let pipe = try Descriptor.pipe()
    let abort = try Descriptor.pipe()
    _ = write(abort.writer.raw, "x", 1)
    let error = refusal { () throws(ArchiveError) in
      try ArchiveReader(.descriptor(pipe.reader, name: "standard input"), abort: abort.reader).list()
    }
    #expect(error?.reason == .aborted)
    #expect(error?.failure.kind == .aborted)
  }
}

/// Runs a line of shell; true when it succeeds. What it prints is not shown.
func shell(_ line: String) -> Bool { system("{ \(line); } > /dev/null 2>&1") == 0 }
