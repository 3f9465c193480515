import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem

/// Whatever a worker does, all it started is known and can be ended. The scripts are the worst programs people run.
@Suite struct ContainmentTests {
  static let isRoot = geteuid() == 0 && CgroupDirectory.mount != nil

  @Test func `a worker is empty only when the last of its processes has gone`() async {
    await #expect(processExitsWith: .success) {
      let nursery = try Nursery()
      let worker = try nursery.start("sleep 1000 & echo $!; exit 0")
      let child = try #require(Int32(try worker.line()))
      #expect(!worker.containment.isEmpty)
      try nursery.reap { nursery.isReaped(worker) }
      try #require(!worker.containment.isEmpty, "the child lives")
      try #require(worker.containment.members().map(\.pid) == [child])
      try #require(worker.containment.contains(child))
      worker.containment.killAll()
      try nursery.reap { worker.containment.isEmpty }
      try #require(!isAlive(child))
    }
  }

  @Test func `a leader that ended keeps its number until it is reaped, and has none from then on`() async {
    await #expect(processExitsWith: .success) {
      let nursery = try Nursery()
      let worker = try nursery.start("exit 0")
      let leader = try Descriptor.process(worker.pid)
      try #require(!Loopback.wait([leader], for: POLLIN).isEmpty)
      try #require(!isAlive(worker.pid) && !leader.isReaped && !worker.containment.isEmpty)
      try nursery.reap { nursery.isReaped(worker) }
      try #require(leader.isReaped && worker.containment.isEmpty)
    }
  }

  @Test func `one that forks twice and makes a session of its own is found by its environment`() async {
    await #expect(processExitsWith: .success) {
      let nursery = try Nursery()
      let worker = try nursery.start(#"setsid sh -c 'sh -c "echo \$\$; sleep 1000; :" &'; exit 0"#)
      let runaway = try #require(Int32(try worker.line()))
      try nursery.reap { nursery.isReaped(worker) }
      try #require(getsid(runaway) != worker.pid)
      try #require(!worker.containment.isEmpty && worker.containment.contains(runaway))
      worker.containment.killAll()
      try nursery.reap { worker.containment.isEmpty }
      try #require(!isAlive(runaway))
    }
  }

  @Test func `one that cleared its environment is found below its parents`() async {
    await #expect(processExitsWith: .success) {
      let nursery = try Nursery()
      // The leader ends; the subshell stays in its session and has the runaway below it.
      let worker = try nursery.start(
        "(env -i setsid sh -c 'echo $$; exec sleep 1000' & wait) & exit 0")
      let runaway = try #require(Int32(try worker.line()))
      try #require(worker.containment.members().contains { $0.pid == runaway })
      try nursery.reap { nursery.isReaped(worker) }
      try #require(worker.containment.members().contains { $0.pid == runaway })
      worker.containment.killAll()
      try nursery.reap { worker.containment.isEmpty }
      try #require(!isAlive(runaway))
    }
  }

  @Test func `stopped processes die too`() async {
    await #expect(processExitsWith: .success) {
      let nursery = try Nursery()
      let worker = try nursery.start("sleep 1000 & echo $!; kill -STOP $! $$")
      let child = try #require(Int32(try worker.line()))
      worker.containment.killAll()
      try nursery.reap { worker.containment.isEmpty }
      try #require(!isAlive(child) && nursery.isReaped(worker))
    }
  }

  @Test func `what it forks while it is being killed dies too`() async {
    await #expect(processExitsWith: .success) {
      let nursery = try Nursery()
      let worker = try nursery.start(
        "echo on; i=0; while [ $i -lt 300 ]; do setsid sleep 1000 & i=$((i+1)); done; wait")
      try #require(try worker.line() == "on")
      worker.containment.killAll()
      try nursery.reap { worker.containment.isEmpty }
      try #require(worker.containment.members().isEmpty)
      try #require(ProcessTree.descendants(of: getpid()).filter(isAlive).isEmpty)
    }
  }

  @Test func `another worker's orphans are left alone`() async {
    await #expect(processExitsWith: .success) {
      let nursery = try Nursery()
      let script = #"sleep 1000 & echo $!; setsid sh -c 'sh -c "echo \$\$; sleep 1000; :" &'; exit 0"#
      let one = try nursery.start(script)
      let other = try nursery.start(script)
      let others = try [#require(Int32(try other.line())), #require(Int32(try other.line()))]
      _ = try (one.line(), one.line())
      try nursery.reap { nursery.isReaped(one) && nursery.isReaped(other) }
      one.containment.killAll()
      try nursery.reap { one.containment.isEmpty }
      try #require(others.allSatisfy(isAlive) && !other.containment.isEmpty)
      try #require(Set(other.containment.members().map(\.pid)).isSuperset(of: others))
      other.containment.killAll()
      try nursery.reap { other.containment.isEmpty }
    }
  }

  @Test(.enabled(if: isRoot, "needs root and cgroup v2"))
  func `a cgroup holds what hides from everything else`() async {
    await #expect(processExitsWith: .success) {
      let directory = try CgroupDirectory()
      let nursery = try Nursery(cgroups: directory.path)
      let worker = try nursery.start("env -i setsid sh -c 'sleep 1000 & echo $!'; kill -STOP $$")
      let runaway = try #require(Int32(try worker.line()))
      try #require(worker.containment.contains(runaway))
      try #require(Set(worker.containment.members().map(\.pid)).isSuperset(of: [runaway, worker.pid]))
      // As a program with its own ideas of cgroups does.
      try #require(mkdir("\(directory.path)/1/inner", 0o755) == 0)
      try #require(!worker.containment.isEmpty)
      worker.containment.killAll()
      try nursery.reap { worker.containment.isEmpty }
      try #require(!isAlive(runaway) && nursery.isReaped(worker))
      worker.containment.remove()
      try #require(access("\(directory.path)/1", F_OK) != 0)
    }
  }

  @Test(.enabled(if: isRoot, "needs root and cgroup v2"))
  func `a child is born in its cgroup: there is no moment outside of it`() throws {
    let directory = try CgroupDirectory()
    let cgroup = try Descriptor.open(directory.path, flags: O_RDONLY | O_DIRECTORY)
    let run = try Child.run("/bin/cat", "/proc/self/cgroup") { $0.cgroup = cgroup }
    #expect(run.lines.contains("0::/\(directory.name)"))
  }
}

