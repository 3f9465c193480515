import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import Ledger

/// Whatever happens to the file: one report, nothing lost that fits in memory, and writing goes on when it can.
@Suite(.timeLimit(.minutes(2))) struct LedgerTroubleTests {
  let fixture = LedgerFixture()

  private func expectFailing(
    _ ledger: WatchedLedger, _ kind: LedgerError.Kind, sourceLocation: SourceLocation = #_sourceLocation
  ) async {
    guard case .failing(let error) = await ledger.nextNews() else {
      Issue.record("no failure", sourceLocation: sourceLocation)
      return
    }
    #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
    #expect("\(error)".contains(error.remedy), sourceLocation: sourceLocation)
  }

  @Test func recordsWaitInMemoryAndAreWrittenLater() async throws {
    let directory = "\(fixture.directory)/later"
    let ledger = try WatchedLedger("\(directory)/ledger.db", capacity: 100)
    for number in 1...300 { ledger.ledger.record(LedgerFixture.event(number)) }
    ledger.ledger.record(LedgerFixture.operation(1))
    await expectFailing(ledger, .noAccess)
    let waiting = await ledger.events()
    #expect(waiting.error?.kind == .noAccess && waiting.records.last == LedgerFixture.event(300))
    #expect(await ledger.flush()?.kind == .noAccess)
    #expect(await ledger.operations().records == [LedgerFixture.operation(1)])
    #expect(mkdir(directory, 0o755) == 0)
    // The failure was told once, although it was tried often; the next news is that it works.
    let lost = ledger.ledger.lost
    guard case .recovered(let told) = await ledger.nextNews() else { return #expect(Bool(false), "not recovered") }
    #expect(told <= lost && lost <= 201)
    let written = await ledger.events()
    #expect(written.error == nil)
    #expect(written.records == waiting.records)
    #expect(written.records.map(\.monotonic) == written.records.map(\.monotonic).sorted())
    await ledger.close()
  }

  @Test func aDamagedFile() async throws {
    fixture.write("ledger.db", Array(repeating: 0x5A, count: 10_000))
    let ledger = try WatchedLedger(fixture.path)
    ledger.ledger.record(LedgerFixture.event(1))
    await expectFailing(ledger, .corrupt)
    #expect(await ledger.events().records == [LedgerFixture.event(1)])
    // As the remedy says.
    #expect(rename(fixture.path, fixture.path + ".bad") == 0)
    #expect(await ledger.nextNews() == .recovered(lost: 0))
    #expect(await ledger.events().records == [LedgerFixture.event(1)])
    await ledger.close()
  }

  @Test func aFileThatIsDamagedInTheMiddle() async throws {
    let first = try WatchedLedger(fixture.path)
    for number in 1...2_000 { first.ledger.record(LedgerFixture.event(number)) }
    await first.close()
    var bytes = try readFile(fixture.path, limit: 10_000_000)
    for index in stride(from: 8_192, to: bytes.count, by: 3) { bytes[index] = 0xFF }
    fixture.write("ledger.db", bytes)
    let ledger = try WatchedLedger(fixture.path)
    ledger.ledger.record(LedgerFixture.event(1))
    await expectFailing(ledger, .corrupt)
    await ledger.close()
  }

  @Test func filesThatAreNotOurs() async throws {
    let other = try Database(path: fixture.path)
    try other.run("CREATE TABLE secrets(x); INSERT INTO secrets VALUES(1)")
    let foreign = try WatchedLedger(fixture.path)
    await expectFailing(foreign, .foreign)
    await foreign.close()
    #expect(try other.integer("SELECT count(*) FROM secrets") == 1)
    #expect(try other.integer("SELECT count(*) FROM sqlite_schema") == 1)

    let path = "\(fixture.directory)/newer.db"
    try LedgerStore(path: path).write([.event(LedgerFixture.event(1))])
    try Database(path: path).run("PRAGMA user_version = 99")
    let newer = try WatchedLedger(path)
    await expectFailing(newer, .newer)
    await newer.close()
    #expect(try Database(path: path).integer("PRAGMA user_version") == 99)
  }

  @Test func anOlderFileIsBroughtForward() async throws {
    let old = try Database(path: fixture.path)
    try old.run(LedgerSchema.migrations[0])
    try old.run("PRAGMA application_id = \(LedgerSchema.applicationID); PRAGMA user_version = 1")
    try old.run(
      "INSERT INTO events(time, boot, monotonic, kind, service, text, generation) VALUES("
        + "1700000000000001, 'boot', 1, 'worker-ready', 'hotgo', 'number 1', 1)")
    let ledger = try WatchedLedger(fixture.path)
    ledger.ledger.record(LedgerFixture.operation(1))
    #expect(await ledger.events().records == [LedgerFixture.event(1)])
    #expect(await ledger.operations().records == [LedgerFixture.operation(1)])
    await ledger.close()
    #expect(try Database(path: fixture.path).integer("PRAGMA user_version") == LedgerSchema.version)
  }

  @Test func aFileThatIsTakenAwayIsMadeAnew() async throws {
    let ledger = try WatchedLedger(fixture.path)
    ledger.ledger.record(LedgerFixture.event(1))
    #expect(await ledger.flush() == nil)
    for name in try directoryEntries(fixture.directory) { #expect(unlink("\(fixture.directory)/\(name)") == 0) }
    ledger.ledger.record(LedgerFixture.event(2))
    #expect(await ledger.flush() == nil)
    #expect(await ledger.close() == .closed)
    let again = try WatchedLedger(fixture.path)
    #expect(await again.events().records == [LedgerFixture.event(2)])
    await again.close()
  }

  @Test func aDirectoryInItsPlace() async throws {
    let ledger = try WatchedLedger(fixture.directory)
    ledger.ledger.record(LedgerFixture.event(1))
    await expectFailing(ledger, .noAccess)
    #expect(await ledger.close() != .closed)
  }

  // MARK: Real disks

  private static let mayMount = geteuid() == 0 && run("/bin/mount", "--version") == 0

  @Test(.enabled(if: mayMount, "needs root, to mount a small disk")) func aFullDisk() async throws {
    let disk = "\(fixture.directory)/disk"
    #expect(mkdir(disk, 0o755) == 0)
    try #require(run("/bin/mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk) == 0)
    defer { _ = run("/bin/umount", "-l", disk) }
    let ledger = try WatchedLedger("\(disk)/ledger.db")
    ledger.ledger.record(LedgerFixture.event(1))
    #expect(await ledger.flush() == nil)
    fill("\(disk)/ballast")
    for number in 2...3_000 { ledger.ledger.record(LedgerFixture.event(number)) }
    await expectFailing(ledger, .full)
    let meanwhile = await ledger.events()
    #expect(meanwhile.records.last == LedgerFixture.event(3_000))
    #expect(unlink("\(disk)/ballast") == 0)
    #expect(run("/bin/mount", "-o", "remount,size=8m", disk) == 0)
    #expect(await ledger.nextNews() == .recovered(lost: 0))
    let records = await ledger.events().records
    #expect(records == (1...3_000).map { LedgerFixture.event($0) })
    #expect(await ledger.close() == .closed)
  }

  private func fill(_ path: String) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    let block = [UInt8](repeating: 0, count: 4_096)
    while write(descriptor, block, block.count) > 0 {}
    close(descriptor)
  }

  @Test(.enabled(if: mayMount, "needs root, to mount a read-only disk")) func aReadOnlyDisk() async throws {
    let disk = "\(fixture.directory)/disk"
    #expect(mkdir(disk, 0o755) == 0)
    try #require(run("/bin/mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk) == 0)
    defer { _ = run("/bin/umount", "-l", disk) }
    try LedgerStore(path: "\(disk)/ledger.db").write([.event(LedgerFixture.event(1))])
    #expect(run("/bin/mount", "-o", "remount,ro", disk) == 0)
    let ledger = try WatchedLedger("\(disk)/ledger.db")
    ledger.ledger.record(LedgerFixture.event(2))
    await expectFailing(ledger, .readOnly)
    #expect(run("/bin/mount", "-o", "remount,rw", disk) == 0)
    #expect(await ledger.nextNews() == .recovered(lost: 0))
    #expect(await ledger.events().records.count == 2)
    await ledger.close()
  }

  // MARK: kill -9

  /// What was acknowledged before the kill is there after it, and the file is whole.
  @Test(arguments: [1, 7, 40, 150]) func killedInTheMiddleOfWriting(_ acknowledged: Int) async throws {
    let path = fixture.path
    let result = await #expect(processExitsWith: .signal(SIGKILL)) {
      [path = path as String, acknowledged = acknowledged as Int] in
      let ledger = try WatchedLedger(path)
      for number in 1...100_000 {
        ledger.ledger.record(LedgerFixture.event(number))
        ledger.ledger.record(LedgerFixture.operation(number)) { error in
          // On the ledger's thread, with more waiting behind.
          if error == nil, number >= acknowledged { kill(getpid(), SIGKILL) }
        }
        if number % 20 == 0 { _ = await ledger.flush() }
      }
    }
    #expect(result != nil)
    let ledger = try WatchedLedger(path)
    let operations = await ledger.operations()
    #expect(operations.error == nil)
    let ids = Set(operations.records.map(\.id))
    for number in 1...acknowledged { #expect(ids.contains(OperationID("reload-\(number)")), "\(number)") }
    let events = await ledger.events().records
    #expect(events == (1...max(1, events.count)).map { LedgerFixture.event($0) })
    ledger.ledger.record(LedgerFixture.event(events.count + 1))
    #expect(await ledger.close() == .closed)
  }
}
