internal import Glibc
internal import LinuxSystem
internal import Synchronization
internal import Vocabulary

/// What the ledger's thread and its callers share. The lock is held for a few instructions only, never over a write.
final class LedgerState: Sendable {
  struct Inbox: Sendable {
    var records: RecordQueue
    var questions: [@Sendable (LedgerThread) -> Void] = []
    /// Nothing more is taken; the thread writes what it has, calls this, and ends.
    var onClosed: (@Sendable (LedgerError?) -> Void)?
    var isClosed = false
    /// Records that came after the end.
    var late: UInt64 = 0
  }

  let inbox: Mutex<Inbox>
  /// Written to when there is something new.
  let wakeUp: Descriptor
  let sleeper: Descriptor

  init(capacity: Int) throws(SystemError) {
    inbox = Mutex(Inbox(records: RecordQueue(capacity: capacity)))
    (sleeper, wakeUp) = try Descriptor.pipe(nonblockingReader: true)
    try wakeUp.setNonblocking(true)
  }

  func wake() {
    var byte: UInt8 = 1
    // A full pipe has woken the thread already.
    _ = write(wakeUp.raw, &byte, 1)
  }
}

/// The ledger's own thread: opens, writes, reads and closes the file, and waits for the disk so that nobody else does.
final class LedgerThread {
  private static let batch = 256
  /// So many records at once leave memory behind that is worth giving back.
  private static let burst = 64
  private static let longestRetry = Duration.seconds(60)
  /// Of a burst so much is written at once: a transaction for each record would keep a core busy. The first record after a
  /// pause waits for nothing.
  private static let gathering = Duration.milliseconds(5)

  private let path: String
  private let state: LedgerState
  private let news: @Sendable (LedgerNews) -> Void
  private let firstRetry: Duration
  private var store: LedgerStore?
  /// Taken from the queue and not yet written.
  private var unwritten: [LedgerItem] = []
  private var trouble: LedgerError?
  private var lostBeforeTrouble: UInt64 = 0
  private var retryDelay: Duration
  private var retryAt: Instant?
  private var isMemoryKept = false
  private var writtenAt: Instant?

  init(path: String, state: LedgerState, firstRetry: Duration, news: @escaping @Sendable (LedgerNews) -> Void) {
    self.path = path
    self.state = state
    self.news = news
    self.firstRetry = firstRetry
    retryDelay = firstRetry
  }

  func run() {
    while true {
      gather()
      clearWakeUps()
      if retryAt.map({ $0 <= Instant.monotonicNow() }) ?? true { writeAll() }
      answer()
      if let onClosed = state.inbox.withLock({ $0.isClosed ? $0.onClosed : nil }) { return close(onClosed) }
      sleep()
    }
  }

  // MARK: Waiting

  private func sleep() {
    if isMemoryKept, state.inbox.withLock({ $0.records.count == 0 && $0.questions.isEmpty }) {
      store?.giveMemoryBack()
      isMemoryKept = false
    }
    var entry = pollfd(fd: state.sleeper.raw, events: Int16(POLLIN), revents: 0)
    var timeout: Int32 = -1
    if let retryAt {
      timeout = Int32(clamping: max(0, (retryAt - Instant.monotonicNow()).milliseconds) + 1)
    }
    // EINTR is a wake-up like any other.
    _ = poll(&entry, 1, timeout)
  }

  /// Ends early when somebody asks, or closes.
  private func gather() {
    guard let writtenAt else { return }
    clearWakeUps()
    let left = writtenAt + Self.gathering - Instant.monotonicNow()
    let isAwaited = state.inbox.withLock { !$0.questions.isEmpty || $0.isClosed }
    guard left > .zero, !isAwaited else { return }
    var entry = pollfd(fd: state.sleeper.raw, events: Int16(POLLIN), revents: 0)
    _ = poll(&entry, 1, Int32(clamping: left.milliseconds + 1))
  }

