import ControlProtocol
import ControlServer
import Glibc
import LinuxSystem
import Testing
import Vocabulary

@Suite struct AccessTests {
  private func caller(_ uid: UInt32, gid: UInt32 = 100, groups: [UInt32] = []) -> Caller {
    Caller(pid: 1, uid: uid, gid: gid, groups: groups)
  }

  @Test func rootAndOperatorsChangeOthersRead() {
    let policy = AccessPolicy(supervisor: 0, serviceUsers: [500], operators: 900)
    #expect(policy.access(of: caller(0)) == .reveal)
    #expect(policy.access(of: caller(1_000)) == .read)
    #expect(policy.access(of: caller(1_000, groups: [4, 900])) == .change)
    #expect(policy.access(of: caller(1_000, gid: 900)) == .change)
  }

  /// A worker that was taken over must not command its supervisor, whatever its groups say.
  @Test func theServicesOwnUserOnlyReads() {
    let policy = AccessPolicy(supervisor: 0, serviceUsers: [500], operators: 900)
    #expect(policy.access(of: caller(500)) == .read)
    #expect(policy.access(of: caller(500, gid: 900, groups: [900])) == .read)
  }

  /// batond run by a person in a terminal: everything is that person's.
  @Test func aSupervisorThatIsNotRootObeysItsOwnUser() {
    let policy = AccessPolicy(supervisor: 1_000, serviceUsers: [1_000], operators: nil)
    #expect(policy.access(of: caller(1_000)) == .reveal)
    #expect(policy.access(of: caller(1_001)) == .read)
    #expect(policy.access(of: caller(1_001, gid: 900)) == .read)
  }

  /// Runs `body` in a child of another user, with the given group, and returns its exit status.
  private func asUser(_ uid: UInt32, gid: UInt32, groups: [UInt32], _ path: String, _ request: Request) throws -> String
  {
    let message = request.call.message
    let ends = try Descriptor.pipe()
    let pid = cFork()
    if pid == 0 {
      // Only system calls from here: this is a fork of a program with threads.
      guard groups.withUnsafeBufferPointer({ setgroups($0.count, $0.baseAddress) }) == 0, setgid(gid) == 0,
        setuid(uid) == 0
      else { _exit(9) }
      let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { space in
        for (index, byte) in path.utf8.enumerated() { space[index] = byte }
      }
      let connected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
      guard connected == 0, write(descriptor, message, message.count) == message.count else { _exit(8) }
      withUnsafeTemporaryAllocation(byteCount: 4_096, alignment: 1) { buffer in
        let count = read(descriptor, buffer.baseAddress, buffer.count)
        _ = write(ends.writer.raw, buffer.baseAddress, max(count, 0))
      }
      _exit(0)
    }
    ends.writer.close()
    let answer = try readAll(ends.reader, "a child")
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    #expect(status == 0)
    return String(decoding: answer.prefix { $0 != 0 }, as: UTF8.self)
  }

  @Test(.enabled(if: geteuid() == 0, "needs root: makes callers of other users"))
  func theKernelSaysWhoCalls() throws {
    let operators: UInt32 = 54_321
    var setting = ServerHost.Setting()
    setting.supervisor = 0
    setting.serviceUsers = [50_002]
    setting.operators = operators
    let host = try ServerHost(setting)
    defer { host.stop() }
    let web = EngineName(unchecked: "web")
    let stranger = { request in try asUser(50_001, gid: 50_001, groups: [], host.path, request) }
    #expect(try stranger(.status).hasPrefix("{\"parameters\":{\"service\":\"hotgo\""))
    for request: Request in [
      .reload(wait: false), .restart(wait: false), .stop(now: true, wait: false),
      .scale(engine: web, workers: 1, wait: false), .environment(engine: web, reveal: true),
    ] {
      #expect(try stranger(request).contains("io.baton.Service.NotAllowed"), "\(request)")
    }
    let names = try stranger(.environment(engine: web, reveal: false))
    #expect(names.contains("\"name\":\"SECRET\"") && !names.contains("value"))
    #expect(host.onLoop { handler, _ in handler.asked } == [])

    // By a supplementary group, which SO_PEERCRED alone does not show.
    let operatorSays = try asUser(50_001, gid: 50_001, groups: [operators], host.path, .reload(wait: false))
    #expect(operatorSays.contains("\"outcome\":\"accepted\""))
    let operatorAsks = try asUser(
      50_001, gid: 50_001, groups: [operators], host.path, .environment(engine: web, reveal: true))
    #expect(operatorAsks.contains("NotAllowed"))
    let worker = try asUser(50_002, gid: operators, groups: [operators], host.path, .reload(wait: false))
    #expect(worker.contains("NotAllowed"))
  }
}

/// fork(2) is hidden from Swift; the child above makes system calls only.
@_silgen_name("fork") private func cFork() -> Int32
