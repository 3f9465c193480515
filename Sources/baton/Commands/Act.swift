import ControlClient
import ControlProtocol
import Glibc
import LinuxSystem

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
    let variables = ["PATH", "HOME", "LANG", "TERM", "DBUS_SYSTEM_BUS_ADDRESS"].compactMap { name in
      Host.variable(name).map { "\(name)=\($0)" }
    }
    var words = arguments.map { strdup($0) } + [nil]
    var environment = variables.map { strdup($0) } + [nil]
    defer { for pointer in words + environment { free(pointer) } }
    var pid: pid_t = 0
    guard posix_spawnp(&pid, arguments[0], nil, nil, &words, &environment) == 0 else { return 127 }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 { if errno != EINTR { return 127 } }
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
  }
}
