internal import CArchive
internal import Glibc
internal import LinuxSystem
internal import Settings

/// Writes a stream as frames that all processors compress, and notes where its chunks lie. A chunk is one frame or
/// several, with nothing of its neighbours in it, so that it can be copied into another archive as it is.
///
/// One thread uses it. Memory: about 2 MB for each of (4 x processors + 8) blocks.
final class FrameWriter {
  private let output: Descriptor
  private let subject: String
  private let framer: OpaquePointer
  private var block: UnsafeMutableRawBufferPointer
  private var used = 0
  /// Blocks given to be compressed, and frames written.
  private var given: UInt64 = 0
  private var written: UInt64 = 0
  /// Bytes written.
  private(set) var position: UInt64 = 0
  /// On their way to the disk.
  private var begun: UInt64 = 0
  /// Bytes taken, before compression.
  private(set) var taken: UInt64 = 0
  private(set) var chunks: [ArchiveIndex.Chunk] = []
  /// Chunks whose frames are not all written; the last may still grow.
  private var open: [Open] = []
  /// What is to be copied between frames that are still being compressed, in the archive's order.
  private var copies: [Copy] = []
  private var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: FrameWriter.blockSize, alignment: 4_096)

  private struct Copy {
    let run: [ArchiveIndex.Chunk]
    let file: Descriptor
    /// As many frames are written before it.
    let after: UInt64
  }

  private struct Open {
    let key: Digest?
    var start: UInt64?
    var hash = RunningHash()
    /// As many frames are written when it is.
    var end: UInt64?
  }

  static let blockSize = 1 << 20

  init(
    _ output: Descriptor, subject: String, _ format: Settings.Deploy.Backup.Format, level: Int
  ) throws(ArchiveError) {
    let threads = UInt32(Parallel.processors)
    guard let framer = ca_framer_start(format == .gz, Int32(level), threads, Self.blockSize) else {
      throw ArchiveError(subject, .system(SystemError("start threads to compress", subject, errno: errno)))
    }
    self.output = output
    self.subject = subject
    self.framer = framer
    block = UnsafeMutableRawBufferPointer(start: ca_framer_block(framer), count: Self.blockSize)
  }

  deinit {
    ca_framer_end(framer)
    buffer.deallocate()
  }

  // MARK: In

  /// Where data may be put that ``advance(_:)`` then takes: at least one byte.
  func space() throws(ArchiveError) -> UnsafeMutableRawBufferPointer {
    if used == block.count { try submit() }
    return UnsafeMutableRawBufferPointer(rebasing: block[used...])
  }

  func advance(_ count: Int) {
    used += count
    taken += UInt64(count)
  }

  func append(_ bytes: [UInt8]) throws(ArchiveError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let space = try space()
      let count = min(space.count, rest.count)
      space.copyBytes(from: rest.prefix(count))
      advance(count)
      rest = rest.dropFirst(count)
    }
  }

  func appendZeros(_ count: Int) throws(ArchiveError) { try append([UInt8](repeating: 0, count: count)) }

  /// All that `body` puts in is one chunk. With a key it is noted.
  func chunk(_ key: Digest?, _ body: () throws(ArchiveError) -> Void) throws(ArchiveError) {
    if used > 0 { try submit() }
    open.append(Open(key: key))
    try body()
    if used > 0 { try submit() }
    open[open.count - 1].end = given
    finishChunks()
    try take(wait: false)
  }

  // MARK: Back

  /// A place to go back to: the data since then can be taken back.
  enum Mark {
    case inBlock(used: Int, taken: UInt64)
    case inFile(position: UInt64, taken: UInt64)
  }

  /// Before data of about that size. What fits into the block goes back for nothing.
  func mark(before size: UInt64) throws(ArchiveError) -> Mark {
    if size <= UInt64(block.count - used) { return .inBlock(used: used, taken: taken) }
    try takeAll()
    return .inFile(position: position, taken: taken)
  }

  func goBack(to mark: Mark) throws(ArchiveError) {
    switch mark {
    case .inBlock(let used, let taken): (self.used, self.taken) = (used, taken)
    case .inFile(let position, let taken):
      used = 0
      try takeAll()
      do throws(SystemError) {
        try retrying("cut", subject) { ftruncate(output.raw, off_t(position)) }
        try retrying("seek in", subject) { lseek(output.raw, off_t(position), SEEK_SET) }
      } catch { throw ArchiveError(subject, .system(error)) }
      (self.position, self.taken) = (position, taken)
      begun = min(begun, position)
    }
  }

  // MARK: Out

  /// Chunks that follow each other in another archive, byte by byte: large writes, not one for each chunk. `size`: what
  /// they hold unpacked. Frames before them that are not done yet do not hold up what is to be compressed after them.
  ///
  /// - Throws: `damaged` where they cannot be had: whoever can do without them does.
  func copy(_ run: [ArchiveIndex.Chunk], of file: Descriptor, size: UInt64) throws(ArchiveError) {
    guard !run.isEmpty else { return }
    if used > 0 { try submit() }
    copies.append(Copy(run: run, file: file, after: given))
    taken += size
    try take(wait: false)
  }

  /// Those whose turn it is.
  private func copyDue() throws(ArchiveError) {
    while let copy = copies.first, copy.after <= written {
      copies.removeFirst()
      try perform(copy)
    }
  }

  private func perform(_ copy: Copy) throws(ArchiveError) {
    guard let first = copy.run.first else { return }
    chunks += copy.run.map {
      ArchiveIndex.Chunk(
        key: $0.key, offset: position + ($0.offset - first.offset), length: $0.length, digest: $0.digest)
    }
    let length = copy.run.reduce(0) { $0 + $1.length }
    var done: UInt64 = 0
    while done < length {
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, Int(length - done))])
      var count = 0
      do throws(SystemError) {
        count = try retrying("read", subject) {
          pread(copy.file.raw, part.baseAddress, part.count, off_t(first.offset + done))
        }
      } catch { throw ArchiveError(subject, .damaged("an older archive, of which chunks are taken over: \(error)")) }
      if count == 0 {
        throw ArchiveError(subject, .damaged("an older archive, of which chunks are taken over, is cut off"))
      }
      try write(UnsafeRawBufferPointer(rebasing: part[..<count]))
      done += UInt64(count)
    }
  }

  /// All that came in is in the file.
  func takeAll() throws(ArchiveError) {
    if used > 0 { try submit() }
    try copyDue()
    while written < given { try take(wait: true) }
  }

  /// Bytes that are not compressed: what an index is.
  func appendRaw(_ bytes: [UInt8]) throws(ArchiveError) {
    try takeAll()
    try write(bytes)
  }

  private func submit() throws(ArchiveError) {
    ca_framer_submit(framer, used)
    given += 1
    used = 0
    try take(wait: false)
    while true {
      if let next = ca_framer_block(framer) {
        block = UnsafeMutableRawBufferPointer(start: next, count: Self.blockSize)
        return
      }
      try take(wait: true)
    }
  }

  /// Writes the frames that are done, and what is to be copied between them; with `wait` at least one frame.
  private func take(wait: Bool) throws(ArchiveError) {
    var mustWait = wait
    while true {
      try copyDue()
      var frame: UnsafeRawPointer?
      let length = ca_framer_take(framer, mustWait, &frame)
      if length == 0 { return }
      guard length != Int.max, length > 0, let frame else {
        throw ArchiveError(subject, .system(SystemError("compress", subject, errno: ENOMEM)))
      }
      let bytes = UnsafeRawBufferPointer(start: frame, count: length)
      if !open.isEmpty, open[0].key != nil {
        open[0].start = open[0].start ?? position
        open[0].hash.update(bytes)
      }
      try write(bytes)
      written += 1
      finishChunks()
      ca_framer_release(framer)
      mustWait = false
    }
  }

  private func finishChunks() {
    while let first = open.first, let end = first.end, written >= end {
      open.removeFirst()
      guard let key = first.key, let start = first.start else { continue }
      var hash = first.hash
      chunks.append(ArchiveIndex.Chunk(key: key, offset: start, length: position - start, digest: hash.digest()))
    }
  }

  private func write(_ bytes: [UInt8]) throws(ArchiveError) {
    do throws(SystemError) { try writeAll(bytes, to: output, subject) } catch {
      throw ArchiveError(subject, .system(error))
    }
    position += UInt64(bytes.count)
  }

  private func write(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) {
    var done = 0
    do throws(SystemError) {
      while done < bytes.count {
        done += try retrying("write", subject) {
          Glibc.write(output.raw, bytes.baseAddress.map { $0 + done }, bytes.count - done)
        }
      }
    } catch { throw ArchiveError(subject, .system(error)) }
    position += UInt64(bytes.count)
    if position - begun > 8 << 20 {
      // Written to the disk while the next is compressed; the sync in the end then waits for the rest alone.
      ca_begin_sync(output.raw, Int(begun), Int(position - begun))
      begun = position
    }
  }
}
