import CLinux
import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem

/// A tiny supervisor for tests that need to be the only one who reaps: made in a process of its own (an exit test).
final class Nursery {
  private var leaders: Set<Int32> = []
  private var number = 0
  private let parent: String?
  /// Of the names of the workers' cgroups.
  var suffix = ""

  /// `parent`: a cgroup to make the workers' cgroups in.
  init(cgroups parent: String? = nil) throws {
    self.parent = parent
    try ProcessTree.becomeSubreaper()
  }

  final class Worker {
    let pid: Int32
    let containment: any Containment
    private let output: Descriptor
    init(pid: Int32, containment: any Containment, output: Descriptor) {
      self.pid = pid
      self.containment = containment
      self.output = output
    }

    /// The next line it or one of its own prints.
    func line() throws -> String {
      var bytes: [UInt8] = []
      var byte: UInt8 = 0
      while true {
        try #require(!Loopback.wait([output], for: POLLIN).isEmpty, "no line came")
        try #require(read(output.raw, &byte, 1) == 1, "it ended without a line")
        if byte == 0x0A { return String(decoding: bytes, as: UTF8.self) }
        bytes.append(byte)
      }
    }
  }

  func start(_ script: String) throws -> Worker {
    number += 1
    let marker = "MARK=worker-\(getpid())-\(number)"
    let containment: any Containment
    if let parent {
      containment = try #require(Cgroup(path: "\(parent)/\(number)\(suffix)"))
    } else {
      containment = ProcessSession(marker: marker) { [unowned self] in
        ProcessTree.children(of: getpid()).filter { !leaders.contains($0) }
      }
    }
    let output = try Descriptor.pipe()
    var request = SpawnRequest(
      program: "/bin/sh", arguments: ["sh", "-c", script],
      environment: ["PATH": "/usr/bin:/bin", "MARK": String(marker.dropFirst(5))])
    request.standardOutput = output.writer
    request.cgroup = containment.cgroup
    let process = try request.spawn()
    leaders.insert(process.pid)
    containment.adopt(process.pid, process.pidfd)
    return Worker(pid: process.pid, containment: containment, output: output.reader)
  }

  /// Reaps until `condition` holds, asking when a child has ended and at no other time: within ten seconds, or SIGALRM
  /// ends this process.
  func reap(until condition: () -> Bool) throws {
    alarm(10)
    defer { alarm(0) }
    var options: Int32 = WNOHANG
    while true {
      let pid = waitpid(-1, nil, options)
      if pid > 0 {
        leaders.remove(pid)
        options = WNOHANG
      } else if condition() {
        return
      } else {
        try #require(options == WNOHANG, "no child is left to wait for")
        options = 0
      }
    }
  }

  func isReaped(_ worker: Worker) -> Bool { !leaders.contains(worker.pid) }
}

/// A process that runs, zombies not counted.
func isAlive(_ pid: Int32) -> Bool { !ProcessTree.isZombie(pid) }