/// What a supervisor that died leaves is found by the next one.
@Suite struct LeftoversTests {
  @Test func `by the mark in its environment, stopped or not, and whoever has another mark is left alone`() async {
    await #expect(processExitsWith: .success) {
      let nursery = try Nursery()
      let one = try nursery.start("setsid sleep 1000 & echo $!; kill -STOP $$")
      let child = try #require(Int32(try one.line()))
      let other = try nursery.start("echo $$; sleep 1000; :")
      _ = try other.line()
      let leftovers = Leftovers.end(in: nil, marker: "MARK=worker-\(getpid())-1", within: .seconds(5))
      try #require(Set(leftovers.found.map(\.pid)) == [one.pid, child])
      try #require(leftovers.left.isEmpty && !isAlive(child) && !isAlive(one.pid))
      try #require(!other.containment.isEmpty)
      try #require(Leftovers.end(in: nil, marker: "MARK=worker-\(getpid())-1", within: .zero).found.isEmpty)
      other.containment.killAll()
      try nursery.reap { other.containment.isEmpty && one.containment.isEmpty }
    }
  }

  @Test(.enabled(if: ContainmentTests.isRoot, "needs root and cgroup v2"))
  func `by its cgroup, which is removed, and nothing but workers' cgroups is touched`() async {
    await #expect(processExitsWith: .success) {
      let directory = try CgroupDirectory()
      for name in ["supervisor", ".control", "mine"] { try #require(mkdir("\(directory.path)/\(name)", 0o755) == 0) }
      let nursery = try Nursery(cgroups: directory.path)
      nursery.suffix = ".1.2.3"
      let worker = try nursery.start("env -i setsid sleep 1000 & echo $!; exit 0")
      let child = try #require(Int32(try worker.line()))
      try nursery.reap { nursery.isReaped(worker) }
      let delegated = DelegatedCgroup(path: directory.path)
      let leftovers = Leftovers.end(in: delegated, marker: "MARK=none-\(getpid())", within: .seconds(5))
      try #require(leftovers.found.map(\.pid) == [child] && leftovers.left.isEmpty && !isAlive(child))
      try #require(Cgroup.children(of: directory.path).sorted() == [".control", "mine", "supervisor"])
    }
  }
}

/// A cgroup below the root of version 2's hierarchy, removed with all in it.
final class CgroupDirectory {
  let name = "baton-test-\(getpid())-\(UInt32.random(in: .min ... .max))"
  let path: String

  static var mount: String? {
    let text = (try? readFile("/proc/self/mountinfo")).map { String(decoding: $0, as: UTF8.self) } ?? ""
    let line = text.split(separator: "\n").first { $0.contains(" - cgroup2 ") }
    return line.map { String($0.split(separator: " ")[4]) }
  }

  init() throws {
    path = "\(try #require(Self.mount))/\(name)"
    try #require(mkdir(path, 0o755) == 0)
  }

  deinit { Cgroup(path: path)?.remove() }
}
