import CLinux
import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem

/// What the kernel does with groups, programs and places. Each is a fact the supervisor's core relies on.
@Suite struct SteeringTests {
  typealias Program = SteeringInstructions

  @Test func `a constant selects exactly one, and switching is one call`() throws {
    let (group, address) = try Loopback.group(3)
    for place in [0, 1, 2, 0] {
      try Program.constant(place).attach(to: group[(place + 1) % 3])
      var expected = [0, 0, 0]
      expected[place] = 30
      #expect(try Loopback.tally(30, group, port: address.port) == expected)
    }
  }

  @Test func `a listener joins unseen: the rule of the group holds for it at once`() throws {
    let (group, address) = try Loopback.group(1)
    for _ in 0..<5 {
      let joined = try ListeningSocket.joining(address, datagram: false, Loopback.options)
      #expect(try Loopback.tally(20, group + [joined], port: address.port) == [20, 0])
      joined.close()
    }
  }

  @Test func `when one closes, the last moves into its place`() throws {
    let (group, address) = try Loopback.group(3)
    group[0].close()
    let left = [group[1], group[2]]
    try Program.constant(0).attach(to: group[1])
    #expect(try Loopback.tally(20, left, port: address.port) == [0, 20], "the last one, from place 2")
    try Program.constant(1).attach(to: group[1])
    #expect(try Loopback.tally(20, left, port: address.port) == [20, 0], "who was at place 1 still is")
  }

  @Test func `a copy keeps a closed listener in the group`() throws {
    let (group, address) = try Loopback.group(2)
    let copy = try group[0].duplicate()
    group[0].close()
    #expect(try Loopback.tally(20, [copy, group[1]], port: address.port) == [20, 0])
  }

  @Test
  func `shutdown on a copy takes it out of the group, the loop hears of it, and listening again joins it as last`()
    throws
  {
    let (group, address) = try Loopback.group(3)
    let loop = try EventLoop()
    var left = false
    try loop.register(group[0], events: []) { events in
      left = events.contains(.hangup)
      loop.stop()
    }
    loop.schedule(after: .seconds(10)) { loop.stop() }
    let copy = try group[0].duplicate()
    #expect(shutdown(copy.raw, Int32(SHUT_RDWR)) == 0)
    try loop.run()
    #expect(left && !group[0].isListening)
    #expect(try Loopback.tally(20, [group[1], group[2]], port: address.port) == [0, 20], "the last took its place")
    try ListeningSocket.listenAgain(group[0], Loopback.options)
    #expect(group[0].isListening)
    #expect(try Loopback.tally(20, group, port: address.port) == [0, 0, 20])
    try Program.constant(2).attach(to: group[0])
    #expect(try Loopback.tally(20, group, port: address.port) == [20, 0, 0])
  }

  @Test(arguments: [SocketAddress.InternetAddress.Host.v4(Loopback.v4), .v4([0, 0, 0, 0]), .any])
  func `one that was shut down twice serves again: the second time, which fails, is forgotten too`(
    host: SocketAddress.InternetAddress.Host
  ) throws {
    let (listener, address) = try Loopback.first(host)
    func shutTwice() {
      #expect(shutdown(listener.raw, Int32(SHUT_RDWR)) == 0)
      #expect(shutdown(listener.raw, Int32(SHUT_RDWR)) == -1 && errno == ENOTCONN)
    }
    shutTwice()
    // What listen(2) alone makes of it: a listener whose connections are ended as soon as they are made.
    #expect(Glibc.listen(listener.raw, 16) == 0)
    #expect(try SocketDiagnosis.listeners(onPort: address.port).map(\.isShut) == [true])
    shutTwice()
    try ListeningSocket.listenAgain(listener, Loopback.options)
    #expect(try SocketDiagnosis.listeners(onPort: address.port).map(\.isShut) == [false])
    let client = try Loopback.start(port: address.port)
    try #require(!Loopback.wait([listener], for: POLLIN).isEmpty)
    let server = try #require(try Connection.accept(from: listener))
    #expect(Loopback.wait([client], for: POLLIN, milliseconds: 0).isEmpty, "it is not ended")
    #expect(write(server.raw, "answer", 6) == 6)
    #expect(Loopback.wait([client], for: POLLIN) == [0])
    var buffer = [UInt8](repeating: 0, count: 16)
    #expect(read(client.raw, &buffer, buffer.count) == 6)
  }

