internal import Glibc
internal import LinuxSystem
internal import Synchronization
internal import Vocabulary

/// An answer that is given once: by the one who works, or by the clock.
final class OneAnswer<Answer: Sendable>: Sendable {
  private let handler: Mutex<(@Sendable (Answer) -> Void)?>
  /// Closed by the answer, so that the other end of the pipe sees its end. nil when there is no descriptor left: then
  /// the clock alone is looked at.
  private let pipe: (reader: Descriptor, writer: Descriptor)?

  init(_ handler: @escaping @Sendable (Answer) -> Void) {
    self.handler = Mutex(handler)
    pipe = try? Descriptor.pipe()
  }

  func give(_ answer: Answer) {
    let first = handler.withLock { handler in
      defer { handler = nil }
      return handler
    }
    first?(answer)
    pipe?.writer.close()
  }

  /// Returns when the answer has been given, at the latest at `deadline` by giving `late` itself.
  func wait(until deadline: Instant, else late: Answer) {
    while true {
      let left = (deadline - Instant.monotonicNow()).milliseconds
      if left <= 0 { return give(late) }
      var entry = pollfd(fd: pipe?.reader.raw ?? -1, events: Int16(POLLIN), revents: 0)
      let code = poll(&entry, 1, Int32(clamping: left + 1))
      if code > 0 { return }
    }
  }
}
