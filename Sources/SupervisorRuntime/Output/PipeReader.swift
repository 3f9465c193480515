import Glibc
import LinuxSystem
import Vocabulary

/// The reading end of one pipe with what was read of it and not yet made into lines.
final class PipeReader {
  enum Reading { case bytes(Int), nothing, end }

  let descriptor: Descriptor
  var registration: EventLoop.Registration?
  var splitter = LineSplitter()
  /// At most ``chunk`` bytes.
  var pending: ArraySlice<UInt8> = []
  /// The rest of `pending` has its turn later in this wake-up.
  var isScheduled = false

  private static let chunk = 16_384

  init(_ descriptor: Descriptor) { self.descriptor = descriptor }

  /// Adds what one read(2) gives. Errors are an end: there is nothing more to be had.
  func read() -> Reading {
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: Self.chunk) { buffer, count in
      var answer: Int
      repeat {
        answer = Glibc.read(descriptor.raw, buffer.baseAddress, buffer.count)
      } while answer < 0 && errno == EINTR
      failure = answer < 0 ? errno : 0
      count = max(answer, 0)
    }
    guard bytes.isEmpty else {
      pending = pending.isEmpty ? bytes[...] : pending + bytes
      return .bytes(bytes.count)
    }
    return failure == EAGAIN ? .nothing : .end
  }

  /// Forgets the complete lines in `pending` but the last ones.
  /// - Returns: how many.
  func skipLines(butLast kept: Int) -> Int {
    let skipped = pending.withUnsafeBufferPointer { bytes in
      var ends = 0
      for byte in bytes where byte == UInt8(ascii: "\n") { ends += 1 }
      let count = ends - kept
      guard count > 0 else { return (lines: 0, bytes: 0) }
      var place = 0
      var seen = 0
      while seen < count {
        if bytes[place] == UInt8(ascii: "\n") { seen += 1 }
        place += 1
      }
      return (lines: count, bytes: place)
    }
    pending = pending.dropFirst(skipped.bytes)
    return skipped.lines
  }

  func close() {
    registration?.cancel()
    registration = nil
    pending = []
    descriptor.close()
  }
}
