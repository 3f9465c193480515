internal import Glibc
internal import LinuxSystem
internal import Synchronization

extension ArchiveIndex {
  /// Chunks between two looks at `abort`: at most some hundred megabytes.
  private static let atOnce = 256
  private static let bufferSize = 1 << 18

  /// Whether all of them are, in a file, the bytes they were; read on all processors.
  static func areSound(
    _ chunks: [Chunk], in file: Descriptor, _ subject: String, abort: Descriptor?
  ) throws(ArchiveError) -> Bool {
    let number = file.raw
    for start in stride(from: 0, to: chunks.count, by: atOnce) {
      try ArchiveError.throwIfAborted(abort, subject)
      let part = Array(chunks[start..<min(chunks.count, start + atOnce)])
      let trouble = Mutex(false)
      Parallel.each(of: part.count) { index in
        if !Self.isSound(part[index], in: number) { trouble.withLock { $0 = true } }
      }
      if trouble.withLock({ $0 }) { return false }
    }
    return true
  }

  private static func isSound(_ chunk: Chunk, in file: Int32) -> Bool {
    guard chunk.length <= 1 << 31, chunk.offset <= 1 << 50 else { return false }
    return withUnsafeTemporaryAllocation(byteCount: bufferSize, alignment: 64) { buffer in
      var hash = RunningHash()
      var done = 0
      while done < Int(chunk.length) {
        let count = pread(
          file, buffer.baseAddress, min(buffer.count, Int(chunk.length) - done), off_t(chunk.offset) + done)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        done += count
      }
      return hash.digest() == chunk.digest
    }
  }
}
