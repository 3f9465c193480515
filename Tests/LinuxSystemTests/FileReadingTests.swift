import Glibc
import Testing

@testable import LinuxSystem

@Suite struct FileReadingTests {
  @Test func `a file is read whole or not at all`() throws {
    let directory = try ScratchDirectory()
    let path = "\(directory.path)/file"
    let file = try Descriptor.open(path, flags: O_WRONLY | O_CREAT, mode: 0o600)
    let bytes = [UInt8](repeating: 7, count: 100_000)
    #expect(write(file.raw, bytes, bytes.count) == bytes.count)
    #expect(try readFile(path, limit: 100_000) == bytes)
    let refusal = #expect(throws: SystemError.self) { _ = try readFile(path, limit: 99_999) }
    #expect(refusal?.errno == EFBIG)
    #expect(try directoryEntries(directory.path) == ["file"])
  }

  @Test func `a descriptor is closed once, with its last reference, unless it was given away`() throws {
    var pipe: (reader: Descriptor, writer: Descriptor)? = try Descriptor.pipe()
    let number = try #require(pipe).writer.raw
    let copy = try #require(pipe).writer.duplicate()
    let kept = try #require(pipe).reader.take()
    #expect(copy.isCloseOnExec && copy.raw != number)
    pipe = nil
    #expect(fcntl(kept, F_GETFD) >= 0, "given away")
    // The copy is the only writer now, so its end ends the stream.
    copy.close()
    copy.close()
    var byte: UInt8 = 0
    #expect(read(kept, &byte, 1) == 0)
    #expect(close(kept) == 0)
  }
}
