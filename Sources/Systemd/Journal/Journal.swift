import CSystemd
import Glibc

/// Sends entries with fields to the journal, without waiting. Source: sd_journal_send(3), systemd-journald.service(8).
///
/// An entry that the journal has no room for now is dropped and counted. The socket is addressed anew each time, so that
/// a journal that was restarted is found again.
public final class Journal {
  public static let standardPath = "/run/systemd/journal/socket"

  private let socket: Int32
  private let address: UnixAddress
  private let path: String
  private let constant: [UInt8]

  /// Entries that were not taken since the beginning.
  public private(set) var dropped: UInt64 = 0

  /// `always`: fields that every entry gets, such as SYSLOG_IDENTIFIER.
  public init(path: String = Journal.standardPath, always: [LogField] = []) throws(SystemdError) {
    address = try UnixAddress(path)
    self.path = path
    socket = try UnixDatagram.makeSocket()
    // Without the room, larger entries go through memory files; with it, most fit a datagram. Refused to nobody.
    var size: Int32 = 8 << 20
    setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    var bytes: [UInt8] = []
    JournalFormat.append(always, to: &bytes)
    constant = bytes
  }

  deinit { close(socket) }

  /// Returns why the entry was dropped; nil when the journal has it.
  public func write(_ entry: LogEntry) -> SystemdError? {
    let bytes = JournalFormat.bytes(entry, always: constant)
    guard var number = UnixDatagram.send(bytes, on: socket, to: address) else { return nil }
    if number == EMSGSIZE || number == ENOBUFS {
      switch Self.sealedFile(bytes) {
      case .failure(let failure):
        dropped += 1
        return failure
      case .success(let file):
        defer { close(file) }
        guard let second = UnixDatagram.send([], descriptors: [file], on: socket, to: address) else { return nil }
        number = second
      }
    }
    dropped += 1
    return SystemdError("write to the journal at", path, errno: number)
  }

  /// What is larger than a datagram is passed as memory that can no longer change.
  private static func sealedFile(_ bytes: [UInt8]) -> Result<Int32, SystemdError> {
    let file = csd_sealable_memory("journal-entry")
    guard file >= 0 else { return .failure(SystemdError("make a memory file", errno: errno)) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else {
        let number = errno
        close(file)
        return .failure(SystemdError("write to a memory file", errno: number))
      }
      rest = rest.dropFirst(written)
    }
    // F_ADD_SEALS: no more seals, no shrinking, no growing, no writing. Source: fcntl(2).
    guard fcntl(file, 1024 + 9, 0x1 | 0x2 | 0x4 | 0x8) == 0 else {
      let number = errno
      close(file)
      return .failure(SystemdError("seal a memory file", errno: number))
    }
    return .success(file)
  }

  /// Whether `descriptor` is the stream to the journal that `$JOURNAL_STREAM` names, so that plain lines written there
  /// reach the journal too. The variable stays: it is about the descriptor, which children inherit. Source:
  /// systemd.exec(5).
  public static func isStream(_ descriptor: Int32) -> Bool {
    guard let text = ManagerEnvironment.take("JOURNAL_STREAM", unset: false) else { return false }
    return isStream(descriptor, named: text)
  }

  /// `text` is `DEVICE:INODE`.
  static func isStream(_ descriptor: Int32, named text: String) -> Bool {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let device = UInt64(parts[0]), let inode = UInt64(parts[1]) else { return false }
    var status = stat()
    return fstat(descriptor, &status) == 0 && UInt64(status.st_dev) == device && UInt64(status.st_ino) == inode
  }
}
