import Glibc
import Testing

@testable import LinuxSystem

/// What was written last and whole is what is found, wherever the writer was cut off.
@Suite struct SlottedMemoryTests {
  private static let slot = off_t(SlottedMemory.limit + 32)

  /// As another process finds it.
  private func found(_ memory: SlottedMemory) throws -> [UInt8]? {
    let copy = Descriptor(owning: fcntl(memory.file.raw, F_DUPFD_CLOEXEC, 0))
    return SlottedMemory(adopting: copy).newest
  }

  @Test func theNewestIsFound() throws {
    let memory = try SlottedMemory(name: "test")
    #expect(memory.file.isCloseOnExec)
    #expect(try found(memory) == nil)
    for size in [0, 1, 7, 5_000, 3, 200_000, 1] {
      let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ size) }
      try memory.write(bytes)
      #expect(try found(memory) == bytes)
    }
  }

  /// At every byte of a write the one before it is still there, or the new one is whole.
  @Test func oneThatIsCutOffLeavesTheOneBefore() throws {
    let before = Array("the one before".utf8)
    let after = Array("and a longer one after it".utf8)
    let whole = try SlottedMemory(name: "whole")
    try whole.write(Array("older".utf8))
    try whole.write(before)
    try whole.write(after)
    var image = [UInt8](repeating: 0, count: 32 + after.count)
    #expect(pread(whole.file.raw, &image, image.count, Self.slot) == image.count)
    for count in 0...image.count {
      let memory = try SlottedMemory(name: "cut")
      try memory.write(Array("older".utf8))
      try memory.write(before)
      #expect(pwrite(memory.file.raw, image, count, Self.slot) == count)
      #expect(try found(memory) == (count == image.count ? after : before))
    }
  }

  @Test func whoAdoptsItWritesOn() throws {
    let memory = try SlottedMemory(name: "test")
    for word in ["a", "b", "c"] { try memory.write(Array(word.utf8)) }
    let next = SlottedMemory(adopting: Descriptor(owning: fcntl(memory.file.raw, F_DUPFD_CLOEXEC, 0)))
    try next.write([1])
    #expect(try found(memory) == [1])
  }

  @Test func whatIsTooLargeIsRefusedAndHarmsNothing() throws {
    let memory = try SlottedMemory(name: "test")
    try memory.write([1])
    #expect(throws: SystemError.self) {
      try memory.write([UInt8](repeating: 0, count: SlottedMemory.limit + 1))
    }
    #expect(try found(memory) == [1])
  }

  @Test func otherFilesHoldNothing() throws {
    #expect(SlottedMemory(adopting: try Descriptor.pipe().reader).newest == nil)
    let file = try Descriptor.open("/proc/self/exe", flags: O_RDONLY)
    #expect(SlottedMemory(adopting: file).newest == nil)
  }
}
