import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem

@Suite(.serialized) struct SpawnTests {
  @Test func `output, arguments and an environment of exactly what was said`() throws {
    let run = try Child.run("/usr/bin/env", environment: ["A": "1", "B": "two words"])
    #expect(run.status == 0)
    #expect(run.lines.sorted() == ["A=1", "B=two words"])
  }

  @Test func `the child's own pid stands in LISTEN_PID`() throws {
    let run = try Child.run("/bin/sh", "-c", "echo $$ $LISTEN_PID $WATCHDOG_PID", environment: ["LISTEN_PID": "1"]) {
      $0.pidVariables = ["LISTEN_PID", "WATCHDOG_PID"]
    }
    #expect(run.lines == ["\(run.pid) \(run.pid) \(run.pid)"])
  }

  @Test func `descriptors are gap-free from 3, whatever their numbers are here, and there is none besides`() throws {
    let directory = try ScratchDirectory()
    var sources: [Descriptor] = []
    for index in 0..<5 {
      sources.append(try Descriptor.open("\(directory.path)/\(index)", flags: O_RDWR | O_CREAT, mode: 0o600))
    }
    // Reversed, so that sources lie on each other's targets; and one twice.
    let given = sources.reversed() + [sources[0]]
    let run = try Child.run(
      "/bin/sh", "-c", "for fd in 3 4 5 6 7 8; do readlink /proc/$$/fd/$fd; done; ls /proc/$$/fd; :",
      environment: ["PATH": "/usr/bin:/bin"]
    ) { $0.descriptors = given }
    #expect(run.lines.prefix(6) == ["4", "3", "2", "1", "0", "0"].map { "\(directory.path)/\($0)" }[...])
    #expect(Set(run.lines.dropFirst(6)) == Set((0...8).map(String.init)))
  }

  @Test func `empty signal mask and default handlers, though all is blocked and SIGPIPE ignored here`() throws {
    SignalSource.ignoreBrokenPipes()
    let mask = SignalSource.blockAll()
    defer { SignalSource.restoreMask(mask) }
    let run = try Child.run("/bin/cat", "/proc/self/status")
    for field in ["SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"] {
      #expect(run.lines.first { $0.hasPrefix(field) } == "\(field):\t0000000000000000")
    }
  }

  @Test func `session, directory, umask, limits, no new privileges`() throws {
    let run = try Child.run(
      "/bin/sh", "-c",
      "echo $$; cut -d' ' -f5,6 /proc/self/stat; pwd; umask; ulimit -n; ulimit -Hn; "
        + "grep NoNewPrivs /proc/self/status", environment: ["PATH": "/usr/bin:/bin"]
    ) {
      $0.directory = "/usr/share"
      $0.umask = 0o027
      $0.limits = [ResourceLimit(.openFiles, soft: 123, hard: 456)]
      $0.noNewPrivileges = true
    }
    #expect(
      run.lines == ["\(run.pid)", "\(run.pid) \(run.pid)", "/usr/share", "0027", "123", "456", "NoNewPrivs:\t1"])
  }

  @Test(.enabled(if: getuid() == 0, "needs root")) func `another user, group and exactly the groups named`() throws {
    let run = try Child.run("/usr/bin/id") {
      $0.identity = Identity(user: 65_534, group: 65_533, groups: [7, 8])
    }
    let line = try #require(run.lines.first)
    #expect(line.hasPrefix("uid=65534(nobody) gid=65533 groups=65533,7(lp),8(mail)"), "\(line)")
  }

  @Test func `a failure says at which stage, on what and why, and leaves no child and no descriptor`() throws {
    func failure(_ change: (inout SpawnRequest) -> Void) -> String {
      var request = SpawnRequest(program: "/bin/true", arguments: ["true"], environment: [:])
      change(&request)
      do throws(SpawnError) {
        let child = try request.spawn()
        return "started \(child.pid)"
      } catch { return "\(error)" }
    }
    #expect(
      failure {
        $0.program = "./main"
        $0.directory = "/usr"
      } == "exec ./main: ENOENT No such file or directory")
    #expect(failure { $0.directory = "/nowhere" } == "enter directory /nowhere: ENOENT No such file or directory")
    #expect(failure { $0.program = "/etc/passwd" } == "exec /etc/passwd: EACCES Permission denied")
    #expect(
      failure { $0.limits = [ResourceLimit(.openFiles, soft: 2, hard: 1)] }
        == "set limit nofile=2:1: EINVAL Invalid argument")
    #expect(failure { $0.arguments = ["a\0b"] } == "prepare /bin/true: EINVAL Invalid argument")
    #expect(failure { $0.environment = ["A=B": "c"] } == "prepare /bin/true: EINVAL Invalid argument")
    #expect(
      failure {
        $0.cgroup = try? Descriptor.open("/", flags: O_RDONLY | O_DIRECTORY)
      } == "clone into cgroup /bin/true: EBADF Bad file descriptor")
    // Other tests run in this process too: a leak would show as hundreds.
    let before = try openDescriptors().count
    for _ in 0..<200 {
      #expect(failure { $0.program = "/nowhere" } == "exec /nowhere: ENOENT No such file or directory")
    }
    #expect(try openDescriptors().count < before + 100)
  }

  @Test func `a thousand children leave no descriptor and no zombie`() throws {
    let before = try openDescriptors().count
    for _ in 0..<1_000 {
      let child = try SpawnRequest(program: "/bin/true", arguments: ["true"], environment: [:]).spawn()
      var status: Int32 = -1
      #expect(waitpid(child.pid, &status, 0) == child.pid)
      #expect(status == 0)
    }
    #expect(try openDescriptors().count < before + 100)
  }

  @Test func `programs are found in the search path, files that cannot run are not`() throws {
    #expect(findProgram("sh", in: "/", path: "/nowhere:/bin") == "/bin/sh")
    #expect(findProgram("passwd", in: "/", path: "/etc") == nil)
    #expect(findProgram("bin/sh", in: "/usr", path: "") == "/usr/bin/sh")
    #expect(findProgram("./sh", in: "/bin", path: "/etc") == "/bin/./sh")
    #expect(findProgram("", in: "/", path: "/bin") == nil)
  }
}
