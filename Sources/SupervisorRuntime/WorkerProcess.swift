import Glibc
import LinuxSystem
import Settings
import Supervision
import Systemd
import Vocabulary

/// Why a worker could not be started.
struct WorkerStartError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// One worker's process with what belongs to it: its notify socket, its output, its containment.
package final class WorkerProcess {
  package struct Line: Hashable, Sendable {
    package let isError: Bool
    package let text: String
  }

  let pid: Int32
  let port: UInt16?
  let containment: any Containment
  let startedAtWallMicroseconds: Int64
  var statusText: String?
  var notified: (Notification) -> Void = { _ in }
  var printed: (Line) -> Void = { _ in }
  /// The kernel killed a process of it for want of memory.
  var lostMemory: () -> Void = {}
  private(set) var hasExited = false
  /// All of it was told to die, and is told again as long as something is found.
  var isKilled = false
  /// Somebody asked for it by name.
  var isKilledByHand = false

  private let id: WorkerID
  private let loop: EventLoop
  private let pidfd: Descriptor
  private let notify: NotifyServer
  private let notifyDescriptor: Descriptor
  private var notifyRegistration: EventLoop.Registration?
  private let output: WorkerOutput
  private var emptiness: TimerToken?
  private var strangersTold = false
  private var memoryRegistration: EventLoop.Registration?
  private var memoryKills: UInt64 = 0
  private var memoryLook: TimerToken?
  private var deaf: TimerToken?
  private var deafTold = false

  /// Spawns it. What was made for a start that fails is undone by the objects themselves.
  init(
    id: WorkerID, engine: Settings.Engine, generation: ResolvedGeneration, service: ServiceName,
    sockets: [(name: SocketName, descriptor: Descriptor)], loop: EventLoop, notifyPath: String,
    containment: any Containment, budget: OutputBudget, lease: [String: String] = [:]
  ) throws(WorkerStartError) {
    self.id = id
    self.loop = loop
    self.containment = containment
    do {
      let port = engine.hasOwnPort ? try FreePort.take() : nil
      self.port = port
      notify = try NotifyServer(path: notifyPath)
      let copy = fcntl(notify.descriptor, F_DUPFD_CLOEXEC, 0)
      guard copy >= 0 else { throw SystemError("duplicate", "the notify socket", errno: errno) }
      notifyDescriptor = Descriptor(owning: copy)
      let standardOutput = try Descriptor.pipe(nonblockingReader: true)
      let standardError = try Descriptor.pipe(nonblockingReader: true)
      output = try WorkerOutput(
        loop: loop, output: standardOutput.reader, error: standardError.reader, budget: budget)
      var request = try generation.spawnRequest(engine.command.map { Self.fill($0, port: port) }, engine: engine)
      request.environment.merge(
        Self.environment(id, engine, generation, service, sockets.map(\.name), port, notifyPath)
      ) { $1 }
      request.environment.merge(lease) { $1 }
      request.pidVariables = sockets.isEmpty ? [] : ["LISTEN_PID"]
      if case .notify = engine.watchdog { request.pidVariables.append("WATCHDOG_PID") }
      request.standardOutput = standardOutput.writer
      request.standardError = standardError.writer
      request.descriptors = sockets.map(\.descriptor)
      request.cgroup = containment.cgroup
      let process = try request.spawn()
      pid = process.pid
      pidfd = process.pidfd
    } catch {
      containment.remove()
      throw WorkerStartError("\(error)" + Self.advice(error))
    }
    startedAtWallMicroseconds = RealTime.microseconds()
    containment.adopt(pid, pidfd)
    listen()
  }

  /// Goes on with a process that another image of this program started. One that has been reaped has no pidfd: its
  /// number may be another's.
  init(
    resuming saved: SavedWorker, loop: EventLoop, containment: any Containment, budget: OutputBudget
  ) throws(SystemError) {
    id = saved.id
    self.loop = loop
    self.containment = containment
    pid = saved.pid
    port = saved.port
    startedAtWallMicroseconds = saved.startedAtWallMicroseconds
    statusText = saved.statusText
    hasExited = saved.hasExited
    isKilled = saved.isKilled
    notifyDescriptor = try Descriptor.inherited(saved.notify)
    notify = NotifyServer(resuming: try notifyDescriptor.duplicate().take(), path: saved.notifyPath)
    var streams: [WorkerOutput.Stream: SavedStream] = [:]
    streams[.output] = saved.output
    streams[.error] = saved.error
    output = try WorkerOutput(loop: loop, resuming: streams, lastLines: saved.lastLines, budget: budget)
    pidfd = saved.hasExited ? Descriptor(owning: -1) : try Descriptor.process(saved.pid)
    containment.adopt(saved.pid, saved.hasExited ? nil : pidfd)
    memoryKills = containment.outOfMemoryKills ?? 0
    listen()
  }

  /// For another image of this program; nothing is changed here.
  var saved: SavedWorker {
    SavedWorker(
      id: id, pid: pid, port: port, startedAtWallMicroseconds: startedAtWallMicroseconds, statusText: statusText,
      hasExited: hasExited, isKilled: isKilled, notify: notifyDescriptor.raw, notifyPath: notify.path,
      output: output.saved(.output), error: output.saved(.error), lastLines: output.lines)
  }

  private static func advice(_ error: any Error) -> String {
    guard let error = error as? SpawnError, error.errno == EPERM, [.groups, .user].contains(error.stage) else {
      return ""
    }
    return "; only a supervisor that runs as root can start programs as another user"
  }

  private static func environment(
    _ id: WorkerID, _ engine: Settings.Engine, _ generation: ResolvedGeneration, _ service: ServiceName,
    _ sockets: [SocketName], _ port: UInt16?, _ notifyPath: String
  ) -> [String: String] {
    var environment = [
      "BATON_SERVICE": service.rawValue, "BATON_GENERATION": "\(id.generation)",
      "BATON_RELEASE": generation.release.text, "BATON_WORKER": id.label, "NOTIFY_SOCKET": notifyPath,
    ]
    if !sockets.isEmpty {
      environment["LISTEN_FDS"] = "\(sockets.count)"
      environment["LISTEN_FDNAMES"] = sockets.map(\.rawValue).joined(separator: ":")
    }
    if let port { environment["PORT"] = "\(port)" }
    if case .notify(let every) = engine.watchdog { environment["WATCHDOG_USEC"] = "\(every.microseconds)" }
    return environment
  }

  static func fill(_ text: String, port: UInt16?) -> String {
    guard let port, text.contains("{port}") else { return text }
    var filled = ""
    var rest = Substring(text)
    while let range = rest.firstRange(of: "{port}") {
      filled += rest[..<range.lowerBound] + "\(port)"
      rest = rest[range.upperBound...]
    }
    return filled + rest
  }

  // MARK: Listening to it

  private func listen() {
    output.printed = { [unowned self] in printed(Line(isError: $0 == .error, text: $1)) }
    listenToNotify()
    if let events = containment.memoryEvents {
      memoryRegistration = try? loop.register(events, events: .priority) { [unowned self] _ in
        memoryChanged(events)
      }
    }
  }

  /// Fails only when the kernel has no memory for it: tried again, and what was said meanwhile is heard then.
  private func listenToNotify() {
    do throws(SystemError) {
      notifyRegistration = try loop.register(notifyDescriptor, events: .read) { [unowned self] _ in receive() }
    } catch {
      if !deafTold { printed(Line(isError: true, text: "[baton] what it says cannot be heard now: \(error)")) }
      deafTold = true
      deaf = loop.schedule(after: .milliseconds(50)) { [weak self] in self?.listenToNotify() }
    }
  }

  /// Whether the kernel has killed a process of it for want of memory since the last look; nil where it does not count.
  func takeMemoryKills() -> Bool? {
    guard let kills = containment.outOfMemoryKills else { return nil }
    defer { memoryKills = kills }
    return kills > memoryKills
  }

  /// Its memory.events changed, for whatever reason: that is told up to a hundred times a second. Looked at once it is
  /// known whether the main process was the one.
  private func memoryChanged(_ events: Descriptor) {
    var text = [UInt8](repeating: 0, count: 256)
    _ = pread(events.raw, &text, text.count, 0)
    guard memoryLook == nil, let kills = containment.outOfMemoryKills, kills > memoryKills else { return }
    memoryLook = loop.schedule(after: .milliseconds(200)) { [weak self] in
      guard let self else { return }
      memoryLook = nil
      if !hasExited, takeMemoryKills() == true { lostMemory() }
    }
  }

  /// Only what comes from the worker's own processes counts. A flood is taken in portions: the loop goes on in between.
  private func receive() {
    let batch = try? notify.receive(from: { [unowned self] in isOwn($0) }) { [unowned self] _, notifications in
      for notification in notifications { notified(notification) }
    }
    if let batch, batch.strangers > 0, !strangersTold {
      strangersTold = true
      printed(Line(isError: true, text: "[baton] a message on its NOTIFY_SOCKET came from a foreign process, ignored"))
    }
  }

  private func isOwn(_ sender: NotifyServer.Sender) -> Bool { sender.pid == pid || containment.contains(sender.pid) }

  var lastLines: [String] { output.tail }

  // MARK: Ending

  func signal(_ signal: Signal) { _ = pidfd.signal(signal) }

  func exited() {
    hasExited = true
    containment.reaped()
    receive()
    output.drain()
  }

  /// Calls back when something of the containment may have ended.
  func watchEmptiness(_ changed: @escaping () -> Void) {
    guard emptiness == nil else { return }
    emptiness = loop.schedule(after: .milliseconds(50)) { [weak self] in
      self?.emptiness = nil
      changed()
    }
  }

  func close() {
    loop.cancel(emptiness)
    loop.cancel(memoryLook)
    loop.cancel(deaf)
    notifyRegistration?.cancel()
    memoryRegistration?.cancel()
    output.close()
    containment.remove()
  }
}
