import ControlProtocol
import Glibc

/// Where results and messages go. Results to stdout, everything about how it went to stderr; colour and moving lines only
/// on a terminal, and never with NO_COLOR.
enum Terminal {
  static func print(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }
  static func say(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

  static func print(_ json: JSON) {
    var bytes: [UInt8] = []
    json.write(to: &bytes)
    print(String(decoding: bytes, as: UTF8.self))
  }

  static var isOutput: Bool { isatty(STDOUT_FILENO) == 1 }
  static var isError: Bool { isatty(STDERR_FILENO) == 1 }

  private static var usesColour: Bool {
    isOutput && Host.variable("NO_COLOR") == nil && Host.variable("TERM") != "dumb"
  }

  enum Colour: String { case red = "31", yellow = "33", green = "32", faint = "2", bold = "1" }

  static func paint(_ text: String, _ colour: Colour?) -> String {
    guard let colour, usesColour else { return text }
    return "\u{1b}[\(colour.rawValue)m\(text)\u{1b}[0m"
  }

  /// A line that the next one replaces, on a terminal; plain lines otherwise.
  static func progress(_ text: String) {
    guard isError else { return say(text) }
    write("\r\u{1b}[K\(text)", to: STDERR_FILENO)
  }

  static func endProgress() { if isError { write("\r\u{1b}[K", to: STDERR_FILENO) } }

  /// A reader that went away ends the program quietly: SIGPIPE keeps its default.
  private static func write(_ text: String, to descriptor: Int32) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno != EINTR { return }
      bytes = bytes.dropFirst(max(count, 0))
    }
  }
}
