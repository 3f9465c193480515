internal import CLinux
internal import Glibc
package import LinuxSystem
internal import Synchronization
package import Vocabulary

/// What the ledger answers: records, oldest first, and why they may not be all.
package struct LedgerReading<Record: Sendable>: Sendable {
  package var records: [Record]
  package var error: LedgerError?
}

/// How the ledger ended.
package enum LedgerClosing: Hashable, Sendable {
  /// Everything is in the file, and its log is empty.
  case closed
  /// Closed; the last records could not be written.
  case incomplete(LedgerError)
  /// The disk did not answer in time. What was not written is lost if it never does.
  case timedOut
}

/// The history of a service: events and operations in a SQLite file, written by a thread of its own.
///
/// No call waits for the disk. Records wait in memory while the file cannot be written, at most ``capacity`` of them;
/// then the oldest make place and are counted. Nothing that happens to the file ends the process. Everything that is
/// answered goes through `post`, in the order of the asking, so that the caller's thread can be where it arrives.
///
/// Events survive a crash of the process at once and one of the host a little later; an operation survives both when its
/// completion is called. The newest 10,000 events and 1,000 operations are kept. While the ledger is open no other
/// process can read the file.
package final class Ledger: Sendable {
  /// Runs work on the caller's thread.
  package typealias Post = @Sendable (@escaping @Sendable () -> Void) -> Void

  /// Records in memory.
  package static let capacity = 4_096
  private static let questionLimit = 64

  private let path: String
  private let state: LedgerState
  private let post: Post

  /// Starts the thread; the file is opened by it. `news` is called through `post` when writing begins to fail, fails in
  /// another way, and works again.
  /// - Throws: when the thread, or the pipe to it, cannot be made.
  package init(
    path: String, capacity: Int = Ledger.capacity, retryAfter: Duration = .seconds(1), post: @escaping Post,
    news: @escaping @Sendable (LedgerNews) -> Void
  ) throws(SystemError) {
    let state = try LedgerState(capacity: capacity)
    self.path = path
    self.state = state
    self.post = post
    // SQLite needs little stack.
    try HelperThread.start("the ledger", stack: 1 << 19) {
      LedgerThread(path: path, state: state, firstRetry: retryAfter) { item in post { news(item) } }.run()
    }
  }

  deinit {
    let isOpen = state.inbox.withLock { inbox in
      defer { inbox.isClosed = true }
      if inbox.onClosed == nil { inbox.onClosed = { _ in } }
      return !inbox.isClosed
    }
    if isOpen { state.wake() }
  }

  /// /proc/sys/kernel/random/boot_id, or "" where there is none.
  package static func bootID() -> String {
    let bytes = (try? readFile("/proc/sys/kernel/random/boot_id", limit: 256)) ?? []
    return String(decoding: bytes.prefix { $0 > 0x20 }, as: UTF8.self)
  }

  // MARK: Recording

  /// Never waits. `soon` is given what wakes the ledger's thread, when that is due: who has urgent work of its own calls it
  /// behind that.
  package func record(_ event: EventRecord, soon: (@escaping @Sendable () -> Void) -> Void = { $0() }) {
    append(.event(event), soon)
  }

  /// Never waits. `completion` is called when the record is on the disk, or with the reason why it is not yet.
  package func record(_ operation: OperationRecord, completion: (@Sendable (LedgerError?) -> Void)? = nil) {
    append(.operation(operation)) { $0() }
    if let completion { flush(completion) }
  }

  private func append(_ item: LedgerItem, _ soon: (@escaping @Sendable () -> Void) -> Void) {
    let isFirst = state.inbox.withLock { inbox in
      guard !inbox.isClosed else {
        inbox.late += 1
        return false
      }
      inbox.records.append(item)
      return inbox.records.count == 1
    }
    if isFirst { soon { [state] in state.wake() } }
  }

  /// Records that were lost because memory was full or the ledger closed.
  package var lost: UInt64 { state.inbox.withLock { $0.records.dropped + $0.late } }

  // MARK: Asking

  package func events(limit: Int, completion: @escaping @Sendable (LedgerReading<EventRecord>) -> Void) {
    ask({ $0.events(limit: max(0, limit)) }, refused: { LedgerReading(records: [], error: $0) }, completion)
  }

  package func operations(limit: Int, completion: @escaping @Sendable (LedgerReading<OperationRecord>) -> Void) {
    ask({ $0.operations(limit: max(0, limit)) }, refused: { LedgerReading(records: [], error: $0) }, completion)
  }

  /// Calls back when everything recorded so far is in the file, or with the reason why it is not.
  package func flush(_ completion: @escaping @Sendable (LedgerError?) -> Void) {
    ask({ $0.flush() }, refused: { $0 }, completion)
  }

  /// As ``flush(_:)``, and moves SQLite's log into the file.
  package func checkpoint(_ completion: @escaping @Sendable (LedgerError?) -> Void) {
    ask({ $0.checkpoint() }, refused: { $0 }, completion)
  }

  private func ask<Answer: Sendable>(
    _ question: @escaping @Sendable (LedgerThread) -> Answer, refused: (LedgerError) -> Answer,
    _ completion: @escaping @Sendable (Answer) -> Void
  ) {
    let post = post
    let refusal: String? = state.inbox.withLock { inbox in
      if inbox.isClosed { return "it is closed" }
      if inbox.questions.count >= Self.questionLimit { return "\(Self.questionLimit) questions wait already" }
      inbox.questions.append { thread in
        let answer = question(thread)
        post { completion(answer) }
      }
      return nil
    }
    if let refusal {
      let answer = refused(LedgerError(.unavailable, path: path, detail: refusal))
      post { completion(answer) }
    } else {
      state.wake()
    }
  }

  // MARK: Ending

  /// Writes what is left, empties the log, closes the file and ends the thread; calls back once, at `deadline` at the
  /// latest, also when the disk hangs. Nothing is recorded afterwards. A second call is answered `.closed` at once.
  package func close(deadline: Instant, completion: @escaping @Sendable (LedgerClosing) -> Void) {
    let post = post
    let once = OneAnswer { (closing: LedgerClosing) in post { completion(closing) } }
    let isFirst = state.inbox.withLock { inbox in
      guard !inbox.isClosed else { return false }
      inbox.isClosed = true
      inbox.onClosed = { error in once.give(error.map { .incomplete($0) } ?? .closed) }
      return true
    }
    guard isFirst else { return once.give(.closed) }
    state.wake()
    // Somebody must watch the clock while the thread waits for the disk.
    HelperThread.run { once.wait(until: deadline, else: .timedOut) }
  }
}
