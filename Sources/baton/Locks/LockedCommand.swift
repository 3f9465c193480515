import ControlProtocol
import Glibc
import LinuxSystem
import Vocabulary

/// The command under a lock, with everything it starts: it counts as ended only when nothing of it is left, so that
/// nobody else begins beside a child that went on alone.
final class LockedCommand {
  /// In the environment of all of it.
  static let marker = "BATON_LOCK_OWNER"

  private let arguments: [String]
  private let containment: any Containment
  private var process: SpawnedProcess?
  private var terminal: Int32?
  /// As a shell says it: the exit status, or 128 and the signal.
  private(set) var status: Int32?

  init(_ arguments: [String], owner: String) {
    self.arguments = arguments
    // Orphans come to us from now on. It fails nowhere since Linux 3.4; without it only daemons would escape.
    try? ProcessTree.becomeSubreaper()
    let box = LeaderBox()
    containment = ContainmentFactory().make("lock-\(owner.prefix(8))", marker: "\(Self.marker)=\(owner)") {
      ProcessTree.children(of: getpid()).filter { $0 != box.pid }
    }
    leader = box
  }

  private final class LeaderBox { var pid: Int32 = 0 }
  private let leader: LeaderBox

  /// - Throws: when there is nothing to run, with a shell's status for it: 127 not found, 126 not to be executed.
  func start(adding variables: [String: String]) throws(Failure) {
    var environment: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2, !parts[0].isEmpty { environment[String(parts[0])] = String(parts[1]) }
      entry += 1
    }
    environment.merge(variables) { $1 }
    let search = environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
    guard let program = findProgram(arguments[0], in: ".", path: search) else {
      status = 127
      throw Failure(.failed, "there is no program \(plain(arguments[0]))", next: "PATH is \(plain(search))")
    }
    var request = SpawnRequest(program: program, arguments: arguments, environment: environment)
    request.standardInput = Self.copy(STDIN_FILENO)
    request.standardOutput = Self.copy(STDOUT_FILENO)
    request.standardError = Self.copy(STDERR_FILENO)
    request.session = .newGroup
    request.cgroup = containment.cgroup
    request.endsWithParent = true
    let mask = umask(0)
    umask(mask)
    request.umask = UInt32(mask)
    do throws(SpawnError) {
      let process = try request.spawn()
      self.process = process
      leader.pid = process.pid
      containment.adopt(process.pid, process.pidfd)
    } catch {
      status = 126
      throw Failure(.failed, "\(error)")
    }
    giveTerminal()
  }

  private static func copy(_ raw: Int32) -> Descriptor? {
    let copy = fcntl(raw, F_DUPFD_CLOEXEC, 3)
    return copy < 0 ? nil : Descriptor(owning: copy)
  }

  // MARK: - The terminal

  /// As a shell does it: Ctrl-C is for the command, which may also read from there.
  private func giveTerminal() {
    guard isatty(STDIN_FILENO) == 1, tcgetpgrp(STDIN_FILENO) == getpgrp(), let process else { return }
    signal(SIGTTOU, SIG_IGN)
    terminal = getpgrp()
    tcsetpgrp(STDIN_FILENO, process.pid)
    // It may have been stopped for reading before it was its own.
    kill(-process.pid, SIGCONT)
  }

  func takeTerminal() {
    if let terminal { tcsetpgrp(STDIN_FILENO, terminal) }
    terminal = nil
  }

  // MARK: - Signals

  /// What ends programs goes to all of its group, other signals to the program itself.
  func pass(_ signal: Signal) {
    guard let process, status == nil else { return }
    let isForItself = signal == .user1 || signal == .user2
    kill(isForItself ? process.pid : -process.pid, signal.number)
  }

  func terminate() {
    guard let process else { return }
    kill(-process.pid, SIGTERM)
    // A stopped one would not see it.
    kill(-process.pid, SIGCONT)
  }

  func killAll() { containment.killAll() }

  // MARK: - Its end

  /// To be called for every SIGCHLD.
  func reap() {
    var status: Int32 = 0
    while case let pid = waitpid(-1, &status, WNOHANG | WUNTRACED), pid > 0 {
      guard pid == process?.pid else { continue }
      if status & 0xFF == 0x7F {
        // Nobody would wake it again: whoever typed Ctrl-Z talks to a shell that waits for us.
        if status >> 8 & 0xFF == SIGTSTP { kill(-pid, SIGCONT) }
      } else {
        self.status = status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
      }
    }
  }

  var isStarted: Bool { process != nil }
  /// Nothing of it is left.
  var isGone: Bool { process == nil || (status != nil && containment.isEmpty) }
  /// What it left running.
  var leftovers: [ProcessName] { containment.members() }

  func remove() { containment.remove() }
}
