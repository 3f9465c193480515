import ControlProtocol
import JSON
import Ledger
import LinuxSystem
import SupervisorRuntime
import Vocabulary

/// The ledger of one service: every happening goes in, and the history of this life and earlier ones comes out.
final class Records {
  private let ledger: Ledger
  private let service: ServiceName
  private let loop: EventLoop
  private let boot = Ledger.bootID()

  /// The end of the database stage bounds how long a hanging disk may delay the end.
  private static let closeLimit = Duration.seconds(2)

  init(path: String, service: ServiceName, loop: EventLoop, history: History) throws(SystemError) {
    self.service = service
    self.loop = loop
    let inbox = loop.inbox
    // What the ledger says of itself comes on the loop's thread.
    nonisolated(unsafe) let told = history
    ledger = try Ledger(
      path: path, post: { work in inbox.post { _ in work() } },
      news: { news in
        switch news {
        case .failing(let error):
          var happening = Happening(.ledgerUnavailable, "\(error)")
          happening.reason = "\(error)"
          told.add(happening)
        case .recovered(let lost):
          told.add(
            Happening(
              .ledgerRecovered,
              "the ledger can be written again" + (lost == 0 ? "" : "; \(lost) records of its bad time are lost")))
        }
      })
    history.sinks.append { [unowned self] in record($0) }
    history.ledgerCloser = { [ledger, loop] done in
      let reply = loop.reply { (_: LedgerClosing) in done() }
      ledger.close(deadline: .monotonicNow() + Self.closeLimit) { reply.send($0) }
    }
  }

  /// The number of the last entry that is surely in the file.
  private(set) var flushedThrough: UInt64 = 0

  /// Calls back when everything recorded so far is in the file, or cannot be written now, or after `limit`.
  func flush(through number: UInt64, limit: Duration, _ done: @escaping () -> Void) {
    var isDone = false
    let finish = { (isWritten: Bool) in
      if isWritten { self.flushedThrough = max(self.flushedThrough, number) }
      if isDone { return }
      isDone = true
      done()
    }
    let timer = loop.schedule(after: limit) { finish(false) }
    let reply = loop.reply { [loop] (error: LedgerError?) in
      loop.cancel(timer)
      finish(error == nil)
    }
    ledger.flush { reply.send($0) }
  }

  func record(_ entry: History.Entry) {
    let happening = entry.happening
    // A thread that is woken takes a processor: a worker that is started again needs it more.
    ledger.record(
      EventRecord(
        time: entry.wallMicroseconds, boot: boot, monotonic: .monotonicNow(), kind: happening.kind.rawValue,
        service: service, text: happening.text, engine: happening.engine, worker: happening.worker?.label,
        generation: happening.generation, release: happening.release, operation: happening.operation,
        from: happening.from, to: happening.to, reason: happening.reason, pid: happening.pid)
    ) { [loop] wake in loop.deferred(wake) }
  }

  /// The latest events of all lives, oldest first; nil when the ledger cannot be read.
  func latest(_ limit: Int, _ answer: @escaping ([EventReport]?) -> Void) {
    let reply = loop.reply { (reading: LedgerReading<EventRecord>) in
      answer(reading.error == nil ? reading.records.map { EventReport($0) } : nil)
    }
    ledger.events(limit: limit) { reply.send($0) }
  }
}

extension EventReport {
  init(_ record: EventRecord) {
    self.init(
      time: WallTime(microseconds: record.time), kind: record.kind, service: record.service,
      text: record.text ?? record.kind, engine: record.engine, worker: record.worker, generation: record.generation,
      release: record.release, operation: record.operation, from: record.from, to: record.to, reason: record.reason,
      pid: record.pid.map { Int($0) })
  }
}
