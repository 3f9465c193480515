import Glibc

/// Writes entries as lines, for where there is no journal: a terminal, a file, a pipe.
///
/// Never waits for the reader: what a pipe has no room for now is dropped and counted. The descriptor's flags are left as
/// they are, since they belong to everyone who shares it.
public final class PlainLog {
  private let descriptor: Int32
  private let levels: Levels
  /// A file always has room.
  private let isFile: Bool

  /// Entries that were not taken since the beginning.
  public private(set) var dropped: UInt64 = 0

  public enum Levels: Hashable, Sendable {
    /// `warning: ` and the like, from warnings on: for people.
    case words
    /// `<4>` in front of every line: for a service manager that reads the stream. Source: sd-daemon(3).
    case numbers
  }

  /// A write of at most this many bytes to a pipe that has room is never divided and never waits (PIPE_BUF).
  private static let lineLimit = 4096

  /// `descriptor` stays the caller's.
  public init(descriptor: Int32 = 2, levels: Levels = .words) {
    self.descriptor = descriptor
    self.levels = levels
    var status = stat()
    isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  /// Returns why the entry was dropped; nil when it was written.
  public func write(_ entry: LogEntry) -> SystemdError? {
    guard let number = put(Array(Self.text(entry, levels: levels).utf8)) else { return nil }
    dropped += 1
    return SystemdError("write a line to", "fd \(descriptor)", errno: number)
  }

  /// The lines of `entry`, at most 4 KiB, control characters escaped so that no program can paint on the terminal.
  /// Further lines of a message are indented.
  public static func text(_ entry: LogEntry, levels: Levels) -> String {
    let number = levels == .numbers ? "<\(entry.priority.rawValue)>" : ""
    var head = entry.origin.map { OneLine.escaped($0, limit: 256) + " " } ?? ""
    if levels == .words, entry.priority <= .warning { head += "\(entry.priority.word): " }
    var text = ""
    for line in lines(of: entry.message) {
      let start = number + (text.isEmpty ? head : "    ")
      let room = lineLimit - text.utf8.count - start.utf8.count - 1
      guard room > 3 else { break }
      text += start + OneLine.escaped(line, limit: room) + "\n"
    }
    return text
  }

  private static func lines(of message: String) -> [String] {
    guard message.utf8.contains(UInt8(ascii: "\n")) else { return [message] }
    return message.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }

  private func put(_ bytes: [UInt8]) -> Int32? {
    if !isFile {
      var target = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      guard poll(&target, 1, 0) == 1 else { return EAGAIN }
    }
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { return errno }
      rest = rest.dropFirst(written)
    }
    return nil
  }
}
