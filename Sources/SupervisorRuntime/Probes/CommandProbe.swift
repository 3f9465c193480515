import Glibc
package import LinuxSystem
import Vocabulary

/// Runs a command and takes exit status 0 as a yes.
///
/// The command gets a session of its own, /dev/null as input and a pipe for what it prints, of which the end is quoted
/// in the reason of a no. What it leaves running when it ends in time is left alone.
package final class CommandProbe: Cancellable {
  package struct Command: Hashable, Sendable {
    /// The first is the program: absolute, relative to `directory`, or a name looked up in the PATH of `environment`.
    package var arguments: [String]
    package var environment: [String: String]
    /// nil: batond's own.
    package var directory: String?
    /// nil: batond's own.
    package var identity: Identity?
    package var umask: UInt32 = 0o022

    package init(
      arguments: [String], environment: [String: String], directory: String? = nil, identity: Identity? = nil
    ) {
      self.arguments = arguments
      self.environment = environment
      self.directory = directory
      self.identity = identity
    }
  }

  private let loop: EventLoop
  private let children: any ChildWatcher
  private let command: Command
  private let answer: PendingAnswer
  /// The process group that may still be signalled: until its leader is reaped, nobody else can have that number.
  private(set) var group: Int32?
  /// The command's descriptors 3, 4, …
  package var passed: [Descriptor] = []
  private var output: Descriptor?
  private var registration: EventLoop.Registration?
  /// The end of it, and whether there was more before.
  private var printed: [UInt8] = []
  private var isCut = false

  /// How much of what it prints is kept for the reason.
  private static let kept = 512
  private static let chunk = 16_384
  /// Where programs are looked for when the environment does not say. Source: environ(7), systemd.exec(5).
  private static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
  private static let budget = 262_144

  /// `completion` is called once, later than ``start()`` and within `timeout`, unless the probe was cancelled before.
  package init(
    loop: EventLoop, children: any ChildWatcher, _ command: Command, timeout: Duration,
    completion: @escaping (ProbeResult) -> Void
  ) {
    self.loop = loop
    self.children = children
    self.command = command
    answer = PendingAnswer(loop: loop, timeout: timeout, completion: completion)
  }

  /// A started probe stays alive by itself until it has answered or was cancelled.
  package func start() {
    guard answer.begin(expired: { [self] in expire() }) else { return }
    do {
      try spawn()
    } catch {
      close()
      answer.giveLater(.failed("cannot start it: \(error)"))
    }
  }

  /// Kills what has been started.
  package func cancel() {
    kill()
    close()
    answer.cancel()
  }

  private func spawn() throws {
    let pipe = try Descriptor.pipe(nonblockingReader: true)
    // Before the start, so that a child is never left running unheard.
    registration = try loop.register(pipe.reader, events: .read) { [self] _ in read(budget: Self.budget) }
    output = pipe.reader
    var request = SpawnRequest(
      program: try program(), arguments: command.arguments, environment: command.environment)
    request.directory = command.directory
    request.identity = command.identity
    request.umask = command.umask
    request.standardOutput = pipe.writer
    request.session = .newSession
    request.descriptors = passed
    let child = try request.spawn()
    group = child.pid
    children.watch(child.pid) { [self] exit in ended(exit) }
  }

  private func program() throws(SystemError) -> String {
    guard let name = command.arguments.first, !name.isEmpty else {
      throw SystemError("exec", "an empty command", errno: EINVAL)
    }
    guard !name.contains("/") else { return name }
    guard let found = findProgram(name, in: command.directory ?? ".", path: command.environment["PATH"] ?? Self.path)
    else { throw SystemError("exec", name, errno: ENOENT) }
    return found
  }

  // MARK: What it prints

  /// Reads what there is, within a budget: what it prints must neither stop it nor the loop.
  private func read(budget: Int) {
    guard let output else { return }
    var left = budget
    var buffer = [UInt8](repeating: 0, count: Self.chunk)
    while left > 0 {
      let count = Glibc.read(output.raw, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count != 0, count > 0 || errno == EAGAIN else { return closeOutput() }
      guard count > 0 else { return }
      left -= count
      printed += buffer[..<count]
      guard printed.count > Self.kept else { continue }
      printed.removeFirst(printed.count - Self.kept)
      isCut = true
    }
  }

  private func closeOutput() {
    registration?.cancel()
    registration = nil
    output?.close()
    output = nil
  }

  private var lastOutput: String {
    var text = printed[...]
    while text.last == UInt8(ascii: "\n") { text.removeLast() }
    return text.isEmpty ? "it printed nothing" : "it printed \(Excerpt.end(text, isCut: isCut))"
  }

  // MARK: Its end

  private func ended(_ exit: ChildExit) {
    group = nil
    // Others may hold the pipe, so its end is not waited for.
    read(budget: Self.budget)
    close()
    switch exit {
    case .exited(0): answer.give(.passed)
    case .exited(let status): answer.give(.failed("exit status \(status), \(lastOutput)"))
    case .signalled(let signal): answer.give(.failed("ended by \(Signal(signal)), \(lastOutput)"))
    }
  }

  private func expire() {
    read(budget: Self.budget)
    kill()
    close()
    answer.give(.failed("not done within \(answer.timeout.text), so it was killed; \(lastOutput)"))
  }

  private func kill() {
    guard let group else { return }
    self.group = nil
    // Fails only when nothing of it is left.
    _ = Glibc.kill(-group, SIGKILL)
  }

  private func close() { closeOutput() }
}
