import Glibc
import Testing

@testable import Systemd

@Suite(.serialized) struct NotifyClientTests {
  @Test func severalAssignmentsTravelInOneDatagram() throws {
    let manager = try MockSocket()
    let client = try NotifyClient(address: manager.path)
    #expect(client.send(.ready, .status("serving generation 3"), .mainPID(42)) == nil)
    #expect(try manager.nextText() == "READY=1\nSTATUS=serving generation 3\nMAINPID=42\n")
    #expect(try manager.next() == nil)
  }

  @Test func reloadingCarriesItsTimeInTheSameDatagram() throws {
    let manager = try MockSocket()
    let client = try NotifyClient(address: manager.path)
    let before = NotifyClient.monotonicMicroseconds()
    #expect(client.send(.reloading(monotonicMicroseconds: nil)) == nil)
    let text = try #require(try manager.nextText())
    let lines = text.split(separator: "\n")
    #expect(lines.first == "RELOADING=1")
    let time = try #require(lines.last?.split(separator: "=").last.flatMap { UInt64($0) })
    #expect(lines.last?.hasPrefix("MONOTONIC_USEC=") == true)
    #expect((before...NotifyClient.monotonicMicroseconds()).contains(time))
  }

  @Test func aStatusCannotForgeAnotherAssignment() throws {
    let manager = try MockSocket()
    let client = try NotifyClient(address: manager.path)
    #expect(client.send(.status("bad\nMAINPID=1\r\u{1b}[2J\u{7f}")) == nil)
    #expect(try manager.nextText() == "STATUS=bad MAINPID=1  [2J \n")
  }

  @Test(arguments: [10, 1021, 1022, 1023, 1024, 1025, 5000])
  func aStatusIsBoundedAndStaysText(length: Int) throws {
    let client = Notification.status(String(repeating: "a", count: length - 1) + "é").lines
    #expect(client.utf8.count <= "STATUS=\n".utf8.count + Notification.statusLimit)
    #expect(client.hasSuffix(length < 1024 ? "é\n" : "…\n"))
    #expect(!client.contains("\u{fffd}"))
  }

  @Test func storedDescriptorsArriveUnderTheirName() throws {
    let manager = try MockSocket()
    let client = try NotifyClient(address: manager.path)
    #expect(client.storeDescriptors([0, manager.descriptor], name: "http.3", poll: false) == nil)
    let message = try #require(try manager.next())
    defer { for raw in message.descriptors { close(raw) } }
    #expect(String(decoding: message.bytes, as: UTF8.self) == "FDSTORE=1\nFDNAME=http.3\nFDPOLL=0\n")
    #expect(message.descriptors.count == 2)
    var sent = stat()
    var received = stat()
    #expect(fstat(manager.descriptor, &sent) == 0 && fstat(message.descriptors[1], &received) == 0)
    #expect(sent.st_ino == received.st_ino)
    #expect(fcntl(message.descriptors[1], F_GETFD) & FD_CLOEXEC != 0)
    #expect(client.removeDescriptors(name: "http.3") == nil)
    #expect(try manager.nextText() == "FDSTOREREMOVE=1\nFDNAME=http.3\n")
  }

  /// systemd, which takes what comes in its order, does not keep one descriptor under two names.
  @Test func aRenamedDescriptorIsForgottenUnderItsOldNameFirst() throws {
    let manager = try MockSocket()
    let client = try NotifyClient(address: manager.path)
    #expect(client.renameDescriptor(manager.descriptor, from: "http.3", to: "http.4", poll: false) == nil)
    #expect(try manager.nextText() == "FDSTOREREMOVE=1\nFDNAME=http.3\n")
    let message = try #require(try manager.next())
    defer { for raw in message.descriptors { close(raw) } }
    #expect(String(decoding: message.bytes, as: UTF8.self) == "FDSTORE=1\nFDNAME=http.4\nFDPOLL=0\n")
    #expect(message.descriptors.count == 1)
    #expect(client.renameDescriptor(manager.descriptor, from: "a:b", to: "http.4") != nil)
    #expect(try manager.next() == nil)
  }

  @Test(arguments: ["", "a:b", "a\\b", "a\nb", "ä", String(repeating: "n", count: 256)])
  func namesTheManagerWouldNotTakeAreRefusedHere(name: String) throws {
    let manager = try MockSocket()
    let client = try NotifyClient(address: manager.path)
    guard case .invalid? = client.storeDescriptors([0], name: name)?.cause else {
      Issue.record("\(name) was accepted")
      return
    }
    #expect(try manager.next() == nil)
  }

