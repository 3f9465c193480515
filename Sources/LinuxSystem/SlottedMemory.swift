import CLinux
import Glibc

/// Bytes that outlive whoever wrote them: a file without a name whose two slots are written by turns, so that one that was
/// cut off in the middle leaves the one before it. Source: memfd_create(2), pwrite(2).
package final class SlottedMemory {
  package let file: Descriptor
  private var number: UInt64 = 0

  /// The most that one slot takes.
  package static let limit = 8 * 1024 * 1024
  private static let magic: UInt64 = 0x31_4d45_4d4e_5442
  private static let headerSize = 32
  private static let slotSize = limit + headerSize

  /// An empty one, close-on-exec.
  package init(name: String) throws(SystemError) {
    file = Descriptor(owning: try retrying("make a memory file") { cl_sealable_memory_file(name) })
  }

  /// One that somebody left, and what was written to it last; nil where nothing whole is in it.
  package init(adopting file: Descriptor) {
    self.file = file
    number = (0..<2).compactMap { Self.read(file, slot: $0)?.number }.max() ?? 0
  }

  /// What was written last and whole.
  package var newest: [UInt8]? {
    (0..<2).compactMap { Self.read(file, slot: $0) }.max { $0.number < $1.number }?.bytes
  }

  /// Replaces what was written the time before last. Nothing is waited for: it is memory.
  ///
  /// - Throws: EFBIG for more than ``limit``; ENOSPC, ENOMEM. What was written before is then still there.
  package func write(_ bytes: [UInt8]) throws(SystemError) {
    guard bytes.count <= Self.limit else { throw SystemError("write to", "memory", errno: EFBIG) }
    let next = number + 1
    let words = [Self.magic, next, UInt64(bytes.count), Self.checksum(next, bytes[...])]
    let all = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } } + bytes
    let start = off_t(next % 2) * off_t(Self.slotSize)
    var written = 0
    while written < all.count {
      written += try retrying("write to", "memory") {
        all.withUnsafeBytes {
          pwrite(file.raw, $0.baseAddress.map { $0 + written }, $0.count - written, start + off_t(written))
        }
      }
    }
    number = next
  }

  private static func read(_ file: Descriptor, slot: Int) -> (number: UInt64, bytes: [UInt8])? {
    let start = off_t(slot) * off_t(slotSize)
    guard let header = read(file, at: start, count: headerSize) else { return nil }
    let words = (0..<4).map { word in
      header[(8 * word)..<(8 * word + 8)].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }
    guard words[0] == magic, words[2] <= UInt64(limit),
      let bytes = read(file, at: start + off_t(headerSize), count: Int(words[2])),
      checksum(words[1], bytes[...]) == words[3]
    else { return nil }
    return (words[1], bytes)
  }

  private static func read(_ file: Descriptor, at start: off_t, count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var taken = 0
    while taken < count {
      let more = try? retrying("read", "memory") {
        bytes.withUnsafeMutableBytes {
          pread(file.raw, $0.baseAddress.map { $0 + taken }, count - taken, start + off_t(taken))
        }
      }
      guard let more, more > 0 else { return nil }
      taken += more
    }
    return bytes
  }

  /// FNV-1a, 64 bits: against what was cut off, not against people.
  private static func checksum(_ number: UInt64, _ bytes: ArraySlice<UInt8>) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ number
    bytes.withUnsafeBytes { all in
      for byte in all { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }
    return hash
  }
}
