/// How important an entry is. Source: syslog(3).
public enum LogPriority: UInt8, Hashable, Sendable, Comparable, CaseIterable {
  case emergency = 0
  case alert = 1
  case critical = 2
  /// Something was given up.
  case error = 3
  /// Something failed and work went on.
  case warning = 4
  /// A state changed.
  case notice = 5
  case info = 6
  case debug = 7

  /// More important is less.
  public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

  var word: String {
    switch self {
    case .emergency: "emergency"
    case .alert: "alert"
    case .critical: "critical"
    case .error: "error"
    case .warning: "warning"
    case .notice: "notice"
    case .info: "info"
    case .debug: "debug"
    }
  }
}

/// The 128-bit name of one kind of message, for `journalctl MESSAGE_ID=` and the catalog. Made once, by
/// `systemd-id128 new`, and never changed.
public struct MessageID: Hashable, Sendable, CustomStringConvertible {
  private let high: UInt64
  private let low: UInt64

  public init(_ high: UInt64, _ low: UInt64) { (self.high, self.low) = (high, low) }

  /// 32 hexadecimal digits, as the journal and the catalog write it.
  public var description: String {
    [high, low].map { half in
      let digits = String(half, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}

/// The name of a field of the journal: `A-Z`, `0-9` and `_`, at most 64 bytes, not starting with a digit or with `_`,
/// which marks fields that only the journal itself may set. Source: systemd.journal-fields(7).
public struct LogFieldName: Hashable, Sendable, CustomStringConvertible {
  public let description: String

  /// nil when `text` is not such a name.
  public init?(_ text: String) {
    guard let first = text.utf8.first, text.utf8.count <= 64, Self.isUpper(first),
      text.utf8.allSatisfy({ Self.isUpper($0) || (48...57).contains($0) || $0 == UInt8(ascii: "_") })
    else { return nil }
    description = text
  }

  private static func isUpper(_ byte: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }
}

public struct LogField: Hashable, Sendable {
  public let name: LogFieldName
  public let value: String

  public init(_ name: LogFieldName, _ value: String) { (self.name, self.value) = (name, value) }

  /// nil when `name` is not a field name.
  public init?(_ name: String, _ value: String) {
    guard let name = LogFieldName(name) else { return nil }
    self.init(name, value)
  }
}

/// One message with its fields. Two printers: the journal's protocol, and a plain line for where there is no journal.
public struct LogEntry: Hashable, Sendable {
  public var priority: LogPriority
  /// Constant for a kind, but for names and numbers; variable parts also belong into fields.
  public var message: String
  public var messageID: MessageID?
  /// A name may repeat: the journal keeps all values.
  public var fields: [LogField]
  /// Printed in front of a plain line as it is (`web.2 g3 |`); the journal has it in fields.
  public var origin: String?

  public init(
    _ priority: LogPriority, _ message: String, id messageID: MessageID? = nil, fields: [LogField] = [],
    origin: String? = nil
  ) {
    self.priority = priority
    self.message = message
    self.messageID = messageID
    self.fields = fields
    self.origin = origin
  }
}
