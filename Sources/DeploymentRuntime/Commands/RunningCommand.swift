import CLinux
import Deployment
import Glibc
import LinuxSystem
import Vocabulary

/// A command from its start to the end of the last process it started.
final class RunningCommand {
  private let command: CommandRun
  private let operation: Operation
  private let group: CommandGroup
  private let process: SpawnedProcess
  private let begun: Instant
  private var lines: OutputLines
  private var captured: [UInt8] = []
  /// Open until their end was read.
  private var linesPipe: Descriptor?
  private var capturePipe: Descriptor?

  /// Why it is being ended before it ended by itself.
  private enum Ending { case aborted, timedOut, printedTooMuch }
  private var ending: Ending?
  /// Nobody is left who could ask for one.
  private var isAbortGone = false
  private var killAt: Instant?
  private var wasKilled = false

  /// How long what cannot be killed (a process in an uninterruptible wait) is waited for.
  private static let burialLimit: Duration = .seconds(5)

  /// Starts it.
  init(_ command: CommandRun, _ operation: Operation) throws(StepFailure) {
    self.command = command
    self.operation = operation
    lines = OutputLines(operation.masker)
    group = CommandGroup(operation.id)
    begun = .monotonicNow()
    do {
      let request = try Self.request(command, group)
      var (own, pipes) = (request, try Pipes(command.output))
      own.standardInput = try Self.input(command.input)
      own.standardOutput = pipes.output
      own.standardError = pipes.error
      process = try own.spawn()
      linesPipe = pipes.lines
      capturePipe = pipes.capture
    } catch let error as StepFailure {
      throw error
    } catch {
      group.remove()
      throw StepFailure(
        .failed, operation.masker.mask("\(command.subject) could not be started: \(error)"),
        next: "look at the program and the rights of \(command.directory)")
    }
    group.adopt(process)
    if command.isBackground { CommandLimits.lowerPriority(ofSessionOf: process.pid) }
  }

  /// Runs it to its end. Afterwards nothing of it is left.
  func finish() throws(CommandFailure) -> CommandResult {
    while !step() {}
    var result = CommandResult(subject: command.subject)
    bury(&result)
    result.captured = captured
    result.lastLines = lines.lastLines
    result.duration = .monotonicNow() - begun
    switch ending {
    case .aborted:
      let what = "\(command.subject) was ended: an abort was asked for"
      throw CommandFailure(failure: StepFailure(.aborted, what, lines: result.lastLines))
    case .timedOut: result.outcome = .timedOut(after: command.timeout ?? .zero)
    case .printedTooMuch: result.outcome = .printedTooMuch
    case nil: break
    }
    return result
  }

  // MARK: Starting

  private static func request(_ command: CommandRun, _ group: CommandGroup) throws(StepFailure) -> SpawnRequest {
    guard let name = command.arguments.first, !name.isEmpty else {
      throw StepFailure(.refused, "a command has no program", next: "name one in the settings")
    }
    let path = command.environment["PATH"] ?? ""
    guard let program = findProgram(name, in: command.directory, path: path) else {
      let place = name.utf8.contains(UInt8(ascii: "/")) ? "" : " in PATH (\(path))"
      throw StepFailure(
        .failed, "\(command.subject) could not be started: there is no program \(name)\(place)",
        next: "install it, or name it with its path")
    }
    var request = SpawnRequest(
      program: program, arguments: command.arguments,
      environment: command.environment.merging([CommandGroup.markerName: group.marker]) { $1 })
    request.directory = command.directory
    request.cgroup = group.cgroup
    request.yields = command.isBackground
    if let limit = command.memoryLimit, group.cgroup.map({ CommandLimits.limitMemory(of: $0, to: limit) }) != true {
      request.limits.append(ResourceLimit(.data, soft: limit.bytes, hard: limit.bytes))
    }
    return request
  }

  /// The reading ends stay here, the writing ends go to the child alone.
  private struct Pipes {
    var lines: Descriptor?
    var capture: Descriptor?
    var output: Descriptor
    var error: Descriptor

    init(_ wanted: CommandRun.Output) throws(SystemError) {
      let errors = try Descriptor.pipe(nonblockingReader: true)
      (lines, output, error) = (errors.reader, errors.writer, errors.writer)
      switch wanted {
      case .lines: break
      case .descriptor(let descriptor): output = descriptor
      case .captured:
        let pipe = try Descriptor.pipe(nonblockingReader: true)
        (capture, output) = (pipe.reader, pipe.writer)
      }
    }
  }

