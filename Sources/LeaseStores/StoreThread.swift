internal import Glibc
package import Leases
package import LinuxSystem
internal import Synchronization
package import Vocabulary

/// A store on a thread of its own, so that a disk or a network that hangs keeps nobody from ending an engine in time.
///
/// Opened at the first question, and again after each that could not be asked.
package final class StoreThread: Sendable {
  private struct Inbox: Sendable {
    var questions: [Question] = []
    var listener: Reply<[LeaseName]?>?
    /// How it is opened from now on, where that has changed.
    var opening: Opening?
    var isClosed = false
  }

  private struct Question: Sendable {
    let exchange: ExchangeID
    let request: StoreRequest
    /// Nobody waits for the answer any more: not asked then.
    let until: BootInstant
    let reply: Reply<Result<StoreAnswer, StoreError>>
  }

  private let inbox = Mutex(Inbox())
  private let sleeper: Descriptor
  private let wakeUp: Descriptor
  package typealias Opening = @Sendable () throws(StoreError) -> any LeaseStore

  package init(_ open: @escaping Opening) throws(SystemError) {
    (sleeper, wakeUp) = try Descriptor.pipe(nonblockingReader: true)
    try wakeUp.setNonblocking(true)
    try HelperThread.start("the store of leases") { [self] in run(open) }
  }

  package func ask(
    _ exchange: ExchangeID, _ request: StoreRequest, until: BootInstant,
    reply: Reply<Result<StoreAnswer, StoreError>>
  ) {
    inbox.withLock {
      $0.questions.append(Question(exchange: exchange, request: request, until: until, reply: reply))
    }
    wake()
  }

  /// `reply` gets the next news, which may be about all leases (nil).
  package func listen(_ reply: Reply<[LeaseName]?>) {
    inbox.withLock { $0.listener = reply }
    wake()
  }

  /// The next question is asked of the same store, opened in this way.
  package func reopen(_ open: @escaping Opening) {
    inbox.withLock { $0.opening = open }
    wake()
  }

  /// What waits is not asked any more, and the thread ends when the question under way has its answer.
  package func close() {
    inbox.withLock { $0.isClosed = true }
    wake()
  }

  private func wake() {
    var byte: UInt8 = 1
    // A full pipe has woken the thread already.
    _ = write(wakeUp.raw, &byte, 1)
  }

  // MARK: - The thread

  private func run(_ first: @escaping Opening) {
    var open = first
    var store: (any LeaseStore)?
    while true {
      var bytes = [UInt8](repeating: 0, count: 64)
      while read(sleeper.raw, &bytes, bytes.count) > 0 {}
      let (questions, opening) = inbox.withLock { inbox in
        defer { (inbox.questions, inbox.opening) = ([], nil) }
        return (inbox.isClosed ? nil : inbox.questions, inbox.opening)
      }
      guard let questions else { return }
      if let opening {
        open = opening
        store = nil
      }
      for question in questions { answer(question, &store, open) }
      rest(store)
    }
  }

  private func answer(_ question: Question, _ store: inout (any LeaseStore)?, _ open: Opening) {
    guard BootInstant.now() < question.until else { return question.reply.abandon() }
    do throws(StoreError) {
      let asked: any LeaseStore
      if let store { asked = store } else { asked = try open() }
      store = asked
      question.reply.send(.success(try asked.ask(question.exchange, question.request)))
    } catch {
      store = nil
      question.reply.send(.failure(error))
    }
  }

  private func rest(_ store: (any LeaseStore)?) {
    let isHeard = inbox.withLock { $0.listener != nil }
    var entries = [pollfd(fd: sleeper.raw, events: Int16(POLLIN), revents: 0)]
    if isHeard, let news = store?.news { entries.append(pollfd(fd: news.raw, events: Int16(POLLIN), revents: 0)) }
    // EINTR is a wake-up like any other.
    _ = poll(&entries, nfds_t(entries.count), -1)
    guard entries.count > 1, entries[1].revents != 0, let store else { return }
    let news = store.takeNews()
    if news?.isEmpty == true { return }
    let listener = inbox.withLock { inbox in
      defer { inbox.listener = nil }
      return inbox.listener
    }
    listener?.send(news)
  }
}
