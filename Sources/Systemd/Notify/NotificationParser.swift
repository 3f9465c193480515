extension Notification {
  /// Reads a datagram as the manager would: lines `KEY=VALUE`, in order, a backslash only standing for the character
  /// after it. Unknown keys, known keys with a value that makes
  /// no sense, and lines without `=` are left out; a datagram above ``datagramLimit`` says nothing.
  ///
  /// A value is whatever the sender wrote: a status may hold any text without a line feed.
  public static func parse(_ datagram: [UInt8]) -> [Notification] {
    guard datagram.count <= datagramLimit else { return [] }
    var fields: [Field] = []
    for line in datagram.split(separator: UInt8(ascii: "\n")) {
      guard let equals = line.firstIndex(of: UInt8(ascii: "=")), equals > line.startIndex else { continue }
      fields.append(
        Field(
          key: String(decoding: line[..<equals], as: UTF8.self), value: text(of: line[line.index(after: equals)...])))
    }
    return fields.compactMap { notification($0, in: fields) }
  }

  private static func text(of value: ArraySlice<UInt8>) -> String {
    let backslash = UInt8(ascii: "\\")
    guard value.contains(backslash) else { return String(decoding: value, as: UTF8.self) }
    var bytes: [UInt8] = []
    var isEscaped = false
    for byte in value {
      if byte == backslash, !isEscaped {
        isEscaped = true
      } else {
        bytes.append(byte)
        isEscaped = false
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private struct Field {
    let key: String
    let value: String
  }

  /// What one line means; lines that only qualify another one (`FDNAME`, `FDPOLL`, `MONOTONIC_USEC`) mean nothing alone.
  private static func notification(_ field: Field, in fields: [Field]) -> Notification? {
    func first(_ key: String) -> String? { fields.first { $0.key == key }?.value }
    func flag(_ notification: Notification) -> Notification? { field.value == "1" ? notification : nil }
    switch field.key {
    case "READY": return flag(.ready)
    case "RELOADING": return flag(.reloading(monotonicMicroseconds: first("MONOTONIC_USEC").flatMap(number)))
    case "STOPPING": return flag(.stopping)
    case "STATUS": return .status(field.value)
    case "ERRNO": return number(field.value).map(Notification.errno)
    case "BUSERROR": return .busError(field.value)
    case "EXIT_STATUS": return number(field.value).map(Notification.exitStatus)
    case "MAINPID": return number(field.value).flatMap { (pid: Int32) in pid > 0 ? .mainPID(pid) : nil }
    case "WATCHDOG": return field.value == "trigger" ? .watchdogTrigger : flag(.watchdog)
    case "WATCHDOG_USEC": return microseconds(field.value).map(Notification.watchdogInterval)
    case "EXTEND_TIMEOUT_USEC": return microseconds(field.value).map(Notification.extendTimeout)
    case "FDSTORE":
      return flag(.fileDescriptorStore(name: first("FDNAME") ?? "stored", poll: first("FDPOLL") != "0"))
    case "FDSTOREREMOVE": return first("FDNAME").flatMap { flag(.fileDescriptorRemove(name: $0)) }
    case "BARRIER": return flag(.barrier)
    default: return nil
    }
  }

  /// Digits only: no sign in front but a minus for signed types, no spaces, no overflow.
  private static func number<Integer: FixedWidthInteger>(_ text: String) -> Integer? {
    text.first == "+" ? nil : Integer(text)
  }

  private static func microseconds(_ text: String) -> Duration? {
    number(text).flatMap { (value: Int64) in value >= 0 ? .microseconds(value) : nil }
  }
}