  @Test func `a place that does not exist is left to the kernel's hash`() throws {
    let (group, address) = try Loopback.group(2)
    try Program.constant(2).attach(to: group[0])
    let tally = try Loopback.tally(200, group, port: address.port)
    #expect(tally[0] > 20 && tally[1] > 20)
  }

  @Test func `a group of one answers whatever the program says`() throws {
    let (group, address) = try Loopback.group(1)
    try Program.constant(5).attach(to: group[0])
    #expect(try Loopback.tally(20, group, port: address.port) == [20])
  }

  @Test(
    .enabled(if: Loopback.canMark, "needs CAP_NET_ADMIN or CAP_NET_RAW"),
    arguments: [
      SocketAddress.InternetAddress.Host.v4([0, 0, 0, 0]), .v4(Loopback.v4), .v6(Loopback.v6), .any,
    ])
  func `a marked probe meets the candidate through the public port, every client the one that serves`(
    host: SocketAddress.InternetAddress.Host
  ) throws {
    let (group, address) = try Loopback.group(2, host)
    let mark = UInt32.random(in: 1 ... .max)
    try Program.probes(.mark(mark), candidate: 1, serving: 0).attach(to: group[1])
    let hosts: [[UInt8]] =
      switch host {
      case .v4: [Loopback.v4]
      case .v6: [Loopback.v6]
      case .any: [Loopback.v4, Loopback.v6]
      }
    for host in hosts {
      for _ in 0..<30 {
        #expect(try Loopback.met(group, port: address.port, host: host, mark: mark) == 1)
        #expect(try Loopback.met(group, port: address.port, host: host) == 0)
        #expect(try Loopback.met(group, port: address.port, host: host, mark: mark ^ 1) == 0)
      }
    }
  }

  @Test(arguments: [SocketAddress.InternetAddress.Host.v4([0, 0, 0, 0]), .any])
  func `a probe from its own loopback address meets the candidate, without any right`(
    host: SocketAddress.InternetAddress.Host
  ) throws {
    let (group, address) = try Loopback.group(2, host)
    let source: [UInt8] = [127, 9, 8, 7]
    try Program.probes(.source(source), candidate: 1, serving: 0).attach(to: group[1])
    for _ in 0..<30 {
      #expect(try Loopback.met(group, port: address.port, source: source) == 1)
      #expect(try Loopback.met(group, port: address.port, source: [127, 9, 8, 6]) == 0)
      #expect(try Loopback.met(group, port: address.port) == 0)
      if host == .any { #expect(try Loopback.met(group, port: address.port, host: Loopback.v6) == 0) }
    }
  }

  @Test func `a share is about that share`() throws {
    let (group, address) = try Loopback.group(2)
    let program = Program.share(Share(clamping: 500), .source([127, 9, 8, 7]), candidate: 1, serving: 0)
    try program.attach(to: group[0])
    // 100 expected; six standard deviations either way.
    let tally = try Loopback.tally(2_000, group, port: address.port)
    #expect((42...158).contains(tally[1]), "\(tally)")
    #expect(try Loopback.met(group, port: address.port, source: [127, 9, 8, 7]) == 1)
  }

  @Test func `UDP follows a constant, datagram by datagram`() throws {
    let (group, address) = try Loopback.group(2, datagram: true)
    let client = try Loopback.start(port: address.port, datagram: true)
    for place in [0, 1, 0] {
      try Program.constant(place).attach(to: group[0])
      #expect(write(client.raw, "x", 1) == 1)
      #expect(Loopback.wait(group, for: POLLIN) == [place])
      var byte: UInt8 = 0
      #expect(read(group[place].raw, &byte, 1) == 1)
    }
  }

  @Test func `an inherited socket without a group cannot be steered before a second joins behind its shut door`() throws
  {
    // As systemd makes it without ReusePort=.
    let inherited = Descriptor(
      owning: try retrying("socket") { cl_socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue)) })
    let target = KernelAddress(v4: Loopback.v4, port: 0)
    try retrying("bind") { withUnsafePointer(to: target.raw) { cl_bind(inherited.raw, $0) } }
    try ListeningSocket.listenAgain(inherited, Loopback.options)
    let address = Loopback.address(port: try KernelAddress.local(of: inherited).port)
    try inherited.setOption(SOL_SOCKET, CL_SO_REUSEPORT, 1, "SO_REUSEPORT")
    let refusal = #expect(throws: SystemError.self) { try Program.constant(0).attach(to: inherited) }
    #expect(refusal?.errno == EINVAL)

