/// What an archive is meant to be, as its writer knows it: for reading it back.
struct BackupOutline {
  var hasIndex = false
  /// As they lie in it, in the order of `plan`.
  var chunks: [ArchiveIndex.Chunk] = []
  var plan: [ReleaseChunks.Chunk] = []
  /// The entry each of them begins with.
  var firsts: [TreePath] = []
  /// The one that follows the release.
  var afterRelease: TreePath = .top
  /// Numbers of the chunks that were taken over from another archive.
  var known: Set<Int> = []
  /// Where the tar ends.
  var end: UInt64 = 0

  /// Bytes that were taken over, unpacked.
  var takenOver: UInt64 { known.reduce(0) { $0 + plan[$1].size } }

  /// Of the manifest: those of the chunks that were taken over, in order.
  var knownItems: [Range<Int>] { known.sorted().map { plan[$0].items } }

  /// All of the tar but what was taken over. That each part begins with its entry, and that these entries are all there
  /// are, says for each chunk that exactly its own are in it.
  var rest: [ArchivePart] {
    var rest: [ArchivePart] = []
    var start: UInt64 = 0
    for (number, chunk) in chunks.enumerated() {
      // None here but before the first: else the index would not be one of the whole release.
      if chunk.offset > start { rest.append(ArchivePart(bytes: start..<chunk.offset)) }
      start = chunk.offset + chunk.length
      if !known.contains(number) { rest.append(ArchivePart(bytes: chunk.offset..<start, first: firsts[number])) }
    }
    if end > start { rest.append(ArchivePart(bytes: start..<end, first: chunks.isEmpty ? nil : afterRelease)) }
    return rest
  }
}
