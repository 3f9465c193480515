import Glibc
import LinuxSystem
import Synchronization
import Testing
import Vocabulary

@testable import Ledger

@Suite struct LedgerTests {
  let fixture = LedgerFixture()

  @Test func everyFieldReadsBack() async throws {
    let ledger = try WatchedLedger(fixture.path)
    let event = EventRecord(
      time: -5, boot: Ledger.bootID(), monotonic: Instant(nanoseconds: .max), kind: "worker-exited",
      service: try ServiceName("hotgo"), text: "it's \"quoted\" é\u{0}NUL", engine: try EngineName("web"),
      worker: "web.2", generation: GenerationID(.max), release: ReleaseID("r-1"), operation: OperationID("o-1"),
      from: "", to: "b", reason: "signal 9\n", pid: .max)
    let operation = OperationRecord(
      id: OperationID("o-1"), service: try ServiceName("hotgo"), act: "reload", started: 1, ended: 2, state: "failed",
      what: "a", holds: "b", next: "c", generation: GenerationID(7), release: ReleaseID("r"))
    ledger.ledger.record(event)
    ledger.ledger.record(LedgerFixture.event(2))
    ledger.ledger.record(operation)
    #expect(await ledger.events().records == [event, LedgerFixture.event(2)])
    #expect(await ledger.operations().records == [operation])
    #expect(await ledger.close() == .closed)
    let again = try WatchedLedger(fixture.path)
    #expect(await again.events().records == [event, LedgerFixture.event(2)])
    #expect(await again.operations().records == [operation])
    #expect(await again.events().error == nil)
    await again.close()
  }

  @Test func theNewestAreAnswered() async throws {
    let ledger = try WatchedLedger(fixture.path)
    for number in 1...100 { ledger.ledger.record(LedgerFixture.event(number)) }
    #expect(await ledger.events(3).records == [98, 99, 100].map { LedgerFixture.event($0) })
    #expect(await ledger.events(0).records == [])
    #expect(await ledger.events(-1).records == [])
    await ledger.close()
  }

  @Test func whoHasUrgentWorkWakesTheThreadBehindItAndOnce() async throws {
    let ledger = try WatchedLedger(fixture.path)
    var wakes: [@Sendable () -> Void] = []
    for number in 1...3 { ledger.ledger.record(LedgerFixture.event(number)) { wakes.append($0) } }
    #expect(wakes.count == 1)
    // Whoever asks is told all the same.
    #expect(await ledger.events().records == (1...3).map { LedgerFixture.event($0) })
    wakes[0]()
    #expect(await ledger.flush() == nil)
    await ledger.close()
  }

  @Test func anOperationIsReplacedByItsEnd() async throws {
    let ledger = try WatchedLedger(fixture.path)
    ledger.ledger.record(LedgerFixture.operation(1))
    ledger.ledger.record(LedgerFixture.operation(2))
    #expect(await ledger.flush() == nil)
    ledger.ledger.record(LedgerFixture.operation(1, state: "done"))
    #expect(await ledger.operations().records.map(\.state) == ["done", "running"])
    await ledger.close()
  }

  @Test func onlyTheNewestAreKept() async throws {
    let ledger = try WatchedLedger(fixture.path)
    for number in 1...(LedgerStore.eventsKept + 700) {
      ledger.ledger.record(LedgerFixture.event(number))
      if number <= LedgerStore.operationsKept + 200 { ledger.ledger.record(LedgerFixture.operation(number)) }
      // As many as memory takes: none may be lost here.
      if number % 1_000 == 0 { #expect(await ledger.flush() == nil) }
    }
    let events = await ledger.events().records
    #expect(events.count == LedgerStore.eventsKept)
    #expect(
      events.first == LedgerFixture.event(701) && events.last == LedgerFixture.event(LedgerStore.eventsKept + 700))
    let operations = await ledger.operations().records
    #expect(operations.count == LedgerStore.operationsKept && operations.first == LedgerFixture.operation(201))
    #expect(ledger.ledger.lost == 0)
    await ledger.close()
  }

