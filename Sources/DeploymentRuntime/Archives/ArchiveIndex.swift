internal import Glibc
internal import LinuxSystem

/// Where the chunks of a backup lie, so that the next one takes over those that would be the same: in a skippable frame
/// at its end, which every program that reads zstd passes over (RFC 8878, 3.1.2).
///
/// Numbers are little-endian. The frame: magic, length of the rest; for each chunk key, offset, length, digest; then the
/// digest of all that, the number of chunks, and a word that says an index ends here.
struct ArchiveIndex: Hashable, Sendable {
  struct Chunk: Hashable, Sendable {
    /// What is in it: a hash of the manifest's lines of its entries and of how it was compressed.
    let key: Digest
    /// In the file, compressed.
    let offset: UInt64
    let length: UInt64
    let digest: Digest
  }

  private(set) var chunks: [Chunk]

  init(_ chunks: [Chunk]) { self.chunks = chunks }

  private static let magic: UInt32 = 0x184D_2A5B
  private static let word = Array("batonix1".utf8)
  private static let chunkSize = 32 + 8 + 8 + 32
  private static let endSize = 32 + 8 + 8
  /// A release of as many chunks has 64 GB.
  private static let most = 1 << 16

  var bytes: [UInt8] {
    var body: [UInt8] = []
    for chunk in chunks {
      chunk.key.append(to: &body)
      Self.append(chunk.offset, to: &body)
      Self.append(chunk.length, to: &body)
      chunk.digest.append(to: &body)
    }
    Digest.of(body).append(to: &body)
    Self.append(UInt64(chunks.count), to: &body)
    body += Self.word
    var bytes: [UInt8] = []
    Self.append(Self.magic, to: &bytes)
    Self.append(UInt32(body.count), to: &bytes)
    return bytes + body
  }

  /// nil where the file has none: one that was not made here, or with gzip.
  ///
  /// - Throws: `damaged` where there is one that is not as it was written.
  static func read(_ file: Descriptor, _ subject: String) throws(ArchiveError) -> ArchiveIndex? {
    do throws(SystemError) {
      var facts = stat()
      try retrying("look at", subject) { fstat(file.raw, &facts) }
      let size = Int(facts.st_size)
      guard size > endSize + 8 else { return nil }
      let end = try bytes(of: file, endSize, at: size - endSize, subject)
      guard Array(end.suffix(8)) == word else { return nil }
      let count = number(end, 32)
      guard count <= most, size >= Int(count) * chunkSize + endSize + 8 else {
        throw SystemError("read the index of", subject, errno: EILSEQ)
      }
      let length = Int(count) * chunkSize
      let body = try bytes(of: file, length + 8, at: size - endSize - length - 8, subject)
      var hash: [UInt8] = []
      Digest.of(body.dropFirst(8)).append(to: &hash)
      var head: [UInt8] = []
      append(magic, to: &head)
      append(UInt32(length + endSize), to: &head)
      guard hash.elementsEqual(end.prefix(32)), body.prefix(8).elementsEqual(head) else {
        throw SystemError("read the index of", subject, errno: EILSEQ)
      }
      return ArchiveIndex(
        (0..<Int(count)).map { place in
          let start = 8 + place * chunkSize
          return Chunk(
            key: Digest(bytes: body[start..<(start + 32)]), offset: number(body, start + 32),
            length: number(body, start + 40), digest: Digest(bytes: body[(start + 48)..<(start + 80)]))
        })
    } catch {
      if error.errno == EILSEQ { throw ArchiveError(subject, .damaged("its index is not as it was written")) }
      throw ArchiveError(subject, .system(error))
    }
  }

  /// Reads at a place; fewer bytes than asked for are an error.
  static func bytes(
    of file: Descriptor, _ count: Int, at offset: Int, _ subject: String
  ) throws(SystemError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let more = try retrying("read", subject) {
        bytes.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress.map { $0 + done }, count - done, offset + done) }
      }
      if more == 0 { throw SystemError("read", subject, errno: EILSEQ) }
      done += more
    }
    return bytes
  }

  private static func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
  }

  private static func number(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
  }
}

extension Digest {
  /// 32 bytes.
  func append(to bytes: inout [UInt8]) {
    var text: [UInt8] = []
    write(to: &text)
    for index in 0..<32 {
      bytes.append((EscapedText.value(text[2 * index]) ?? 0) << 4 | (EscapedText.value(text[2 * index + 1]) ?? 0))
    }
  }

  init(bytes: ArraySlice<UInt8>) {
    var text: [UInt8] = []
    for byte in bytes { text += [EscapedText.digit(byte >> 4), EscapedText.digit(byte & 15)] }
    // 64 digits are always one.
    self = Digest(hex: text) ?? Digest.of([])
  }
}
