import Glibc
import LinuxSystem
import Supervision
import Systemd
import Testing
import Vocabulary

@testable import SupervisorRuntime

/// What systemd keeps of a life is never older than its last decision.
@Suite struct CrashMemoryTests {
  @Test func whatCannotBeWrittenIsTakenBackUntilItCan() throws {
    let scratch = try ScratchDirectory()
    let manager = try NotifyServer(path: "\(scratch.path)/notify")
    func heard() -> [String] {
      var bytes = [UInt8](repeating: 0, count: 4096)
      var all: [String] = []
      while case let count = recv(manager.descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT)), count > 0 {
        all.append(String(decoding: bytes[..<count], as: UTF8.self))
      }
      return all
    }
    let memory = try CrashMemory(
      left: nil,
      manager: ManagerLink(loop: EventLoop(), client: NotifyClient(address: manager.path), watchdog: nil),
      service: ServiceName(unchecked: "shop"), version: "0.1.0")
    var reports = 0
    memory.report = { _ in reports += 1 }
    #expect(heard() == ["FDSTORE=1\nFDNAME=baton-state\nFDPOLL=0\n"])
    #expect(memory.descriptor != nil)

    // More than a slot takes.
    var dice = StateDice(seed: 1)
    let state = try dice.state()
    let large = try #require(state.generations.last)
    let tooLarge = ResolvedGeneration(
      id: large.id, settings: large.settings, release: large.release,
      releaseDirectory: String(repeating: "/d", count: SlottedMemory.limit / 2), accounts: large.accounts)
    for _ in 0..<2 { memory.keep(state.core) { $0 == tooLarge.id ? tooLarge : nil } }
    #expect(heard() == ["FDSTOREREMOVE=1\nFDNAME=baton-state\n"])
    #expect(memory.descriptor == nil)
    #expect(reports == 1)

    memory.keep(Supervisor(seed: 1)) { _ in nil }
    #expect(heard() == ["FDSTORE=1\nFDNAME=baton-state\nFDPOLL=0\n"])
    #expect(memory.descriptor != nil)
  }
}