  @Test func descriptorCountsTheKernelWouldRefuseAreRefusedHere() throws {
    let manager = try MockSocket()
    let client = try NotifyClient(address: manager.path)
    #expect(client.storeDescriptors([], name: "none") != nil)
    #expect(client.storeDescriptors([Int32](repeating: 0, count: 254), name: "many") != nil)
    #expect(client.storeDescriptors([Int32](repeating: 0, count: 253), name: "many") == nil)
    let message = try #require(try manager.next())
    #expect(message.descriptors.count == 253)
    for raw in message.descriptors { close(raw) }
    #expect(client.send(.barrier) != nil)
  }

  @Test func aBarrierIsOverWhenTheManagerClosesIt() throws {
    let manager = try MockSocket()
    let client = try NotifyClient(address: manager.path)
    let reader = try client.barrier().get()
    defer { close(reader) }
    let message = try #require(try manager.next())
    #expect(String(decoding: message.bytes, as: UTF8.self) == "BARRIER=1\n")
    #expect(message.descriptors.count == 1)
    var waited = pollfd(fd: reader, events: 0, revents: 0)
    #expect(poll(&waited, 1, 0) == 0)
    for raw in message.descriptors { close(raw) }
    #expect(poll(&waited, 1, 1_000) == 1)
    #expect(waited.revents & Int16(POLLHUP) != 0)
  }

  @Test func aBarrierNobodyAnswersEndsInTime() throws {
    let manager = try MockSocket()
    let client = try NotifyClient(address: manager.path)
    #expect(client.barrier(timeout: .milliseconds(20))?.cause == .system(errno: ETIMEDOUT))
    for raw in try #require(try manager.next()).descriptors { close(raw) }
  }

  @Test func aFullQueueIsAnAnswerAndNotAWait() throws {
    let manager = try MockSocket()
    let client = try NotifyClient(address: manager.path)
    var answer: SystemdError?
    for _ in 0..<100_000 where answer == nil { answer = client.send(.watchdog) }
    #expect(answer?.cause == .wouldBlock)
    while try manager.next() != nil {}
    #expect(client.send(.watchdog) == nil)
  }

  @Test func aManagerThatIsGoneIsAnAnswer() throws {
    let client = try NotifyClient(address: "/tmp/systemd-tests-nobody/socket")
    let failure = try #require(client.send(.ready))
    #expect(failure.cause == .system(errno: ENOENT))
    #expect("\(failure)" == "send READY=1 to /tmp/systemd-tests-nobody/socket: ENOENT No such file or directory")
  }

  @Test func abstractAddressesAreReached() throws {
    let name = "@systemd-tests-\(getpid())"
    let raw = try UnixDatagram.makeSocket()
    defer { close(raw) }
    #expect(try UnixAddress(name).withSockaddr { bind(raw, $0, $1) } == 0)
    #expect(try NotifyClient(address: name).send(.ready) == nil)
    #expect(try UnixDatagram.receive(on: raw, capacity: 100)?.bytes == Array("READY=1\n".utf8))
  }

  @Test(arguments: ["vsock:2:1234", "relative", "", "@", "/" + String(repeating: "p", count: 107)])
  func otherAddressesAreRefused(address: String) {
    #expect(throws: SystemdError.self) { try NotifyClient(address: address) }
  }

  @Test func withoutAManagerThereIsNoClientAndNoError() throws {
    unsetenv("NOTIFY_SOCKET")
    let client = try NotifyClient.fromEnvironment()
    #expect(client == nil)
    #expect(client?.send(.ready) == nil)
  }

  @Test func theVariableIsGoneAfterReading() throws {
    let manager = try MockSocket()
    setenv("NOTIFY_SOCKET", manager.path, 1)
    let client = try #require(try NotifyClient.fromEnvironment())
    #expect(getenv("NOTIFY_SOCKET") == nil)
    #expect(client.send(.stopping) == nil)
    #expect(try manager.nextText() == "STOPPING=1\n")
  }

  @Test func quantitiesAreWholeMicrosecondsAndNeverForEver() {
    #expect(Notification.extendTimeout(.milliseconds(1500)).lines == "EXTEND_TIMEOUT_USEC=1500000\n")
    #expect(Notification.extendTimeout(.seconds(-1)).lines == "EXTEND_TIMEOUT_USEC=0\n")
    #expect(Notification.extendTimeout(.seconds(Int64.max)).lines == "EXTEND_TIMEOUT_USEC=\(UInt64.max - 1)\n")
  }
}
