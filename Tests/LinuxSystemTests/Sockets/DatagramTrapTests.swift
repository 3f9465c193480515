import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem

/// What asks a UDP socket's place comes into no queue; what clients send does.
@Suite struct DatagramTrapTests {
  @Test(arguments: [[UInt8]](arrayLiteral: Loopback.v4, Loopback.v6))
  func `ours is counted and not received, a client's is`(
    host: [UInt8]
  ) throws {
    let (socket, address) = try Loopback.first(host.count == 4 ? .v4(host) : .v6(host), datagram: true)
    let trap = DatagramTrap()
    try trap.set(on: socket)
    let client = try Loopback.start(port: address.port, host: host, datagram: true)
    let before = try #require(DatagramTrap.dropped(at: socket))
    // Nearly ours in each word, too short to be ours, empty.
    let others =
      (0..<4).map { place in trap.bytes.enumerated().map { $0 == 4 * place ? $1 ^ 1 : $1 } } + [
        Array(trap.bytes.prefix(15)), [],
      ]
    for bytes in [trap.bytes] + others { #expect(send(client.raw, bytes, bytes.count, 0) == bytes.count) }
    try #require(!Loopback.wait([socket], for: POLLIN).isEmpty)
    for bytes in others { #expect(Self.receive(socket) == bytes) }
    #expect(Self.receive(socket) == nil)
    #expect(DatagramTrap.dropped(at: socket) == before + 1)
    // One that was left by somebody who was killed gives way to the next; afterwards all is received.
    try DatagramTrap().set(on: socket)
    DatagramTrap.remove(from: socket)
    #expect(send(client.raw, trap.bytes, trap.bytes.count, 0) == trap.bytes.count)
    try #require(!Loopback.wait([socket], for: POLLIN).isEmpty)
    #expect(Self.receive(socket) == trap.bytes)
  }

  /// nil: nothing waits.
  private static func receive(_ socket: Descriptor) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = recv(socket.raw, &buffer, buffer.count, 0)
    return count < 0 ? nil : Array(buffer.prefix(count))
  }

  @Test func `a filter of the service's own is left alone`() throws {
    let (socket, _) = try Loopback.first(datagram: true)
    let raw = socket.raw
    try retrying("attach") { Loopback.attachForeignFilter(raw) }
    #expect(throws: SystemError.self) { try DatagramTrap().set(on: socket) }
  }
}
