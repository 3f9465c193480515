import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem
@testable import SupervisorRuntime

@Suite struct ProbeConnectionTests {
  let loop: EventLoop

  init() throws { loop = try EventLoop() }

  func connect(_ target: ProbeTarget, timeout: Duration = .seconds(5)) throws -> ProbeResult {
    let answers = Answers()
    TCPProbe(loop: loop, target: target, timeout: timeout, completion: answers.take).start()
    #expect(answers.all.isEmpty, "answered from inside start")
    try loop.run { !answers.all.isEmpty }
    try loop.settle()
    #expect(answers.all.count == 1)
    return answers.all[0]
  }

  @Test func connectingIsAYes() throws {
    let scratch = try ScratchDirectory()
    let servers = [
      try TinyServer(loop, []), try TinyServer(loop, v6: true, []), try TinyServer(loop, path: "\(scratch.path)/s", []),
    ]
    for server in servers { #expect(try connect(server.target) == .passed) }
  }

  @Test func whyThereIsNoConnectionIsSaid() throws {
    let scratch = try ScratchDirectory()
    let server = try TinyServer(loop, [])
    server.stop()
    #expect(try connect(server.target) == .failed("connection refused"))
    #expect(
      try connect(.unix(path: "\(scratch.path)/none")) == .failed("there is no socket at \(scratch.path)/none"))
    let stale = try TinyServer(loop, path: "\(scratch.path)/stale", [])
    stale.stop()
    #expect(try connect(stale.target) == .failed("connection refused"))
    #expect(
      try connect(.unix(path: "/" + String(repeating: "x", count: 108))).isPassed == false)
    #expect(
      try connect(.tcp(.init(host: .v4([255, 255, 255, 255]), port: 1)))
        == .failed("cannot connect to 255.255.255.255:1: ENETUNREACH Network is unreachable"))
  }

  @Test func aFullQueueIsWaitedForUntilTheDeadline() throws {
    let scratch = try ScratchDirectory()
    let full = try TinyServer(loop, path: "\(scratch.path)/full", backlog: 0, [])
    // The queue of a Unix socket holds one more than its backlog.
    #expect(try connect(full.target) == .passed)
    #expect(
      try connect(full.target, timeout: .milliseconds(70))
        == .failed("no connection within 70ms: its queue is full, nobody accepts"))
    let answers = Answers()
    TCPProbe(loop: loop, target: full.target, timeout: .seconds(10), completion: answers.take).start()
    try loop.settle()
    #expect(answers.all.isEmpty)
    _ = try full.start()
    try loop.run { !answers.all.isEmpty }
    #expect(answers.all == [.passed])
  }

  @Test func aFullQueueOfAPortEndsAtTheDeadline() throws {
    let full = try TinyServer(loop, backlog: 0, [])
    var last = ProbeResult.passed
    // How many fit is the kernel's affair.
    for _ in 0..<4 where last == .passed { last = try connect(full.target, timeout: .milliseconds(70)) }
    #expect(
      last
        == .failed(
          "no connection within 70ms: its queue is full and nobody accepts, or a filter drops what is sent"))
  }

  /// The kernel may give our end the very port we ask for; then TCP connects the socket with itself.
  @Test func aSocketConnectedToItselfIsNoListener() throws {
    let type = Int32(SOCK_STREAM.rawValue)
    let socket = Descriptor(owning: Glibc.socket(AF_INET, type, 0))
    #expect(ProbeTarget.with(ProbeTarget.v4([127, 0, 0, 1], port: 0)) { bind(socket.raw, $0, $1) } == 0)
    let port = try KernelAddress.local(of: socket).port
    #expect(ProbeTarget.with(ProbeTarget.v4([127, 0, 0, 1], port: port)) { Glibc.connect(socket.raw, $0, $1) } == 0)
    #expect(ProbeConnection.isConnectedToItself(socket))

    let server = try TinyServer(loop, [])
    let other = Descriptor(owning: Glibc.socket(AF_INET, type, 0))
    #expect(try server.target.withSocketAddress { Glibc.connect(other.raw, $0, $1) } == 0)
    #expect(!ProbeConnection.isConnectedToItself(other))
    // Both ends of a Unix socket without a name have the same name.
    var pair: [Int32] = [-1, -1]
    #expect(socketpair(AF_UNIX, type, 0, &pair) == 0)
    #expect(!ProbeConnection.isConnectedToItself(Descriptor(owning: pair[0])))
    close(pair[1])
  }

  @Test func cancelledBeforeItIsConnectedIsSilent() throws {
    let scratch = try ScratchDirectory()
    let full = try TinyServer(loop, path: "\(scratch.path)/full", backlog: 0, [])
    #expect(try connect(full.target) == .passed)
    for server in [full, try TinyServer(loop, [])] {
      let answers = Answers()
      let probe = TCPProbe(loop: loop, target: server.target, timeout: .milliseconds(30), completion: answers.take)
      probe.start()
      probe.cancel()
      var isLater = false
      loop.schedule(after: .milliseconds(60)) { isLater = true }
      try loop.run { isLater }
      #expect(answers.all.isEmpty)
    }
  }
}
