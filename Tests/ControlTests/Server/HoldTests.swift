import ControlClient
import ControlProtocol
import ControlServer
import Foundation
import Glibc
import JSON
import LinuxSystem
import Testing
import Vocabulary

/// Reloads that hold, over a real socket.
@Suite struct HoldTests {
  private static let hold = Request.reload(wait: true, release: ReleaseID("r1"), hold: .seconds(60))

  @Test func theCallerHearsThatItIsHeldThenTheVerdict() throws {
    let host = try ServerHost()
    defer { host.stop() }
    let holder = try ControlClient(path: host.path)
    try holder.begin(Self.hold)
    try wait(for: "reload r1", host)
    _ = host.onLoop { handler, _ in
      let held = Progress.Held(generation: GenerationID(2), release: ReleaseID("r1"), limit: .seconds(60))
      handler.replies[0].progress("it waits", held: held)
    }
    guard case .progress(let news) = try holder.news(patience: .seconds(10)) else {
      Issue.record("no progress")
      return
    }
    #expect(news.held?.generation == GenerationID(2) && news.held?.limit == .seconds(60))
    let other = try ControlClient(path: host.path)
    try other.commit(news.operation)
    _ = host.onLoop { handler, _ in handler.replies[0].finish(Sample.refused) }
    #expect(try holder.news(patience: .seconds(10)) == .verdict(Sample.refused))
    #expect(host.onLoop { handler, _ in handler.asked } == ["reload r1", "commit"])
  }

  @Test func aCallerThatLeavesIsNoticedOnce() throws {
    let host = try ServerHost()
    defer { host.stop() }
    var holder: ControlClient? = try ControlClient(path: host.path)
    try holder?.begin(Self.hold)
    try wait(for: "reload r1", host)
    holder = nil
    try wait(for: "caller left", host)
    #expect(host.waitForConnections(0))
    _ = host.onLoop { handler, _ in handler.replies[0].finish(Sample.refused) }
    #expect(host.onLoop { handler, _ in handler.asked } == ["reload r1", "caller left"])
  }

  @Test func aCallerThatLeavesAfterTheVerdictIsNobodysLoss() throws {
    let host = try ServerHost()
    defer { host.stop() }
    var holder: ControlClient? = try ControlClient(path: host.path)
    try holder?.begin(Self.hold)
    try wait(for: "reload r1", host)
    _ = host.onLoop { handler, _ in handler.replies[0].finish(Sample.refused) }
    _ = try holder?.news(patience: .seconds(10))
    holder = nil
    #expect(host.waitForConnections(0))
    #expect(host.onLoop { handler, _ in handler.asked } == ["reload r1"])
  }

  @Test func whatIsNotHeldIsSaid() throws {
    let host = try ServerHost()
    defer { host.stop() }
    let client = try ControlClient(path: host.path)
    #expect(throws: ClientError.refused(.notHeld(OperationID("other")))) { try client.commit(OperationID("other")) }
  }

  @Test func aSocketComesBesideTheReply() throws {
    let host = try ServerHost()
    defer { host.stop() }
    let client = try ControlClient(path: host.path)
    let (way, socket) = try client.probe(OperationID("reload-1"), socket: SocketName(unchecked: "http"))
    #expect(way.host == "127.0.0.1" && way.port == 8_000 && way.descriptor == 0)
    let passed = try #require(socket)
    #expect(passed.isCloseOnExec)
    var buffer = [UInt8](repeating: 0, count: 16)
    #expect(read(passed.raw, &buffer, 16) == 9 && buffer.starts(with: Array("candidate".utf8)))
    let (path, none) = try client.probe(OperationID("reload-1"), socket: SocketName(unchecked: "local"))
    #expect(path.path == "/run/x.sock" && none == nil)
  }

  /// The descriptor is the caller's alone: nothing stays open on the other side.
  @Test func theServerKeepsNoCopy() throws {
    let host = try ServerHost()
    defer { host.stop() }
    let client = try ControlClient(path: host.path)
    let count = { (try? directoryEntries("/proc/self/fd"))?.count ?? 0 }
    _ = try client.probe(OperationID("reload-1"), socket: SocketName(unchecked: "http"))
    let before = count()
    for _ in 0..<50 { _ = try client.probe(OperationID("reload-1"), socket: SocketName(unchecked: "http")) }
    #expect(count() < before + 25, "other tests open some, but not fifty")
  }

  @Test func waitingEndsOnRequest() throws {
    let host = try ServerHost()
    defer { host.stop() }
    let client = try ControlClient(path: host.path)
    try client.begin(Self.hold)
    let (reader, writer) = try Descriptor.pipe()
    write(writer.raw, "x", 1)
    #expect(throws: ClientError.interrupted) { try client.news(interrupt: reader) }
  }

  private func wait(for word: String, _ host: ServerHost) throws {
    let deadline = Instant.monotonicNow() + .seconds(10)
    while Instant.monotonicNow() < deadline {
      if host.onLoop({ handler, _ in handler.asked.contains(word) }) == true { return }
      sched_yield()
    }
    Issue.record("\(word) was never heard")
  }
}
