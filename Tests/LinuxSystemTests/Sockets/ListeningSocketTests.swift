import CLinux
import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem

@Suite struct ListeningSocketTests {
  @Test func `a taken port is an error that names who has it, though both would share it`() throws {
    let (first, address) = try Loopback.first()
    let refusal = #expect(throws: ListenError.self) {
      _ = try ListeningSocket.first(address, datagram: false, Loopback.options)
    }
    let text = refusal.map { "\($0)" } ?? ""
    #expect(text.contains("127.0.0.1:\(address.port) is taken") && text.contains("(pid \(getpid()))"), "\(text)")
    withExtendedLifetime(first) {}
  }

  @Test func `a taken UDP port is an error too`() throws {
    let (first, address) = try Loopback.first(datagram: true)
    let refusal = #expect(throws: ListenError.self) {
      _ = try ListeningSocket.first(address, datagram: true, Loopback.options)
    }
    let text = refusal.map { "\($0)" } ?? ""
    #expect(text.contains("is taken") && text.contains("(pid \(getpid()))"), "\(text)")
    withExtendedLifetime(first) {}
  }

  @Test(arguments: [false, true]) func `O_NONBLOCK is as told, and no child inherits the socket by accident`(
    nonblocking: Bool
  ) throws {
    let options = ListeningSocket.Options(backlog: 16, nonblocking: nonblocking)
    let first = try ListeningSocket.first(Loopback.address(), datagram: false, options)
    let address = Loopback.address(port: try KernelAddress.local(of: first).port)
    for socket in [first, try ListeningSocket.joining(address, datagram: false, options)] {
      #expect(socket.isNonblocking == nonblocking)
      #expect(socket.isCloseOnExec)
    }
  }

  @Test func `v6 alone leaves v4 to others, both takes both`() throws {
    let (alone, address) = try Loopback.first(.v6([UInt8](repeating: 0, count: 16)))
    let other = try ListeningSocket.first(
      Loopback.address(.v4([0, 0, 0, 0]), port: address.port), datagram: false, Loopback.options)
    #expect(try Loopback.tally(5, [alone, other], port: address.port, host: Loopback.v6) == [5, 0])
    #expect(try Loopback.tally(5, [alone, other], port: address.port) == [0, 5])
    let (both, bothAddress) = try Loopback.first(.any)
    #expect(try Loopback.tally(5, [both], port: bothAddress.port) == [5])
    #expect(try Loopback.tally(5, [both], port: bothAddress.port, host: Loopback.v6) == [5])
  }

  @Test func `a Unix socket has its mode whatever the umask, and a rename switches whom clients meet`() throws {
    let directory = try ScratchDirectory()
    let path = "\(directory.path)/s"
    let before = umask(0o077)
    defer { umask(before) }
    let old = try ListeningSocket.unix(path, Loopback.options, mode: 0o660, owner: nil, group: nil)
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o660)
    let waiting = try Connection.open(path: path)
    let new = try ListeningSocket.unix(path + ".2", Loopback.options, mode: 0o660, owner: nil, group: nil)
    #expect(rename(path + ".2", path) == 0)
    let later = try Connection.open(path: path)
    #expect(try Connection.accept(from: old) != nil, "who waited stays with the old one")
    #expect(try Connection.accept(from: old) == nil)
    #expect(try Connection.accept(from: new) != nil)
    withExtendedLifetime((waiting, later)) {}
  }

  @Test func `a Unix listener that cannot be made leaves nothing at the path`() async {
    await #expect(processExitsWith: .success) {
      let directory = try ScratchDirectory()
      let path = "\(directory.path)/s"
      // Only root may give a file away.
      try #require(chmod(directory.path, 0o777) == 0 && (geteuid() != 0 || seteuid(65_534) == 0))
      // Back to root, where it was, so that the directory can be removed.
      defer { _ = seteuid(getuid()) }
      let refusal = #expect(throws: ListenError.self) {
        _ = try ListeningSocket.unix(path, Loopback.options, mode: 0o600, owner: 1, group: nil)
      }
      let text = refusal.map { "\($0)" } ?? ""
      try #require(text.contains("EPERM"))
      try #require(access(path, F_OK) != 0)
    }
  }

  @Test func `a path that is too long is refused with the limit`() throws {
    let long = "/tmp/" + String(repeating: "x", count: 120)
    let refusal = #expect(throws: ListenError.self) {
      _ = try ListeningSocket.unix(long, Loopback.options, mode: 0o600, owner: nil, group: nil)
    }
    #expect(refusal.map { "\($0)" }?.contains("107 bytes") == true)
  }

  @Test func `a path may be taken from nobody, or from a socket that nobody answers on, and from nothing else`() throws
  {
    let directory = try ScratchDirectory()
    let path = "\(directory.path)/s"
    #expect(ListeningSocket.occupant(of: path) == nil)
    let listener = try ListeningSocket.unix(path, Loopback.options, mode: 0o600, owner: nil, group: nil)
    #expect(ListeningSocket.occupant(of: path)?.contains("pid \(getpid())") == true)
    listener.close()
    #expect(ListeningSocket.occupant(of: path) == nil, "stale")
    unlink(path)
    _ = try Descriptor.open(path, flags: O_WRONLY | O_CREAT, mode: 0o600)
    #expect(ListeningSocket.occupant(of: path) == "a file that is no socket")
  }

  @Test func `an inherited socket is taken only for what it is`() throws {
    let (tcp, address) = try Loopback.first()
    let other = Loopback.address(port: address.port == 1 ? 2 : address.port - 1)
    func refusal(_ descriptor: Descriptor, _ address: SocketAddress) -> String {
      do throws(ListenError) {
        return try ListeningSocket.difference(of: descriptor, from: address) ?? "taken"
      } catch { return "\(error)" }
    }
    #expect(refusal(tcp, .tcp(address)) == "taken")
    #expect(refusal(tcp, .tcp(other)).contains("port \(address.port)"))
    #expect(refusal(tcp, .udp(address)).contains("not a UDP socket"))
    #expect(refusal(tcp, .unix(path: "/run/x")).contains("not a listening Unix socket"))
    #expect(refusal(tcp, .tcp(.init(host: .v4([0, 0, 0, 0]), port: address.port))).contains("127.0.0.1"))
    #expect(shutdown(tcp.raw, Int32(SHUT_RDWR)) == 0)
    #expect(refusal(tcp, .tcp(address)).contains("does not listen"))

    let (both, bothAddress) = try Loopback.first(.any)
    #expect(refusal(both, .tcp(bothAddress)) == "taken")
    let wildcard = [UInt8](repeating: 0, count: 16)
    #expect(refusal(both, .tcp(.init(host: .v6(wildcard), port: bothAddress.port))).contains("IPv4 too"))
    let (six, sixAddress) = try Loopback.first(.v6(wildcard))
    #expect(refusal(six, .tcp(.init(host: .any, port: sixAddress.port))).contains("IPv6 only"))
    let pipe = try Descriptor.pipe()
    #expect(refusal(pipe.reader, .tcp(address)).contains("is no socket"))
  }
}
