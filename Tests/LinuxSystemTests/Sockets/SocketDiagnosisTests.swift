import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem

@Suite struct SocketDiagnosisTests {
  @Test func `every listener of a port is seen, with its inode, user and address, also a stranger's`() throws {
    let (ours, address) = try Loopback.group(2, .v4([0, 0, 0, 0]))
    // Of the same user, on a nearer address: it takes what was meant for 0.0.0.0.
    let stranger = try ListeningSocket.joining(
      Loopback.address(port: address.port), datagram: false, Loopback.options)
    let entries = try SocketDiagnosis.listeners(onPort: address.port)
    #expect(Set(entries.map(\.inode)) == Set((ours + [stranger]).compactMap(\.inode)))
    #expect(entries.allSatisfy { $0.user == geteuid() })
    #expect(entries.first { $0.inode == stranger.inode }?.address == Loopback.v4)
    #expect(try Loopback.tally(10, ours + [stranger], port: address.port) == [0, 0, 10])
  }

  @Test func `v6 listeners and UDP sockets are seen, connected UDP sockets are not`() throws {
    let (six, sixAddress) = try Loopback.first(.v6(Loopback.v6))
    #expect(try SocketDiagnosis.listeners(onPort: sixAddress.port).map(\.inode) == [six.inode])
    let (udp, udpAddress) = try Loopback.first(datagram: true)
    let client = try Loopback.start(port: udpAddress.port, datagram: true)
    let clientPort = try KernelAddress.local(of: client).port
    #expect(try SocketDiagnosis.datagramSockets(onPort: udpAddress.port).map(\.inode) == [udp.inode])
    #expect(try SocketDiagnosis.datagramSockets(onPort: clientPort).isEmpty)
  }

  @Test func `the queue of a listener is counted`() throws {
    let (listener, address) = try Loopback.first()
    let clients = try (0..<7).map { _ in try Loopback.start(port: address.port) }
    for client in clients { try #require(!Loopback.wait([client], for: POLLOUT).isEmpty) }
    // The last step of a handshake is the server's alone.
    let deadline = Instant.monotonicNow() + .seconds(10)
    var queued = 0
    while queued < 7, Instant.monotonicNow() < deadline {
      queued = try SocketDiagnosis.listeners(onPort: address.port).first?.queued ?? 0
    }
    #expect(queued == 7)
    withExtendedLifetime(listener) {}
  }

  @Test func `half-open connections are seen by their peer, and gone when complete`() throws {
    let (listener, address) = try Loopback.first()
    // The kernel then completes a handshake only when the client has sent something.
    try listener.setOption(Int32(IPPROTO_TCP), TCP_DEFER_ACCEPT, 5, "TCP_DEFER_ACCEPT")
    let client = try Loopback.start(port: address.port)
    try #require(!Loopback.wait([client], for: POLLOUT).isEmpty)
    let peer = SocketDiagnosis.Peer(address: Loopback.v4, port: try KernelAddress.local(of: client).port)
    #expect(try SocketDiagnosis.halfOpen(at: address) == [peer])
    #expect(!listener.isReadable)
    #expect(write(client.raw, "x", 1) == 1)
    try #require(!Loopback.wait([listener], for: POLLIN).isEmpty)
    #expect(try SocketDiagnosis.halfOpen(at: address).isEmpty)
  }

  @Test func `when a connection was ended by this end is seen, and none that the client ended`() throws {
    let (listener, address) = try Loopback.first()
    let clients = try (0..<4).map { _ in try Loopback.start(port: address.port) }
    for client in clients { try #require(!Loopback.wait([client], for: POLLOUT).isEmpty) }
    var taken: [Descriptor] = []
    while taken.count < 4 {
      try #require(!Loopback.wait([listener], for: POLLIN).isEmpty)
      taken.append(try #require(try Connection.accept(from: listener)))
    }
    clients[3].close()
    try #require(!Loopback.wait([taken[3]], for: POLLIN).isEmpty)
    #expect(try SocketDiagnosis.ended(onPort: address.port).isEmpty)
    let before = Instant.monotonicNow()
    for one in taken { one.close() }
    for client in clients.prefix(3) { try #require(!Loopback.wait([client], for: POLLIN).isEmpty) }
    // One of the clients ends as well: the connection is kept all the same.
    clients[0].close()
    // A client's kernel may take its time to acknowledge the end.
    var ends: [Instant] = []
    while ends.count < 3, Instant.monotonicNow() < before + .seconds(10) {
      ends = try SocketDiagnosis.ended(onPort: address.port)
    }
    #expect(ends.count == 3)
    // The kernel's tick is 10 ms at the longest.
    let range = (before + .milliseconds(-20))...(.monotonicNow() + .milliseconds(20))
    #expect(ends.allSatisfy { range.contains($0) }, "\(ends) \(range)")
  }

  @Test func `connections of which the kernel does not say are not counted as none`() throws {
    let (listener, address) = try Loopback.first()
    let client = try Loopback.start(port: address.port)
    try #require(!Loopback.wait([listener], for: POLLIN).isEmpty)
    let taken = try #require(try Connection.accept(from: listener))
    #expect(ConnectionCensus(of: [.tcp(address)]).count(heldBy: [getpid()]) == 1)
    let blind = ConnectionCensus(of: [.tcp(address)]) { (_) throws(SystemError) in
      throw SystemError("list the sockets on port", "\(address.port)", errno: EAFNOSUPPORT)
    }
    #expect(blind.count(heldBy: [getpid()]) == nil)
    #expect(blind.failure?.errno == EAFNOSUPPORT)
    // Nobody could be connected where there is no address.
    #expect(ConnectionCensus(of: [.udp(address)]).count(heldBy: [getpid()]) == 0)
    withExtendedLifetime((client, taken)) {}
  }

  @Test func `hundreds of sockets of a port do not overflow the answer`() throws {
    let (group, address) = try Loopback.group(300)
    #expect(try Set(SocketDiagnosis.listeners(onPort: address.port).map(\.inode)) == Set(group.compactMap(\.inode)))
  }
}
