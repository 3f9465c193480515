import Testing

@testable import Systemd

struct NotificationParserTests {
  /// One of each, so that a case without printer or parser cannot be forgotten: the switch below has no default.
  static let examples: [Notification] = [
    .ready, .reloading(monotonicMicroseconds: 123), .reloading(monotonicMicroseconds: nil), .stopping,
    .status(#"a=b; ü \d\\"#), .errno(13), .busError("org.example.Error"), .exitStatus(3), .mainPID(7), .watchdog,
    .watchdogTrigger, .watchdogInterval(.seconds(10)), .extendTimeout(.milliseconds(5)),
    .fileDescriptorStore(name: "http.1", poll: true), .fileDescriptorStore(name: "pipe", poll: false),
    .fileDescriptorRemove(name: "http.1"), .barrier,
  ]

  @Test(arguments: examples) func whatIsPrintedIsReadBack(notification: Notification) {
    #expect(Notification.parse(Array(notification.lines.utf8)) == [notification])
  }

  @Test func theOrderOfADatagramIsKept() {
    let datagram = "STATUS=almost\nREADY=1\nWATCHDOG=1"
    #expect(Notification.parse(Array(datagram.utf8)) == [.status("almost"), .ready, .watchdog])
  }

  @Test(arguments: [
    "", "\n\n", "READY", "=1", "READY=0", "READY=2", "READY=1 ", " READY=1", "ready=1", "MAINPID=-1", "MAINPID=0",
    "MAINPID=+5", "MAINPID=99999999999999", "ERRNO=x", "WATCHDOG=2", "WATCHDOG_USEC=-1", "EXTEND_TIMEOUT_USEC=infinity",
    "FDSTOREREMOVE=1", "X_MINE=1", "FDNAME=a", "MONOTONIC_USEC=1", "READY\0=1",
  ]) func nonsenseSaysNothing(datagram: String) {
    #expect(Notification.parse(Array(datagram.utf8)) == [])
  }

  @Test func aDatagramAboveTheLimitSaysNothing() {
    let padding = String(repeating: "x", count: Notification.datagramLimit - "READY=1\nSTATUS=".utf8.count)
    #expect(Notification.parse(Array("READY=1\nSTATUS=\(padding)".utf8)).count == 2)
    #expect(Notification.parse(Array("READY=1\nSTATUS=\(padding)x".utf8)) == [])
  }

  /// Random bytes, and valid datagrams with bytes changed: never a trap, and whatever is understood can be printed and
  /// read back to the same.
  @Test(arguments: [1, 2, 3, 0xbad, 0x5eed] as [UInt64]) func fuzzedDatagramsAreReadOrIgnored(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<4_000 {
      var bytes: [UInt8]
      if Bool.random(using: &random) {
        bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in .random(in: 0...255, using: &random) }
      } else {
        bytes = (0..<Int.random(in: 1...5, using: &random)).flatMap { _ in
          Array((Self.examples.randomElement(using: &random)?.lines ?? "").utf8)
        }
        for _ in 0..<Int.random(in: 0...6, using: &random) {
          bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
        }
      }
      for notification in Notification.parse(bytes) {
        switch notification {
        case .status, .busError: continue  // the printer changes what a sender may write raw
        case .fileDescriptorStore(let name, _), .fileDescriptorRemove(let name):
          guard Notification.isValidDescriptorName(name) else { continue }  // the client would not send it
        default: break
        }
        #expect(Notification.parse(Array(notification.lines.utf8)) == [notification], "seed \(seed)")
      }
    }
  }
}
