import ControlClient
import ControlProtocol
import Glibc
import LinuxSystem
import Vocabulary

extension ServiceChoice {
  /// Runs one act to its verdict, with progress on the way. A verdict that is not what was asked for is a ``Failure``.
  func act(_ request: Request, json: Bool) throws {
    let verdict = try ask { (client) throws(ClientError) in
      try client.act(request) { news in
        if json { Terminal.print(news.json) } else { Terminal.progress(plain(news.text)) }
      }
    }
    Terminal.endProgress()
    if json { Terminal.print(verdict.json) }
    guard verdict.succeeded else { throw Failure(verdict, isPrinted: json) }
    if json { return }
    Terminal.print(plain(verdict.what))
    if verdict.holds != verdict.what { Terminal.print("holds: \(plain(verdict.holds))") }
  }
}

/// Other programs.
enum Program {
  /// Another program in place of this one.
  static func become(_ arguments: [String]) throws -> Never {
    var pointers = arguments.map { strdup($0) } + [nil]
    execvp(arguments[0], &pointers)
    let error = SystemError("run", arguments[0], errno: errno)
    throw Failure(.failed, "cannot \(error)", holds: "nothing was changed", next: "is it installed, and on PATH?")
  }

  /// Runs it, with our standard streams and the few variables it needs, and waits. Returns its exit status as a shell
  /// does; 127 where it could not be run.
  static func run(_ arguments: [String]) -> Int32 {
    guard let pid = start(arguments) else { return 127 }
    return end(pid)
  }

  /// Runs all of them side by side, with our output. nil for one that was killed because it took longer than `limit`.
  static func runTogether(_ commands: [[String]], within limit: Duration?) -> [Int32?] {
    let deadline = limit.map { Instant.monotonicNow() + $0 }
    let children = commands.map { (command) -> SpawnedProcess? in
      var request = SpawnRequest(program: command[0], arguments: command, environment: environment)
      request.session = .same
      request.standardOutput = duplicate(STDOUT_FILENO)
      request.standardError = duplicate(STDERR_FILENO)
      return try? request.spawn()
    }
    return children.map { child in
      guard let child else { return 127 }
      if let deadline, !waits(child.pidfd, until: deadline) {
        kill(child.pid, SIGKILL)
        _ = end(child.pid)
        return nil
      }
      return end(child.pid)
    }
  }

  private static func duplicate(_ raw: Int32) -> Descriptor? {
    let copy = fcntl(raw, F_DUPFD_CLOEXEC, 3)
    return copy < 0 ? nil : Descriptor(owning: copy)
  }

  /// Whether the process ended in time. Source: pidfd_open(2).
  private static func waits(_ process: Descriptor, until deadline: Instant) -> Bool {
    while true {
      var poller = pollfd(fd: process.raw, events: Int16(POLLIN), revents: 0)
      let left = deadline - Instant.monotonicNow()
      let count = poll(&poller, 1, left > .zero ? Int32(clamping: left.milliseconds + 1) : 0)
      if count > 0 { return true }
      if left <= .zero || (count < 0 && errno != EINTR) { return false }
    }
  }

  private static var environment: [String: String] {
    var found: [String: String] = [:]
    for name in ["PATH", "HOME", "LANG", "TERM", "DBUS_SYSTEM_BUS_ADDRESS"] { found[name] = Host.variable(name) }
    return found
  }

  private static func start(_ arguments: [String]) -> pid_t? {
    let variables = environment.map { "\($0)=\($1)" }
    var words = arguments.map { strdup($0) } + [nil]
    var texts = variables.map { strdup($0) } + [nil]
    defer { for pointer in words + texts { free(pointer) } }
    var pid: pid_t = 0
    return posix_spawnp(&pid, arguments[0], nil, nil, &words, &texts) == 0 ? pid : nil
  }

  private static func end(_ pid: pid_t) -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 { if errno != EINTR { return 127 } }
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
  }
}
