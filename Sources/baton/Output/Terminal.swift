import ControlProtocol
import Glibc
import JSON

/// Where results and messages go. Results to stdout, everything about how it went to stderr; colour and moving lines only
/// on a terminal, and never with NO_COLOR (no-color.org).
enum Terminal {
  static func print(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }
  static func say(_ text: String) { write(text + "\n", to: STDERR_FILENO) }
  /// On a terminal broken between words, later lines indented; elsewhere one line, as programs want it.
  static func print(_ line: StyledLine, indent: Int) {
    for part in line.wrapped(to: size?.columns, indent: indent) { print(part.text(width: nil, colour: usesColour)) }
  }

  /// As ``print(_:indent:)``; each line of the text by itself.
  static func say(_ text: String, indent: Int) {
    let width = size(of: STDERR_FILENO)?.columns
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      for part in StyledLine(String(line)).wrapped(to: width, indent: indent) {
        say(part.text(width: nil, colour: false))
      }
    }
  }

  /// With the escapes in it; for a terminal alone.
  static func sayRaw(_ text: String) { write(text, to: STDERR_FILENO) }

  /// One value a line.
  static func print(_ json: JSON) { print(json.text) }

  static var usesColour: Bool {
    isatty(STDOUT_FILENO) == 1 && Host.variable("NO_COLOR") == nil && Host.variable("TERM") != "dumb"
  }

  /// Of the terminal results go to; nil where they go elsewhere. Source: ioctl_tty(2).
  static var size: (columns: Int, rows: Int)? { size(of: STDOUT_FILENO) }

  static func size(of descriptor: Int32) -> (columns: Int, rows: Int)? {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
    return (Int(size.ws_col), Int(size.ws_row))
  }

  static var movesLines: Bool { isatty(STDERR_FILENO) == 1 && Host.variable("TERM") != "dumb" }

  /// A line that the next one replaces, on a terminal; plain lines otherwise.
  static func progress(_ text: String) {
    guard movesLines else { return say(text) }
    write("\r\u{1B}[K" + text.prefix((size?.columns ?? 80) - 1), to: STDERR_FILENO)
  }

  static func endProgress() { if movesLines { write("\r\u{1B}[K", to: STDERR_FILENO) } }

  private static func write(_ text: String, to descriptor: Int32) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno != EINTR {
        // A result that nobody can have is a failure; the words about it have nowhere to go.
        if descriptor == STDOUT_FILENO { exit(Int32(ExitStatus.failed.code)) }
        return
      }
      bytes = bytes.dropFirst(max(count, 0))
    }
  }
}
