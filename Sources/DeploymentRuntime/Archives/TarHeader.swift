internal import Glibc

/// The 512 bytes before an entry's data, in GNU's form: names and targets of any length and any bytes, files of any size.
/// Source: tar(5).
enum TarHeader {
  static let block = 512

  /// What follows `size` bytes of data up to a whole block.
  static func padding(after size: UInt64) -> Int { Int((512 - size % 512) % 512) }

  static func bytes(of entry: ArchiveEntry) -> [UInt8] {
    let slash = UInt8(ascii: "/")
    switch entry.kind {
    case .file(let size): return bytes(entry.path.bytes, "0", entry, size: size)
    case .directory: return bytes(entry.path.bytes + [slash], "5", entry)
    case .link(let target): return bytes(entry.path.bytes, "2", entry, target: target)
    case .hardLink(let target): return bytes(entry.path.bytes, "1", entry, target: target.bytes)
    }
  }

  private static func bytes(
    _ name: [UInt8], _ type: Unicode.Scalar, _ entry: ArchiveEntry, target: [UInt8] = [], size: UInt64 = 0
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    if target.count > 100 { bytes += long(target, "K") }
    if name.count > 100 { bytes += long(name, "L") }
    bytes += header(
      name.prefix(100), type, mode: entry.mode, seconds: entry.modified / 1_000_000_000, target: target.prefix(100),
      size: size)
    return bytes
  }

  /// A name that does not fit, as the data of an entry before the one it belongs to.
  private static func long(_ name: [UInt8], _ type: Unicode.Scalar) -> [UInt8] {
    let size = UInt64(name.count + 1)
    let head = header(
      ArraySlice("././@LongLink".utf8), type, mode: 0o644, seconds: 0, target: [], size: size)
    return head + name + [UInt8](repeating: 0, count: 1 + padding(after: size))
  }

  private static func header(
    _ name: ArraySlice<UInt8>, _ type: Unicode.Scalar, mode: UInt32, seconds: Int64, target: ArraySlice<UInt8>,
    size: UInt64
  ) -> [UInt8] {
    var header = [UInt8](repeating: 0, count: block)
    header.replaceSubrange(0..<name.count, with: name)
    put(UInt64(mode), in: &header, 100..<107)
    // Owners are not part of a release: 0, as in git's archives.
    put(0, in: &header, 108..<115)
    put(0, in: &header, 116..<123)
    put(size, in: &header, 124..<135)
    put(UInt64(max(0, seconds)), in: &header, 136..<147)
    header[156] = UInt8(ascii: type)
    header.replaceSubrange(157..<(157 + target.count), with: target)
    header.replaceSubrange(257..<265, with: "ustar  \u{0}".utf8)
    for index in 148..<156 { header[index] = UInt8(ascii: " ") }
    let sum = header.reduce(UInt64(0)) { $0 + UInt64($1) }
    put(sum, in: &header, 148..<154)
    header[154] = 0
    return header
  }

  /// Octal digits, or GNU's binary form for what they cannot say.
  private static func put(_ number: UInt64, in header: inout [UInt8], _ field: Range<Int>) {
    guard number >> UInt64(3 * field.count) == 0 else {
      for index in 0..<8 { header[field.upperBound - index] = UInt8(truncatingIfNeeded: number >> UInt64(8 * index)) }
      return header[field.lowerBound] = 0x80
    }
    var rest = number
    for index in field.reversed() {
      header[index] = UInt8(ascii: "0") + UInt8(rest & 7)
      rest >>= 3
    }
  }
}