  @Test func longTextsAreCutAtACharacter() {
    let text = String(repeating: "é", count: 5_000)
    let cut = LedgerFixture.event(1, kind: "x").with(reason: text).reason
    #expect(cut?.utf8.count ?? 0 <= EventRecord.textLimit && cut?.hasSuffix("é…") == true)
    #expect(LedgerFixture.event(1).with(reason: "short").reason == "short")
  }

  @Test func manyThreadsRecordAtOnce() async throws {
    let ledger = try WatchedLedger(fixture.path)
    await withTaskGroup { group in
      for thread in 0..<4 {
        group.addTask { for number in 0..<900 { ledger.ledger.record(LedgerFixture.event(thread * 1_000 + number)) } }
      }
    }
    let numbers = await ledger.events().records.map { Int($0.monotonic.nanoseconds) }
    #expect(numbers.count == 3_600 && ledger.ledger.lost == 0)
    for thread in 0..<4 {
      #expect(numbers.filter { $0 / 1_000 == thread } == (0..<900).map { thread * 1_000 + $0 })
    }
    await ledger.close()
  }

  /// Whoever asks is answered where it wants to be, and news go the same way.
  @Test func answersGoThroughPost() async throws {
    let posted = Mutex(0)
    let ledger = try Ledger(
      path: "/nonexistent/x.db",
      post: { work in
        posted.withLock { $0 += 1 }; work()
      }, news: { _ in })
    _ = await withCheckedContinuation { done in ledger.flush { done.resume(returning: $0) } }
    _ = await withCheckedContinuation { done in ledger.events(limit: 1) { done.resume(returning: $0) } }
    let answer = await withCheckedContinuation { done in
      ledger.record(LedgerFixture.operation(1)) { done.resume(returning: $0) }
    }
    #expect(answer?.kind == .noAccess)
    let closing = await withCheckedContinuation { done in
      ledger.close(deadline: Instant.monotonicNow() + .seconds(30)) { done.resume(returning: $0) }
    }
    guard case .incomplete(let error) = closing else { return #expect(closing == .timedOut, "incomplete") }
    #expect(error.kind == .noAccess && "\(error)".contains("/nonexistent/x.db") && "\(error)".contains("ENOENT"))
    #expect(posted.withLock { $0 } == 5)
  }

  // MARK: Ending

  @Test func closingEmptiesTheLog() async throws {
    let ledger = try WatchedLedger(fixture.path)
    ledger.ledger.record(LedgerFixture.event(1))
    #expect(await ledger.checkpoint() == nil)
    ledger.ledger.record(LedgerFixture.event(2))
    #expect(await ledger.close() == .closed)
    #expect(try directoryEntries(fixture.directory) == ["ledger.db"])
    ledger.ledger.record(LedgerFixture.event(3))
    #expect(ledger.ledger.lost == 1)
    #expect(await ledger.flush()?.kind == .unavailable)
    #expect(await ledger.close() == .closed)
  }

  /// The clock ends the wait for a disk; here the file is locked by somebody else.
  @Test func closingEndsAtItsDeadline() async throws {
    let other = try LedgerStore(path: fixture.path)
    try other.write([.event(LedgerFixture.event(1))])
    let ledger = try WatchedLedger(fixture.path)
    ledger.ledger.record(LedgerFixture.event(2))
    #expect(await ledger.close(within: .milliseconds(20)) == .timedOut)
  }

  @Test func aLedgerThatIsLetGoWritesWhatItHas() async throws {
    let path = fixture.path
    do {
      let ledger = try Ledger(path: path, post: { $0() }, news: { _ in })
      ledger.record(LedgerFixture.event(1))
      // Now it holds the file, and nobody else gets it before all is written.
      _ = await withCheckedContinuation { done in ledger.flush { done.resume(returning: $0) } }
      for number in 2...500 { ledger.record(LedgerFixture.event(number)) }
    }
    // The other's thread holds the file until it is done; ours tries until it may.
    let ledger = try WatchedLedger(path)
    while await ledger.flush() != nil {}
    #expect(await ledger.events().records.count == 500)
    await ledger.close()
  }
}

extension EventRecord {
  func with(reason: String) -> EventRecord {
    EventRecord(time: time, boot: boot, monotonic: monotonic, kind: kind, service: service, reason: reason)
  }
}
