import ControlProtocol
import ControlServer
import Foundation
import Glibc
import JSON
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

  /// What a caller of another user and with these groups gets in reply.
  private func asUser(
    _ uid: UInt32, gid: UInt32, groups: [UInt32], _ path: String, _ request: Request
  ) throws -> String {
    let script = """
      import socket, sys
      s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])
      s.sendall(sys.argv[2].encode() + b"\\0")
      got = b""
      while not got.endswith(b"\\0"): got += s.recv(65536) or sys.exit("hung up")
      print(got[:-1].decode())
      """
    let list = groups.isEmpty ? ["--clear-groups"] : ["--groups", groups.map(String.init).joined(separator: ",")]
    let run = try ProgramRun(
      URL(filePath: "/usr/bin/setpriv"),
      ["--reuid", "\(uid)", "--regid", "\(gid)"] + list
        + ["/usr/bin/python3", "-c", script, path, request.call.json.text])
    #expect(run.status == 0, "\(run.errors)")
    return run.output
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
      .scale(engine: web, workers: 1, wait: false), .signal(engine: web, signal: "KILL"), .upgrade(wait: false),
      .environment(engine: web, reveal: true),
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
