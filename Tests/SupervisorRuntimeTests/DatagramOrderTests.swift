import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import SupervisorRuntime

/// The order in which UDP sockets joined is found, however they are given, and nothing of it is received.
@Suite struct DatagramOrderTests {
  @Test(arguments: [[0, 1], [1, 0], [2, 0, 1], [3, 1, 2, 0]]) func isFound(shuffled: [Int]) throws {
    let options = ListeningSocket.Options(backlog: 16, nonblocking: true)
    let loopback = SocketAddress.InternetAddress(host: .v4([127, 0, 0, 1]), port: 0)
    let first = try ListeningSocket.first(loopback, datagram: true, options)
    var address = loopback
    address.port = try KernelAddress.local(of: first).port
    var sockets = [first]
    while sockets.count < shuffled.count {
      sockets.append(try ListeningSocket.joining(address, datagram: true, options))
    }
    let given = shuffled.map { sockets[$0] }
    let order = try #require(DatagramOrder(given, at: address).find())
    #expect(order.map { given[$0].raw } == sockets.map(\.raw))
    #expect(sockets.allSatisfy { !$0.isReadable })
    // When one leaves, the last moves into the gap.
    sockets[0].close()
    let left = given.filter { $0 !== sockets[0] }
    let after = try #require(DatagramOrder(left, at: address).find())
    let expected = sockets.count == 2 ? [sockets[1]] : [sockets[sockets.count - 1]] + sockets[1..<(sockets.count - 1)]
    #expect(after.map { left[$0].raw } == expected.map(\.raw))
  }
}
