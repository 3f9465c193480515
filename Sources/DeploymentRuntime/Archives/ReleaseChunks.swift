/// How the entries of a release are divided into chunks: by their paths alone where that is possible, so that a file that
/// is added, changed or removed changes its own chunk and no other.
enum ReleaseChunks {
  /// A chunk ends where the hash of a path says so, once it has this much, and at the latest when it has the other.
  static let least: UInt64 = 128 << 10
  static let most = UInt64(FrameWriter.blockSize) - 64 * 512

  struct Chunk {
    /// Of the manifest.
    let items: Range<Int>
    let key: Digest
    /// In the tar.
    let size: UInt64
  }

  /// `manner` is what else makes the bytes what they are: format and level.
  static func plan(_ items: [TreeItem], manner: String) -> [Chunk] {
    var chunks: [Chunk] = []
    var start = 0
    var size: UInt64 = 0
    func end(before index: Int) {
      guard index > start else { return }
      let lines = ManifestText.lines(Array(items[start..<index]))
      chunks.append(Chunk(items: start..<index, key: Digest.of(Array(manner.utf8) + lines), size: size))
      (start, size) = (index, 0)
    }
    for (index, item) in items.enumerated() {
      let length = self.size(of: item)
      if size + length > most { end(before: index) }
      size += length
      if size >= least, hash(item.path.bytes) & 3 == 0 { end(before: index + 1) }
    }
    end(before: items.count)
    return chunks
  }

  private static func size(of item: TreeItem) -> UInt64 {
    guard case .file(let size, _) = item.content else { return 512 }
    return 512 + size + UInt64(TarHeader.padding(after: size))
  }

  /// FNV-1a.
  private static func hash(_ bytes: [UInt8]) -> UInt32 {
    bytes.reduce(2_166_136_261) { ($0 ^ UInt32($1)) &* 16_777_619 } >> 16
  }
}
