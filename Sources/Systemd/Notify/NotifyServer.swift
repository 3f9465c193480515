import Glibc

/// A NOTIFY_SOCKET for processes this program starts itself, so that they can say what they would say to systemd.
///
/// Every sender is checked by the kernel's word (SCM_CREDENTIALS). A flood cannot hold up the caller: each
/// ``receive(limit:from:handle:)`` takes a bounded number of datagrams and leaves the rest in the bounded queue, where the
/// sender waits or is refused. Descriptors in messages are never kept.
public final class NotifyServer {
  /// Where it is bound; what goes into the child's `NOTIFY_SOCKET`.
  public let path: String
  /// To be watched for readability. Belongs to the server.
  public let descriptor: Int32
  /// The socket file as it was made: another one at the same path is not ours to remove.
  private let identity: FileIdentity?

  public struct Sender: Hashable, Sendable {
    public let pid: Int32
    public let uid: UInt32
    public let gid: UInt32
  }

  /// What one call took in.
  public struct Batch: Hashable, Sendable {
    /// Datagrams given to the handler.
    public internal(set) var accepted = 0
    /// Datagrams of senders that were not accepted, or without credentials.
    public internal(set) var strangers = 0
    /// Datagrams above 4 KiB or with too many descriptors, and those in which nothing made sense.
    public internal(set) var malformed = 0
    /// The limit was reached: more may wait. The descriptor stays readable then.
    public internal(set) var isFull = false
  }

  /// Binds `path`, which must not exist (a socket there that nobody reads is removed first), with `mode`: who may connect
  /// is of no importance, since every sender is checked.
  public init(path: String, mode: UInt32 = 0o666) throws(SystemdError) {
    let address = try UnixAddress(path)
    let raw = try UnixDatagram.makeSocket()
    do throws(SystemdError) {
      try Self.bind(raw, to: address, path: path, mode: mode)
    } catch {
      close(raw)
      throw error
    }
    self.path = path
    descriptor = raw
    identity = FileIdentity(path: path)
  }

  /// Goes on with a socket that another image of this program bound to `path` and left open at `descriptor`, which
  /// belongs to the server from now on. What waits in it is received.
  package init(resuming descriptor: Int32, path: String) {
    self.path = path
    self.descriptor = descriptor
    identity = FileIdentity(path: path)
  }

  deinit {
    close(descriptor)
    if let identity, identity == FileIdentity(path: path) { unlink(path) }
  }

  private static func bind(_ raw: Int32, to address: UnixAddress, path: String, mode: UInt32) throws(SystemdError) {
    var on: Int32 = 1
    guard setsockopt(raw, SOL_SOCKET, SO_PASSCRED, &on, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
      throw SystemdError("ask for credentials on", path, errno: errno)
    }
    var answer = address.withSockaddr { Glibc.bind(raw, $0, $1) }
    var number = answer == 0 ? 0 : errno
    if number == EADDRINUSE, try isAbandoned(address, path: path), unlink(path) == 0 {
      answer = address.withSockaddr { Glibc.bind(raw, $0, $1) }
      number = answer == 0 ? 0 : errno
    }
    guard number == 0 else { throw SystemdError("bind", path, errno: number) }
    if path.utf8.first == UInt8(ascii: "/"), chmod(path, mode) != 0 {
      let number = errno
      unlink(path)
      throw SystemdError("set the mode of", path, errno: number)
    }
  }

  /// A socket file whose owner is gone refuses connections; so does a plain file, which is not ours to remove.
  private static func isAbandoned(_ address: UnixAddress, path: String) throws(SystemdError) -> Bool {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return false }
    let probe = try UnixDatagram.makeSocket()
    defer { close(probe) }
    return address.withSockaddr { connect(probe, $0, $1) } != 0 && errno == ECONNREFUSED
  }

  /// Gives at most `limit` waiting datagrams to `handle`, in the order they were sent, each with its sender. Only senders
  /// that `isAccepted` answers true for are read; the others are counted.
  ///
  /// A barrier is answered (its descriptor closed) after `handle` returned for it, and thus after everything before it
  /// was handled. Other descriptors are closed unread.
  public func receive(
    limit: Int = 16, from isAccepted: (Sender) -> Bool, handle: (Sender, [Notification]) -> Void
  ) throws(SystemdError) -> Batch {
    var batch = Batch()
    for _ in 0..<max(limit, 1) {
      guard let datagram = try UnixDatagram.receive(on: descriptor, capacity: Notification.datagramLimit) else {
        return batch
      }
      defer { for raw in datagram.descriptors { close(raw) } }
      guard let pid = datagram.pid, pid > 0 else {
        batch.strangers += 1
        continue
      }
      let sender = Sender(pid: pid, uid: datagram.uid, gid: datagram.gid)
      guard isAccepted(sender) else {
        batch.strangers += 1
        continue
      }
      let notifications = datagram.isTruncated ? [] : Notification.parse(datagram.bytes)
      guard !notifications.isEmpty else {
        batch.malformed += 1
        continue
      }
      batch.accepted += 1
      handle(sender, notifications)
    }
    batch.isFull = true
    return batch
  }
}

/// Which file a path means now.
private struct FileIdentity: Equatable {
  let device: UInt64
  let inode: UInt64

  init?(path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return nil }
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
  }
}
