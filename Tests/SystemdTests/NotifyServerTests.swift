import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import Systemd

@Suite(.serialized) struct NotifyServerTests {
  private let directory: String

  init() throws {
    directory = try makeDirectory()
  }

  private func withServer(_ body: (NotifyServer, NotifyClient) throws -> Void) throws {
    do {
      let server = try NotifyServer(path: directory + "/web.1")
      try body(server, try NotifyClient(address: server.path))
    }
    #expect(rmdir(directory) == 0, "the server left its socket file behind")
  }

  @Test func messagesArriveWithTheirSender() throws {
    try withServer { server, client in
      #expect(client.send(.ready, .status("hello")) == nil)
      var got: [[Notification]] = []
      let batch = try server.receive(from: { $0.pid == getpid() && $0.uid == getuid() && $0.gid == getgid() }) {
        got.append($1)
      }
      #expect(got == [[.ready, .status("hello")]])
      #expect(batch.accepted == 1 && batch.strangers == 0 && batch.malformed == 0 && !batch.isFull)
    }
  }

  @Test func strangersAreCountedAndNotHeard() throws {
    try withServer { server, client in
      #expect(client.send(.ready) == nil)
      let batch = try server.receive(from: { $0.pid != getpid() }) { _, _ in Issue.record("a stranger was heard") }
      #expect(batch.strangers == 1 && batch.accepted == 0)
    }
  }

  @Test func aFloodIsTakenInPortionsAndBounded() throws {
    try withServer { server, client in
      var sent = 0
      while client.send(.watchdog) == nil { sent += 1 }
      #expect(sent < 100_000, "the queue has no bound")
      var heard = 0
      var full = 0
      while true {
        let batch = try server.receive(limit: 4, from: { _ in true }) { _, _ in heard += 1 }
        #expect(batch.accepted <= 4)
        if !batch.isFull { break }
        full += 1
      }
      #expect(heard == sent)
      #expect(full == sent / 4)
    }
  }

  @Test func datagramsThatDoNotFitAreRejectedWhole() throws {
    try withServer { server, _ in
      let socket = try UnixDatagram.makeSocket()
      defer { close(socket) }
      let large = Array("READY=1\nSTATUS=\(String(repeating: "x", count: 5000))".utf8)
      #expect(UnixDatagram.send(large, on: socket, to: try UnixAddress(server.path)) == nil)
      #expect(UnixDatagram.send([], on: socket, to: try UnixAddress(server.path)) == nil)
      let batch = try server.receive(from: { _ in true }) { _, _ in Issue.record("a cut datagram was heard") }
      #expect(batch.malformed == 2)
    }
  }

  @Test func passedDescriptorsAreNeverKept() throws {
    try withServer { server, client in
      let own = try UnixDatagram.makeSocket()
      defer { close(own) }
      #expect(client.storeDescriptors([Int32](repeating: own, count: 253), name: "a") == nil)
      #expect(client.storeDescriptors([own, own], name: "b") == nil)
      let batch = try server.receive(from: { _ in true }) { _, notifications in
        if case .fileDescriptorStore? = notifications.first { return }
        Issue.record("\(notifications)")
      }
      #expect(batch.accepted == 2)
      #expect(client.storeDescriptors([own, own, own], name: "c") == nil)
      _ = try server.receive(from: { _ in false }) { _, _ in }
      #expect(copies(of: own) == 1)
    }
  }

  @Test func aBarrierEndsAfterEverythingBeforeItWasHandled() throws {
    try withServer { server, client in
      #expect(client.send(.ready) == nil)
      let reader = try client.barrier().get()
      defer { close(reader) }
      var waited = pollfd(fd: reader, events: 0, revents: 0)
      var order: [[Notification]] = []
      _ = try server.receive(from: { _ in true }) {
        order.append($1)
        #expect(poll(&waited, 1, 0) == 0)
      }
      #expect(order == [[.ready], [.barrier]])
      #expect(poll(&waited, 1, 1_000) == 1)
    }
  }

  @Test func aSocketLeftByADeadServerIsReplacedAndALiveOneIsNot() throws {
    let path = directory + "/web.1"
    let dead = try UnixDatagram.makeSocket()
    #expect(try UnixAddress(path).withSockaddr { bind(dead, $0, $1) } == 0)
    #expect(throws: SystemdError.self) { try NotifyServer(path: path) }
    close(dead)
    do {
      // A child that another test has just begun holds a copy of it until it has become its program.
      let deadline = Instant.monotonicNow() + .seconds(10)
      var made: NotifyServer?
      while made == nil, Instant.monotonicNow() < deadline {
        made = try? NotifyServer(path: path)
        sched_yield()
      }
      let server = try #require(made)
      #expect(server.path == path)
      #expect(throws: SystemdError.self) { try NotifyServer(path: path) }
      #expect(try NotifyClient(address: path).send(.ready) == nil)
    }
    #expect(rmdir(directory) == 0)
  }

  @Test func aFileInTheWayIsAnErrorAndStays() throws {
    let path = directory + "/web.1"
    close(open(path, O_CREAT | O_WRONLY, 0o600))
    #expect(throws: SystemdError.self) { try NotifyServer(path: path) }
    #expect(access(path, F_OK) == 0)
    unlink(path)
    rmdir(directory)
  }

  @Test func everyUserMayConnect() throws {
    try withServer { server, _ in
      var status = stat()
      #expect(stat(server.path, &status) == 0)
      #expect(status.st_mode & 0o777 == 0o666)
    }
  }
}
