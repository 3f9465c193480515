import ControlProtocol
import Glibc
package import LinuxSystem
package import Vocabulary

/// The control socket: takes connections, keeps them inside their limits, and gives their calls to the supervisor.
///
/// Runs on the loop's thread. No caller can delay it: every read, write and answer is bounded, and what does not fit its
/// bound is cut off. Connections stay until the caller leaves, breaks a limit, or ``close()``.
package final class ControlServer {
  package let path: String
  /// Replaced when users or groups may have changed; counts for the next call of every connection.
  package var policy: AccessPolicy

  /// The last caller has left.
  package var becameIdle: () -> Void = {}

  let loop: EventLoop
  let limits: ControlLimits
  let version: String
  private(set) weak var handler: (any ControlHandler)?
  private var listener: Descriptor?
  private var registration: EventLoop.Registration?
  private var connections: [ObjectIdentifier: ControlConnection] = [:]
  private var rate: CallRate
  private var sweep: TimerToken?

  private static let acceptsPerTurn = 16

  /// Listens at `path`, and takes it over from whoever had it: the caller makes sure that no other batond uses it (the
  /// lock). `handler` is kept weakly; calls that come without one are answered with an error.
  ///
  /// `resumed` is the listener of another image of this program, which goes on with its queue.
  package init(
    path: String, loop: EventLoop, handler: any ControlHandler, policy: AccessPolicy, version: String,
    limits: ControlLimits = ControlLimits(), resumed: Descriptor? = nil
  ) throws {
    self.path = path
    self.loop = loop
    self.handler = handler
    self.policy = policy
    self.version = version
    self.limits = limits
    rate = CallRate(limits)
    let listener = try resumed ?? Self.listen(at: path)
    self.listener = listener
    registration = try loop.register(listener, events: .read) { [unowned self] _ in acceptSome() }
  }

  /// Anyone may connect; what they may do is asked of the kernel, not of the path.
  private static func listen(at path: String) throws -> Descriptor {
    let fresh = path + ".new"
    unlink(fresh)
    let listener = try ListeningSocket.unix(
      fresh, .init(backlog: 128, nonblocking: true), mode: 0o666, owner: nil, group: nil)
    try retrying("put in place", path) { rename(fresh, path) }
    return listener
  }

  deinit {
    stopListening()
    for connection in connections.values { connection.abandon() }
  }

  package var connectionCount: Int { connections.count }

  /// Takes no more connections, ends those that follow events, and closes all; what was written to a caller is still
  /// read by it. The path is removed.
  package func close() {
    stopListening()
    for connection in Array(connections.values) { connection.end() }
  }

  private func stopListening() {
    guard let listener else { return }
    registration?.cancel()
    registration = nil
    listener.close()
    self.listener = nil
    unlink(path)
    loop.cancel(sweep)
    sweep = nil
  }

  // MARK: Connections

  private func acceptSome() {
    guard let listener else { return }
    for _ in 0..<Self.acceptsPerTurn {
      do throws(SystemError) {
        guard let descriptor = try Connection.accept(from: listener) else { return }
        try take(descriptor)
      } catch {
        // Out of descriptors or memory: the queue waits in the kernel until there are some again.
        return pause()
      }
    }
  }

  private func pause() {
    do throws(SystemError) { try registration?.watch([]) } catch { return }
    loop.schedule(after: .seconds(1)) { [weak self] in
      do throws(SystemError) { try self?.registration?.watch(.read) } catch {}
    }
  }

  private func caller(of descriptor: Descriptor) throws(SystemError) -> Caller {
    let peer = try descriptor.peerCredentials()
    return Caller(pid: peer.pid, uid: peer.user, gid: peer.group, groups: try descriptor.peerGroups())
  }

  private func take(_ descriptor: Descriptor) throws(SystemError) {
    let caller = try caller(of: descriptor)
    if let refusal = refusal(of: caller) {
      let message = refusal.reply.message
      // Into an empty buffer it fits; a caller that does not read it loses only the reason.
      _ = send(descriptor.raw, message, message.count, Int32(MSG_NOSIGNAL))
      return
    }
    admit(try ControlConnection(descriptor, caller: caller, server: self))
  }

  private func admit(_ connection: ControlConnection) {
    connections[ObjectIdentifier(connection)] = connection
    if sweep == nil { scheduleSweep() }
  }

  // MARK: Over an upgrade

  /// A caller whose last reply another image of this program can give.
  package struct HandedOver: Hashable, Sendable {
    package enum Wait: Hashable, Sendable { case verdict, events, reload(OperationID), call }
    package let descriptor: Int32
    package let wait: Wait
    package let more: Bool
  }

  /// The listening socket, and the callers that wait for the verdict on an upgrade or a reload, for events, or for nothing.
  /// Nothing is changed here; the others are hung up on when this image ends, and connect again.
  package var handedOver: (listener: Int32, connections: [HandedOver]) {
    (listener?.raw ?? -1, connections.values.compactMap(\.handedOver).sorted { $0.descriptor < $1.descriptor })
  }

  /// A caller that asked another image of this program for the upgrade.
  package func resumeUpgrade(of descriptor: Descriptor, more: Bool) throws(SystemError) -> ControlReply {
    try resume(descriptor).resumeUpgrade(more: more)
  }

  /// A caller that may ask something yet.
  package func resumeCaller(of descriptor: Descriptor) throws(SystemError) { _ = try resume(descriptor) }

  /// A caller that asked another image of this program for a reload, which is still to come.
  package func resumeReload(_ operation: OperationID, of descriptor: Descriptor, more: Bool) throws(SystemError)
    -> ControlReply
  {
    try resume(descriptor).resumeReload(operation, more: more)
  }

  /// A caller that asked another image of this program what happens, and has heard all until now.
  package func resumeEvents(of descriptor: Descriptor) throws(SystemError) -> EventSink {
    try resume(descriptor).resumeEvents()
  }

  private func resume(_ descriptor: Descriptor) throws(SystemError) -> ControlConnection {
    let connection = try ControlConnection(descriptor, caller: try caller(of: descriptor), server: self)
    admit(connection)
    return connection
  }

  private func refusal(of caller: Caller) -> ControlError? {
    let others = connections.values.filter { $0.caller.uid != 0 }
    let isFull =
      connections.count >= limits.connections
      || caller.uid != 0
        && (others.count >= limits.connectionsOfOthers
          || others.count { $0.caller.uid == caller.uid } >= limits.connectionsPerUser)
    return isFull ? .busy(holder: "\(connections.count) connections to the control socket", since: nil) : nil
  }

  func remove(_ connection: ControlConnection) {
    connections.removeValue(forKey: ObjectIdentifier(connection))
    if connections.isEmpty { becameIdle() }
  }

  /// nil: the call may be answered now.
  func delay(of caller: Caller) -> Instant? { rate.take(uid: caller.uid, at: loop.now) }

  private func scheduleSweep() {
    let quarter = Duration.nanoseconds(max(limits.patience.nanoseconds / 4, 1_000_000))
    sweep = loop.schedule(after: quarter) { [weak self] in
      guard let self else { return }
      for connection in Array(connections.values) { connection.checkPatience() }
      rate.forgetIdle(at: loop.now)
      sweep = nil
      if !connections.isEmpty { scheduleSweep() }
    }
  }
}
