import Glibc
import Testing

@testable import LinuxSystem

@Suite struct ConnectionTests {
  @Test func `a connection is taken with the credentials and groups of who made it`() throws {
    let directory = try ScratchDirectory()
    let path = "\(directory.path)/s"
    let listener = try ListeningSocket.unix(
      path, .init(backlog: 8, nonblocking: true), mode: 0o600, owner: nil, group: nil)
    #expect(try Connection.accept(from: listener) == nil)
    let client = try Connection.open(path: path)
    let server = try #require(try Connection.accept(from: listener))
    #expect(server.isCloseOnExec && server.isNonblocking && client.isCloseOnExec && client.isNonblocking)
    #expect(try server.peerCredentials() == PeerCredentials(pid: getpid(), user: geteuid(), group: getegid()))
    var own = [gid_t](repeating: 0, count: 1_024)
    let count = getgroups(Int32(own.count), &own)
    #expect(try Set(server.peerGroups()) == Set(own.prefix(Int(count))))
    #expect(write(client.raw, "x", 1) == 1)
    #expect(server.isReadable)
  }

  @Test func `a path where nobody listens refuses, and says so`() throws {
    let directory = try ScratchDirectory()
    let failure = #expect(throws: SystemError.self) { _ = try Connection.open(path: "\(directory.path)/none") }
    #expect(failure?.errno == ENOENT)
    _ = try ListeningSocket.unix(
      "\(directory.path)/stale", .init(backlog: 8, nonblocking: true), mode: 0o600, owner: nil, group: nil)
    let stale = #expect(throws: SystemError.self) { _ = try Connection.open(path: "\(directory.path)/stale") }
    #expect(stale?.name == "ECONNREFUSED")
  }

  @Test func `the two ends of a pair speak to each other`() throws {
    let (left, right) = try Connection.pair()
    #expect(write(left.raw, "x", 1) == 1)
    #expect(right.isReadable && !left.isReadable)
  }
}