  private static func input(_ input: CommandRun.Input) throws(SystemError) -> Descriptor? {
    switch input {
    case .nothing: return nil
    case .descriptor(let descriptor): return descriptor
    case .bytes(let bytes):
      let file = Descriptor(owning: try retrying("make a memory file") { cl_memory_file("input") })
      var left = bytes[...]
      while !left.isEmpty {
        let count = try retrying("write", "a memory file") {
          left.withUnsafeBytes { write(file.raw, $0.baseAddress, $0.count) }
        }
        left = left.dropFirst(count)
      }
      try retrying("rewind", "a memory file") { lseek(file.raw, 0, SEEK_SET) }
      return file
    }
  }

  // MARK: Running

  /// Waits for whatever comes first and deals with it. True when the main process has ended.
  private func step() -> Bool {
    let now = Instant.monotonicNow()
    let deadline = killAt ?? command.timeout.map { begun + $0 }
    if let deadline, now >= deadline { pass(now) }
    let watchesAbort = !command.ignoresAbort && ending == nil && !isAbortGone
    var watched = [linesPipe?.raw ?? -1, capturePipe?.raw ?? -1, watchesAbort ? operation.abort?.raw ?? -1 : -1]
    watched.append(process.pidfd.raw)
    var polled = watched.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    let limit = wasKilled ? nil : killAt ?? command.timeout.map { begun + $0 }
    _ = poll(&polled, nfds_t(polled.count), Self.milliseconds(until: limit))
    if polled[0].revents != 0 { readLines() }
    if polled[1].revents != 0 { readCaptured() }
    if Int32(polled[2].revents) & POLLIN != 0 { end(.aborted) } else if polled[2].revents != 0 { isAbortGone = true }
    return polled[3].revents != 0
  }

  /// For ever where there is no deadline.
  private static func milliseconds(until deadline: Instant?) -> Int32 {
    guard let deadline else { return -1 }
    return Int32(clamping: max(0, (deadline - .monotonicNow()).milliseconds + 1))
  }

  /// A deadline has passed.
  private func pass(_ now: Instant) {
    if killAt == nil { return end(.timedOut) }
    guard !wasKilled else { return }
    wasKilled = true
    group.killAll()
  }

  private func end(_ why: Ending) {
    guard ending == nil else { return }
    ending = why
    killAt = .monotonicNow() + command.grace
    group.terminate()
  }

  /// The main process has ended: ends what it left behind, and reads what is still in the pipes.
  private func bury(_ result: inout CommandResult) {
    let others = group.others
    group.killAll()
    result.outcome = group.reapLeader()
    let deadline = Instant.monotonicNow() + Self.burialLimit
    while !group.isEmpty, .monotonicNow() < deadline {
      // Their death closes the pipes; one who closed them before is looked for again after a moment.
      var polled = [linesPipe, capturePipe].map { pollfd(fd: $0?.raw ?? -1, events: Int16(POLLIN), revents: 0) }
      _ = poll(&polled, nfds_t(polled.count), 5)
      readLines()
      readCaptured()
      group.killAll()
    }
    readLines(upTo: 1 << 20)
    readCaptured(upTo: .max)
    lines.end(deliver)
    if !group.isEmpty {
      operation.audience.warn("\(command.subject) left processes that cannot be killed: \(group.others)")
    }
    if let cgroup = group.cgroup { result.ranOutOfMemory = CommandLimits.ranOutOfMemory(cgroup) }
    if ending == nil { result.leftBehind = others }
    group.remove()
  }

  // MARK: Reading

  private func deliver(_ line: String) { if !command.isQuiet { operation.audience.output(line) } }

  /// At most so many bytes, so that a flood does not hide the abort and the deadline.
  private func readLines(upTo limit: Int = 1 << 18) {
    read(&linesPipe, upTo: limit) { lines.feed($0, deliver) }
  }

  private func readCaptured(upTo limit: Int = 1 << 20) {
    guard case .captured(let most) = command.output else { return }
    read(&capturePipe, upTo: limit) { bytes in
      let room = most - captured.count
      captured += bytes.prefix(room)
      if bytes.count > room { end(.printedTooMuch) }
    }
  }

  private func read(_ pipe: inout Descriptor?, upTo limit: Int, _ take: (ArraySlice<UInt8>) -> Void) {
    guard let open = pipe else { return }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    var left = limit
    while left > 0 {
      let count = Glibc.read(open.raw, &buffer, min(buffer.count, left))
      if count < 0, errno == EINTR { continue }
      if count < 0, errno == EAGAIN { return }
      // An error of a pipe has no other meaning than its end.
      guard count > 0 else { return pipe = nil }
      take(buffer[..<count])
      left -= count
    }
  }
}
