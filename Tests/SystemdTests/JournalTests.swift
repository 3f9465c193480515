import Glibc
import Testing

@testable import Systemd

struct JournalTests {
  private static let id = MessageID(0x0123_4567_89ab_cdef, 0xf)

  private static func field(_ name: String, _ value: String) throws -> LogField {
    try #require(LogField(name, value))
  }

  @Test func anEntryArrivesWithItsFields() throws {
    let socket = try MockSocket()
    let journal = try Journal(path: socket.path, always: [try Self.field("SYSLOG_IDENTIFIER", "batond")])
    let entry = LogEntry(
      .notice, "generation 3 serves", id: Self.id, fields: [try Self.field("BATON_GENERATION", "3")])
    #expect(journal.write(entry) == nil)
    #expect(
      try socket.nextText() == """
        PRIORITY=5
        MESSAGE=generation 3 serves
        MESSAGE_ID=0123456789abcdef000000000000000f
        SYSLOG_IDENTIFIER=batond
        BATON_GENERATION=3

        """)
  }

  @Test func aValueWithLineFeedsCannotForgeAField() throws {
    let socket = try MockSocket()
    let journal = try Journal(path: socket.path)
    #expect(journal.write(LogEntry(.info, "a\n_PID=1")) == nil)
    let bytes = try #require(try socket.next()).bytes
    #expect(bytes == Array("PRIORITY=6\nMESSAGE\n".utf8) + [8, 0, 0, 0, 0, 0, 0, 0] + Array("a\n_PID=1\n".utf8))
  }

  @Test(arguments: ["", "_PID", "1A", "a", "A B", "Ä", "A=", String(repeating: "A", count: 65)])
  func namesTheJournalWouldNotTakeAreRefused(name: String) { #expect(LogFieldName(name) == nil) }

  @Test func whatDoesNotFitADatagramIsPassedAsSealedMemory() throws {
    let socket = try MockSocket()
    let journal = try Journal(path: socket.path)
    var fields: [LogField] = []
    for _ in 0..<64 { fields.append(try Self.field("LARGE", String(repeating: "x", count: 300_000))) }
    #expect(journal.write(LogEntry(.info, "large", fields: fields)) == nil)
    let message = try #require(try socket.next())
    #expect(message.bytes.isEmpty)
    let file = try #require(message.descriptors.first)
    defer { close(file) }
    var status = stat()
    #expect(fstat(file, &status) == 0)
    #expect(Int(status.st_size) == "PRIORITY=6\nMESSAGE=large\n".utf8.count + 64 * ("LARGE=\n".utf8.count + 256 * 1024))
    #expect(ftruncate(file, 0) == -1 && errno == EPERM)
    #expect(copies(of: file) == 1, "the sender kept its copy")
  }

  @Test func aValueIsCutBetweenCharacters() {
    let text = "x" + String(repeating: "é", count: 200_000)
    let bytes = JournalFormat.bytes(LogEntry(.info, text), always: [])
    #expect(bytes.count < JournalFormat.valueLimit + 100)
    #expect(String(validating: bytes, as: UTF8.self) != nil)
  }

  @Test func aFullJournalDropsAndCounts() throws {
    let socket = try MockSocket()
    let journal = try Journal(path: socket.path)
    var failure: SystemdError?
    for _ in 0..<100_000 where failure == nil { failure = journal.write(LogEntry(.info, "x")) }
    #expect(failure?.cause == .wouldBlock)
    #expect(journal.dropped == 1)
    while try socket.next() != nil {}
    #expect(journal.write(LogEntry(.info, "x")) == nil)
    #expect(journal.dropped == 1)
  }

  @Test func aJournalThatComesBackIsFoundAgain() throws {
    var socket: MockSocket? = try MockSocket()
    let path = try #require(socket?.path)
    let journal = try Journal(path: path)
    #expect(journal.write(LogEntry(.info, "1")) == nil)
    unlink(path)
    #expect(journal.write(LogEntry(.info, "2"))?.cause == .system(errno: ENOENT))
    let again = try UnixDatagram.makeSocket()
    defer { close(again) }
    #expect(try UnixAddress(path).withSockaddr { bind(again, $0, $1) } == 0)
    #expect(journal.write(LogEntry(.info, "3")) == nil)
    #expect(try UnixDatagram.receive(on: again, capacity: 100) != nil)
    socket = nil
  }

  @Test func theStreamIsRecognisedByItsInode() throws {
    let socket = try MockSocket()
    var status = stat()
    #expect(fstat(socket.descriptor, &status) == 0)
    #expect(Journal.isStream(socket.descriptor, named: "\(status.st_dev):\(status.st_ino)"))
    #expect(!Journal.isStream(socket.descriptor, named: "\(status.st_dev):\(status.st_ino + 1)"))
    for text in ["", ":", "1", "1:2:3", "x:y"] { #expect(!Journal.isStream(socket.descriptor, named: text)) }
  }
}

struct PlainLogTests {
  @Test func aLineSaysWhoAndHowBad() {
    let entry = LogEntry(.warning, "cannot keep the listener", origin: "hotgo:")
    #expect(PlainLog.text(entry, levels: .words) == "hotgo: warning: cannot keep the listener\n")
    #expect(PlainLog.text(entry, levels: .numbers) == "<4>hotgo: cannot keep the listener\n")
    #expect(PlainLog.text(LogEntry(.info, "up", origin: "web.2 g3 |"), levels: .words) == "web.2 g3 | up\n")
  }

  @Test func controlCharactersDoNotReachTheTerminal() {
    #expect(PlainLog.text(LogEntry(.info, "\u{1b}]0;x\u{7}"), levels: .words) == #"\x1b]0;x\x07"# + "\n")
  }

  @Test func furtherLinesAreIndentedAndAllAreBounded() {
    #expect(PlainLog.text(LogEntry(.info, "a\nb"), levels: .numbers) == "<6>a\n<6>    b\n")
    for length in [10, 4094, 4095, 4096, 4097, 20_000] {
      let one = PlainLog.text(LogEntry(.info, String(repeating: "x", count: length)), levels: .words)
      #expect(one.utf8.count == min(length + 1, 4096))
      let many = PlainLog.text(LogEntry(.info, String(repeating: "x\n", count: length)), levels: .words)
      #expect(many.utf8.count <= 4096)
    }
  }

  @Test func aReaderThatStallsCostsLinesAndNoTime() throws {
    var ends: [Int32] = [-1, -1]
    #expect(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    let log = PlainLog(descriptor: ends[1])
    let entry = LogEntry(.info, String(repeating: "x", count: 5_000))
    var failure: SystemdError?
    for _ in 0..<10_000 where failure == nil { failure = log.write(entry) }
    #expect(failure?.cause == .wouldBlock)
    #expect(log.dropped == 1)
    #expect(fcntl(ends[1], F_GETFL) & O_NONBLOCK == 0, "the flags belong to whoever shares the pipe")
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    #expect(read(ends[0], &buffer, buffer.count) > 0)
    #expect(log.write(entry) == nil)
  }
}

struct LogTests {
  @Test func withoutAJournalLinesAreWrittenInstead() throws {
    var ends: [Int32] = [-1, -1]
    #expect(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    let socket = try MockSocket()
    let log = Log(
      journal: try Journal(path: socket.path), plain: PlainLog(descriptor: ends[1], levels: .numbers))
    unlink(socket.path)
    #expect(log.write(LogEntry(.error, "lost?")) == nil)
    var buffer = [UInt8](repeating: 0, count: 100)
    let count = read(ends[0], &buffer, buffer.count)
    #expect(String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self) == "<3>lost?\n")
    #expect(log.dropped == 0)
  }
}