    let joined = try ListeningSocket.joining(address, datagram: false, Loopback.options, behindDoor: true)
    // The group has no program now: without the shut door, half of these would meet the new one.
    // Fewer than the smallest net.core.somaxconn in use, since nobody accepts meanwhile.
    let clients = try (0..<12).map { _ in try Loopback.start(port: address.port) }
    try Program.constant(0).attach(to: joined)
    try ListeningSocket.openDoor(joined)
    var waiting = clients
    while !waiting.isEmpty {
      let ready = Set(Loopback.wait(waiting, for: POLLOUT))
      try #require(!ready.isEmpty, "a client was lost at the shut door")
      waiting = waiting.enumerated().filter { !ready.contains($0.offset) }.map(\.element)
    }
    for client in clients { #expect(client.option(SOL_SOCKET, SO_ERROR) == 0) }
    #expect(!joined.isReadable, "a client met the new one")
    for _ in clients {
      _ = Loopback.wait([inherited], for: POLLIN)
      #expect(try Connection.accept(from: inherited) != nil)
    }
    #expect(try Loopback.tally(20, [inherited, joined], port: address.port) == [20, 0])
  }

  @Test(.enabled(if: geteuid() == 0, "needs root, to make a network namespace"), arguments: [0, 1])
  func `what waits at a closed listener is lost, or with tcp_migrate_req hashed past the program`(migrates: Int) async {
    if migrates == 0 {
      await #expect(processExitsWith: .success) { try MigrationTrial.run(migrates: false) }
    } else {
      await #expect(processExitsWith: .success) { try MigrationTrial.run(migrates: true) }
    }
  }

  @Test(.enabled(if: geteuid() == 0, "needs root, to become another user"))
  func `another user's listener cannot be joined`() async {
    await #expect(processExitsWith: .success) {
      let (first, address) = try Loopback.first()
      try #require(seteuid(65_534) == 0)
      let refusal = #expect(throws: ListenError.self) {
        _ = try ListeningSocket.joining(address, datagram: false, Loopback.options)
      }
      guard case .cannotJoin = refusal else { throw SystemError("expect cannotJoin", errno: 0) }
      withExtendedLifetime(first) {}
    }
  }
}

/// Fifty connections wait at A, everyone is steered to B, C is unproven, and A is closed.
private enum MigrationTrial {
  static func run(migrates: Bool) throws {
    try #require(unshare(CLONE_NEWNET_) == 0)
    try bringLoopbackUp()
    let value = migrates ? "1" : "0"
    let file = try Descriptor.open("/proc/sys/net/ipv4/tcp_migrate_req", flags: O_WRONLY)
    try retrying("write tcp_migrate_req") { write(file.raw, value, 1) }

    let (group, address) = try Loopback.group(3)
    let clients = try (0..<50).map { _ in try Loopback.start(port: address.port) }
    for client in clients { try #require(!Loopback.wait([client], for: POLLOUT).isEmpty) }
    let port = address.port
    let inode = group[0].inode
    while try SocketDiagnosis.listeners(onPort: port).first(where: { $0.inode == inode })?.queued != 50 {}
    try SteeringInstructions.constant(1).attach(to: group[1])
    group[0].close()

    var met = [0, 0]
    for (index, listener) in group.dropFirst().enumerated() {
      while try Connection.accept(from: listener) != nil { met[index] += 1 }
    }
    let lost = clients.filter { client in
      var byte: UInt8 = 0
      return read(client.raw, &byte, 1) == -1 && errno == ECONNRESET
    }.count
    if migrates {
      // That B gets any is by hash; that C, which the program never names, does is the trap.
      try #require(met[0] + met[1] == 50 && met[1] > 5, "\(met)")
    } else {
      try #require(met == [0, 0] && lost == 50, "\(met) \(lost)")
    }
  }

  private static func bringLoopbackUp() throws {
    let socket = Descriptor(owning: try retrying("socket") { cl_socket(AF_INET, Int32(SOCK_DGRAM.rawValue)) })
    // struct ifreq: 16 bytes of name, then the flags; SIOCSIFFLAGS, IFF_UP.
    var request = [UInt8](repeating: 0, count: 40)
    request.replaceSubrange(0..<2, with: Array("lo".utf8))
    request[16] = 1
    try retrying("bring lo up") { ioctl(socket.raw, 0x8914, &request) }
  }
}

private let CLONE_NEWNET_: Int32 = 0x4000_0000
@_silgen_name("unshare") private func unshare(_ flags: Int32) -> Int32
