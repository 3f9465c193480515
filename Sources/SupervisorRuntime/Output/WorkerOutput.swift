package import LinuxSystem
import Vocabulary

/// What one worker prints: owns the reading ends of its two pipes, makes lines of what comes and hands them on.
///
/// Always goes on reading, so that a worker never blocks on what it prints; lines beyond the ``OutputBudget`` are dropped
/// and summed up. Per wake-up at most ``readBudget`` bytes are read and ``lineBudget`` lines delivered of each stream, so
/// that a flood never holds the loop.
package final class WorkerOutput {
  package enum Stream: Hashable, Sendable, CaseIterable { case output, error }

  /// In bytes.
  static let readBudget = 262_144
  static let lineBudget = 256

  /// Called for each line, without its end; also for a summary of dropped lines. May call ``close()``.
  package var printed: (Stream, String) -> Void = { _, _ in }

  private let loop: EventLoop
  private let budget: OutputBudget
  private var lastLines = OutputTail()
  private var readers: [Stream: PipeReader] = [:]
  private var summary: TimerToken?

  /// Reads from the next wake-up of the loop until the ends of the streams or ``close()``. Both descriptors are pipes
  /// and non-blocking.
  package init(
    loop: EventLoop, output: Descriptor, error: Descriptor, budget: OutputBudget
  ) throws(SystemError) {
    self.loop = loop
    self.budget = budget
    for (stream, descriptor) in [(Stream.output, output), (.error, error)] {
      try watch(PipeReader(descriptor), stream)
    }
  }

  /// Goes on where another image of this program stopped. A stream that had ended is not among `streams`.
  init(
    loop: EventLoop, resuming streams: [Stream: SavedStream], lastLines: [[UInt8]], budget: OutputBudget
  ) throws(SystemError) {
    self.loop = loop
    self.budget = budget
    for line in lastLines { self.lastLines.add(line) }
    for (stream, saved) in streams {
      let reader = PipeReader(try Descriptor.inherited(saved.descriptor))
      reader.splitter = LineSplitter(isSkipping: saved.isSkipping)
      reader.pending = saved.unread[...]
      try watch(reader, stream)
      if !saved.unread.isEmpty { goOnSoon(reader, stream) }
    }
  }

  private func watch(_ reader: PipeReader, _ stream: Stream) throws(SystemError) {
    readers[stream] = reader
    reader.registration = try loop.register(reader.descriptor, events: .read) { [weak self, unowned reader] _ in
      guard !reader.isScheduled else { return }
      self?.wake(stream, Limits(bytes: Self.readBudget, lines: Self.lineBudget))
    }
  }

  /// For another image of this program; nothing is changed here.
  func saved(_ stream: Stream) -> SavedStream? {
    readers[stream].map { reader in
      SavedStream(
        descriptor: reader.descriptor.raw, unread: reader.splitter.partial + reader.pending,
        isSkipping: reader.splitter.isSkipping)
    }
  }

  var lines: [[UInt8]] { lastLines.lines }

  deinit {
    for reader in readers.values { reader.close() }
    guard summary != nil else { return }
    // Nobody listens any more; the next one that has to drop lines tells again.
    loop.cancel(summary)
    _ = budget.takeSummary()
  }

  /// The last lines of both streams in the order they were read, oldest first, also those the budget did not let
  /// through; each cut at ``OutputTail/lineLimit`` bytes.
  package var tail: [String] { lastLines.texts }

  /// Reads all there is now, for use right after the process has ended, so that ``tail`` has its last lines. A last line
  /// without an end is delivered too. Other processes may still hold the pipes: reading goes on.
  package func drain() {
    for stream in Stream.allCases {
      // What a pipe holds at most; a writer that fills it again meanwhile is not waited for. Source: pipe(7).
      wake(stream, Limits(bytes: 1_048_576, lines: .max))
      if let reader = readers[stream], let rest = reader.splitter.rest() { deliver(rest, stream) }
    }
  }

  /// Stops reading and closes the pipes: a process that still prints into them gets EPIPE. Lines dropped by then are
  /// summed up before.
  package func close() {
    for stream in Stream.allCases { end(stream) }
    tellDropped()
  }

  // MARK: Reading

  private struct Limits {
    var bytes: Int
    var lines: Int
  }

  private func wake(_ stream: Stream, _ limits: Limits) {
    var left = limits
    while let reader = readers[stream] {
      process(reader, stream, &left)
      guard reader.pending.isEmpty else { return goOnSoon(reader, stream) }
      // A line may have led to ``close()``.
      guard left.bytes > 0, readers[stream] === reader else { return }
      switch reader.read() {
      case .bytes(let count): left.bytes -= count
      case .nothing: return
      case .end:
        if let rest = reader.splitter.rest() { deliver(rest, stream) }
        return end(stream)
      }
    }
  }

  /// Makes lines of what is pending, up to the limit.
  private func process(_ reader: PipeReader, _ stream: Stream, _ left: inout Limits) {
    while !reader.pending.isEmpty, left.lines > 0 {
      if reader.splitter.isAtLineStart, budget.isExhausted(at: loop.now) {
        dropped(reader.skipLines(butLast: OutputTail.count))
      }
      guard let line = reader.splitter.next(&reader.pending) else { return }
      left.lines -= 1
      deliver(line, stream)
    }
  }

  /// What is left over waits until the other handlers of the loop had their turn, whether or not more comes.
  private func goOnSoon(_ reader: PipeReader, _ stream: Stream) {
    guard !reader.isScheduled else { return }
    reader.isScheduled = true
    loop.deferred { [weak self, weak reader] in
      reader?.isScheduled = false
      self?.wake(stream, Limits(bytes: Self.readBudget, lines: Self.lineBudget))
    }
  }

  private func end(_ stream: Stream) { readers.removeValue(forKey: stream)?.close() }

  // MARK: Delivering

  private func deliver(_ line: [UInt8], _ stream: Stream) {
    lastLines.add(line)
    guard budget.take(at: loop.now) else { return dropped(1) }
    printed(stream, LineSplitter.text(line))
  }

  private func dropped(_ count: Int) {
    guard budget.drop(count) else { return }
    summary = loop.schedule(after: budget.interval) { [weak self] in self?.tellDropped() }
  }

  private func tellDropped() {
    guard summary != nil else { return }
    loop.cancel(summary)
    summary = nil
    if let text = budget.takeSummary() { printed(.error, "[baton] \(text)") }
  }
}