  private func clearWakeUps() {
    var bytes = [UInt8](repeating: 0, count: 512)
    while read(state.sleeper.raw, &bytes, bytes.count) > 0 {}
  }

  // MARK: Writing

  /// Until nothing is left or the disk refuses.
  private func writeAll() {
    do throws(LedgerError) {
      let store = try openStore()
      var written = 0
      while true {
        if unwritten.isEmpty { unwritten = state.inbox.withLock { $0.records.take(Self.batch) } }
        if unwritten.isEmpty { break }
        try store.write(unwritten)
        written += unwritten.count
        unwritten = []
      }
      if written > 0 { writtenAt = .monotonicNow() }
      if written > Self.burst { isMemoryKept = true }
      recovered()
    } catch {
      failed(error)
    }
  }

  private func openStore() throws(LedgerError) -> LedgerStore {
    if let store, store.isInPlace { return store }
    // Closed before the new one is opened: it may be the same file under its old name.
    store = nil
    let opened = try LedgerStore(path: path)
    isMemoryKept = true
    store = opened
    return opened
  }

  private func failed(_ error: LedgerError) {
    // Whatever is wrong may be wrong with the connection too.
    store = nil
    retryAt = Instant.monotonicNow() + retryDelay
    retryDelay = min(retryDelay * 2, Self.longestRetry)
    if trouble == nil { lostBeforeTrouble = state.inbox.withLock { $0.records.dropped } }
    let isNews = trouble?.kind != error.kind
    trouble = error
    if isNews { news(.failing(error)) }
  }

  private func recovered() {
    retryAt = nil
    retryDelay = firstRetry
    guard trouble != nil else { return }
    trouble = nil
    news(.recovered(lost: state.inbox.withLock { $0.records.dropped } - lostBeforeTrouble))
  }

  // MARK: Answering

  private func answer() {
    let questions = state.inbox.withLock { inbox in
      let questions = inbox.questions
      inbox.questions = []
      return questions
    }
    // Who asks wants to know now, also if the next try is not yet due.
    if !questions.isEmpty { writeAll() }
    for question in questions { question(self) }
    if !questions.isEmpty { isMemoryKept = true }
  }

  /// What could not be written, oldest first: it belongs behind what the file holds.
  private var pending: [LedgerItem] { unwritten + state.inbox.withLock { $0.records.items } }

  func events(limit: Int) -> LedgerReading<EventRecord> {
    let waiting = pending.compactMap { if case .event(let record) = $0 { record } else { nil } }
    return reading(waiting, limit) { store, limit throws(LedgerError) in try store.events(limit: limit) }
  }

  func operations(limit: Int) -> LedgerReading<OperationRecord> {
    let waiting = pending.compactMap { if case .operation(let record) = $0 { record } else { nil } }
    let ids = Set(waiting.map(\.id))
    return reading(waiting, limit) { store, limit throws(LedgerError) in
      try store.operations(limit: limit).filter { !ids.contains($0.id) }
    }
  }

  private func reading<Record>(
    _ waiting: [Record], _ limit: Int, _ read: (LedgerStore, Int) throws(LedgerError) -> [Record]
  ) -> LedgerReading<Record> {
    guard let store else { return LedgerReading(records: waiting.suffix(limit), error: trouble) }
    do throws(LedgerError) {
      return LedgerReading(records: (try read(store, limit) + waiting).suffix(limit), error: trouble)
    } catch {
      failed(error)
      return LedgerReading(records: waiting.suffix(limit), error: error)
    }
  }

  /// nil when everything recorded so far is in the file.
  func flush() -> LedgerError? { trouble }

  func checkpoint() -> LedgerError? {
    guard let store else { return trouble }
    do throws(LedgerError) {
      try store.checkpoint()
      return trouble
    } catch {
      failed(error)
      return error
    }
  }

  private func close(_ onClosed: @Sendable (LedgerError?) -> Void) {
    writeAll()
    let error = checkpoint()
    store = nil
    onClosed(error)
  }
}
