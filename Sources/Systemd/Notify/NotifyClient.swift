import Glibc

/// Tells the service manager about this process. Source: sd_notify(3).
///
/// Without a manager there is no client: ``fromEnvironment(unset:)`` answers nil, and `client?.send(…)` does nothing. A
/// message that cannot be sent is an answer for the caller, never fatal; nothing here waits but ``barrier(timeout:)``.
public final class NotifyClient {
  private let socket: Int32
  private let address: UnixAddress
  private let addressText: String

  /// A client for the socket at `address`: an absolute path or `@NAME`. vsock addresses, which belong to virtual machines,
  /// are refused.
  public init(address text: String) throws(SystemdError) {
    address = try UnixAddress(text)
    addressText = text
    socket = try UnixDatagram.makeSocket()
  }

  deinit { close(socket) }

  /// The client for `$NOTIFY_SOCKET`, or nil without one. The variable is removed unless `unset` is false, so that
  /// children do not speak in this program's name; call it before starting any thread.
  public static func fromEnvironment(unset: Bool = true) throws(SystemdError) -> NotifyClient? {
    guard let text = ManagerEnvironment.take("NOTIFY_SOCKET", unset: unset), !text.isEmpty else { return nil }
    return try NotifyClient(address: text)
  }

  /// Sends all of `notifications` in one datagram, so that they take effect together. Returns why it did not leave; nil
  /// when it did.
  ///
  /// ``Notification/barrier`` and ``Notification/fileDescriptorStore(name:poll:)`` need descriptors: use the calls below.
  public func send(_ notifications: Notification...) -> SystemdError? { send(notifications) }

  public func send(_ notifications: [Notification]) -> SystemdError? {
    send(notifications, descriptors: [])
  }

  /// Asks the manager to keep `descriptors` under `name` (FDSTORE=1). They stay the caller's; the manager holds copies.
  ///
  /// Silently without effect unless the unit says `FileDescriptorStoreMax=`; stored sockets stay bound until
  /// ``removeDescriptors(name:)``. At most 253 at once. With `poll` false they are kept even when they hang up.
  public func storeDescriptors(_ descriptors: [Int32], name: String, poll: Bool = true) -> SystemdError? {
    send([.fileDescriptorStore(name: name, poll: poll)], descriptors: descriptors)
  }

  /// Asks the manager to close everything it keeps under `name` (FDSTOREREMOVE=1).
  public func removeDescriptors(name: String) -> SystemdError? {
    send([.fileDescriptorRemove(name: name)])
  }

  /// Asks the manager to keep `descriptor`, which it keeps under `old`, under `name` instead. It keeps a descriptor under one
  /// name alone, so the old one goes first; a process that is killed has asked for both or for none. Where this fails the
  /// old one may be gone: ask again.
  public func renameDescriptor(_ descriptor: Int32, from old: String, to name: String, poll: Bool = true)
    -> SystemdError?
  {
    let (remove, store) = (
      Notification.fileDescriptorRemove(name: old), Notification.fileDescriptorStore(name: name, poll: poll)
    )
    if let refusal = Self.refusal(of: [remove, store], descriptors: [descriptor]) {
      return SystemdError("send", Self.summary([remove, store]), cause: .invalid(refusal))
    }
    let number = UnixDatagram.send(
      Array(remove.lines.utf8), then: Array(store.lines.utf8), descriptors: [descriptor], on: socket, to: address)
    return number.map { SystemdError("send \(Self.summary([remove, store])) to", addressText, errno: $0) }
  }

  /// Sends BARRIER=1. The answer is a descriptor, the caller's to close, that reports POLLHUP once the manager has
  /// handled everything sent before.
  public func barrier() -> Result<Int32, SystemdError> {
    var ends: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
      return .failure(SystemdError("make a pair of sockets", errno: errno))
    }
    let failure = send([.barrier], descriptors: [ends[1]])
    close(ends[1])
    guard let failure else { return .success(ends[0]) }
    close(ends[0])
    return .failure(failure)
  }

  /// Waits until the manager has handled everything sent before, at most `timeout`. For programs that are about to exit:
  /// the manager cannot tell who sent a message when the sender is gone.
  public func barrier(timeout: Duration) -> SystemdError? {
    let reader: Int32
    switch barrier() {
    case .failure(let failure): return failure
    case .success(let end): reader = end
    }
    defer { close(reader) }
    let milliseconds = Int32(clamping: timeout.wholeMicroseconds / 1_000)
    var waited = pollfd(fd: reader, events: 0, revents: 0)
    var answer: Int32
    repeat { answer = poll(&waited, 1, milliseconds) } while answer < 0 && errno == EINTR
    if answer == 1 { return nil }
    return SystemdError("wait for the manager at", addressText, errno: answer == 0 ? ETIMEDOUT : errno)
  }

  private func send(_ notifications: [Notification], descriptors: [Int32]) -> SystemdError? {
    if let refusal = Self.refusal(of: notifications, descriptors: descriptors) {
      return SystemdError("send", Self.summary(notifications), cause: .invalid(refusal))
    }
    let text = notifications.map { Self.stamped($0).lines }.joined()
    guard text.utf8.count <= Notification.datagramLimit else {
      return SystemdError(
        "send", Self.summary(notifications),
        cause: .invalid("longer than the \(Notification.datagramLimit) bytes the manager takes"))
    }
    guard let number = UnixDatagram.send(Array(text.utf8), descriptors: descriptors, on: socket, to: address) else {
      return nil
    }
    return SystemdError("send \(Self.summary(notifications)) to", addressText, errno: number)
  }

  private static func refusal(of notifications: [Notification], descriptors: [Int32]) -> String? {
    if notifications.isEmpty { return "there is nothing to send" }
    for notification in notifications {
      switch notification {
      case .fileDescriptorStore(let name, _), .fileDescriptorRemove(let name):
        if !Notification.isValidDescriptorName(name) {
          return "\"\(OneLine.escaped(name, limit: 64))\" is not a descriptor name: "
            + "it takes 1 to 255 printable ASCII characters without colon and backslash"
        }
        if case .fileDescriptorRemove = notification { continue }
        if descriptors.isEmpty { return "there is no descriptor to store" }
        if descriptors.count > UnixDatagram.descriptorLimit {
          return "a message takes at most \(UnixDatagram.descriptorLimit) descriptors"
        }
      case .barrier:
        if descriptors.count != 1 { return "a barrier needs exactly one descriptor" }
      case .ready, .reloading, .stopping, .status, .errno, .busError, .exitStatus, .mainPID, .watchdog,
        .watchdogTrigger, .watchdogInterval, .extendTimeout:
        continue
      }
    }
    return nil
  }

  private static func stamped(_ notification: Notification) -> Notification {
    guard case .reloading(nil) = notification else { return notification }
    return .reloading(monotonicMicroseconds: monotonicMicroseconds())
  }

  /// CLOCK_MONOTONIC, as ``Notification/reloading(monotonicMicroseconds:)`` wants it.
  public static func monotonicMicroseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000 &+ UInt64(time.tv_nsec) / 1_000
  }

  /// The first line of each, for an error.
  private static func summary(_ notifications: [Notification]) -> String {
    notifications.map { String($0.lines.prefix { $0 != "\n" }.prefix(64)) }.joined(separator: " ")
  }
}
