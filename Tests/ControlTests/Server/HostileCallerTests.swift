import ControlClient
import ControlProtocol
import ControlServer
import Glibc
import JSON
import LinuxSystem
import Testing
import Vocabulary

/// Nothing a caller does keeps another from its answer. Serialized: each measures the loop.
@Suite(.serialized) struct HostileCallerTests {
  /// Far above what the loop needs on a loaded machine, far below every timeout of the server.
  private let soon = Duration.seconds(3)

  private func withServer(_ limits: ControlLimits = ControlLimits(), _ body: (ServerHost) throws -> Void) throws {
    var setting = ServerHost.Setting()
    setting.limits = limits
    let host = try ServerHost(setting)
    defer { host.stop() }
    try body(host)
    #expect(try host.timeOfStatus() < soon)
  }

  @Test func halfAMessageCostsNothingAndEndsInTime() throws {
    var limits = ControlLimits()
    limits.patience = .milliseconds(300)
    try withServer(limits) { host in
      let silent = try RawCaller(host.path)
      let half = try RawCaller(host.path)
      half.send("{\"method\":\"io.baton.Serv")
      #expect(try host.timeOfStatus() < soon)
      #expect(half.waitForHangup())
      #expect(silent.waitForHangup())
    }
  }

  /// One byte now and then is no reason to wait longer.
  @Test func tricklingDoesNotBuyTime() throws {
    var limits = ControlLimits()
    limits.patience = .milliseconds(200)
    try withServer(limits) { host in
      let trickle = try RawCaller(host.path)
      let start = Instant.monotonicNow()
      while trickle.send(" ") == 1, .monotonicNow() - start < .seconds(8) { sched_yield() }
      #expect(.monotonicNow() - start < .seconds(8))
    }
  }

  @Test func anEndlessMessageIsCutAtTheLimit() throws {
    try withServer { host in
      let flood = try RawCaller(host.path)
      let piece = [UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20)
      var sent = 0
      for _ in 0..<100 {
        let count = flood.send(piece)
        sent += count
        if count < piece.count { break }
      }
      // The kernel's buffers take some too, but the server took no more than its limit and one read.
      #expect(sent < 2 << 20)
      #expect(flood.waitForHangup())
    }
  }

  @Test(arguments: [
    "\0", "{}\0", "null\0", "GET / HTTP/1.1\r\nHost: x\r\n\r\n\0", "[[[[[[[[\0", "{\"method\":7}\0",
    "\u{16}\u{3}\u{1}\0",
  ])
  func garbageIsHungUpOn(_ garbage: String) throws {
    try withServer { host in
      let caller = try RawCaller(host.path)
      caller.send(garbage)
      #expect(caller.waitForHangup())
    }
  }

  @Test func whoAsksAndNeverReadsIsBounded() throws {
    var limits = ControlLimits()
    limits.patience = .milliseconds(500)
    try withServer(limits) { host in
      let deaf = try RawCaller(host.path)
      var size: Int32 = 4_096
      setsockopt(deaf.descriptor.raw, SOL_SOCKET, SO_RCVBUF, &size, 4)
      let calls = Array(repeatElement(Request.status.call.message, count: 400).joined())
      // Never read: the server stops reading, then hangs up.
      var limit = timeval(tv_sec: 8, tv_usec: 0)
      setsockopt(deaf.descriptor.raw, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
      let start = Instant.monotonicNow()
      while deaf.send(calls) == calls.count, .monotonicNow() - start < .seconds(8) {}
      #expect(try host.timeOfStatus() < soon)
      #expect(host.waitForConnections(0))
      #expect(.monotonicNow() - start < .seconds(8))
    }
  }

  /// While a call is under way what comes behind it waits in the kernel, not in the supervisor.
  @Test func whoWaitsForAnActIsNotReadOn() throws {
    try withServer { host in
      let caller = try RawCaller(host.path)
      caller.send(.reload(wait: true))
      while host.onLoop({ handler, _ in handler.replies.count }) != 1 {}
      var limit = timeval(tv_sec: 0, tv_usec: 300_000)
      setsockopt(caller.descriptor.raw, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
      let calls = Array(repeatElement(Request.getInfo.call.message, count: 100_000).joined())
      #expect(caller.send(calls) < 1 << 20)
      host.onLoop { handler, _ in handler.replies.removeAll() }
    }
  }

  @Test func aFollowerThatDoesNotReadIsCutAtTheLimit() throws {
    var limits = ControlLimits()
    limits.output = 64 * 1024
    try withServer(limits) { host in
      let deaf = try RawCaller(host.path)
      deaf.send(.events(limit: 1, follow: true), more: true)
      while host.onLoop({ handler, _ in handler.sinks.count }) != 1 {}
      let cut = host.onLoop { handler, _ in
        var sent = 0
        while handler.sinks[0].isOpen && sent < 100_000 {
          handler.sinks[0].emit(Sample.events[0])
          sent += 1
        }
        return sent
      }
      #expect(try #require(cut) < 100_000)
      #expect(host.waitForConnections(0))
    }
  }

  @Test func twoHundredConnectionsLeaveRoomForRoot() throws {
    var limits = ControlLimits()
    limits.connections = 32
    try withServer(limits) { host in
      let callers = try (0..<200).map { _ in try RawCaller(host.path) }
      #expect(host.waitForConnections(32))
      // Those beyond the limit hear why, and are gone.
      let refused = try #require(try callers[199].reply())
      #expect(refused.error == "io.baton.Service.Busy")
      #expect(callers[199].waitForHangup())
      #expect { try ControlClient(path: host.path).status() } throws: { ($0 as? ClientError)?.exitStatus == .busy }
      callers[0].descriptor.close()
      #expect(host.waitForConnections(31))
      #expect(try host.timeOfStatus() < soon)
    }
  }

  @Test func manyCallsOfOneCallerDoNotStarveAnother() throws {
    try withServer { host in
      let greedy = try RawCaller(host.path)
      let calls = Array(repeatElement(Request.getInfo.call.message, count: 1_000).joined())
      greedy.send(calls)
      #expect(try host.timeOfStatus() < soon)
      for _ in 0..<1_000 { #expect(try greedy.reply()?.parameters["vendor"] == "baton") }
    }
  }

  /// Random bytes, half-right messages and cut-off ones, from a seed that a failure prints.
  @Test func noSequenceOfBytesStopsTheServer() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix(state: seed)
    let seeds = RouteTests.requests.map(\.call.message) + [Array("{\"method\":\"io.baton.Service.Status\"}\0".utf8)]
    try withServer { host in
      for round in 0..<400 {
        let caller = try RawCaller(host.path)
        var bytes = seeds.randomElement(using: &random) ?? []
        for _ in 0..<Int.random(in: 0...6, using: &random) {
          let place = Int.random(in: 0..<max(bytes.count, 1), using: &random)
          switch Int.random(in: 0..<4, using: &random) {
          case 0 where place < bytes.count: bytes[place] = UInt8.random(in: 0...255, using: &random)
          case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: min(place, bytes.count))
          case 2 where place < bytes.count: bytes.removeSubrange(place..<min(place + 3, bytes.count))
          default: bytes += (seeds.randomElement(using: &random) ?? [])
          }
        }
        caller.send(bytes)
        if round % 7 == 0 { caller.endInput() }
        host.onLoop { handler, _ in handler.replies.removeAll() }
      }
      #expect(try ControlClient(path: host.path).status() == Sample.serving, "seed \(seed)")
    }
  }
}

struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
