/// The native protocol of the journal: `NAME=value` lines, or, for values with line feeds, the name, a length and the
/// bytes. Source: https://systemd.io/JOURNAL_NATIVE_PROTOCOL
enum JournalFormat {
  /// The most bytes of one value and the most fields of one entry; more is cut, so that no message can be used to fill
  /// the disk or this process's memory.
  static let valueLimit = 256 * 1024
  static let fieldLimit = 128

  static func bytes(_ entry: LogEntry, always constant: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(constant.count + entry.message.utf8.count + 64 * (entry.fields.count + 3))
    append("PRIORITY", "\(entry.priority.rawValue)", to: &bytes)
    append("MESSAGE", entry.message, to: &bytes)
    if let id = entry.messageID { append("MESSAGE_ID", id.description, to: &bytes) }
    bytes += constant
    append(entry.fields, to: &bytes)
    return bytes
  }

  static func append(_ fields: [LogField], to bytes: inout [UInt8]) {
    for field in fields.prefix(fieldLimit) { append(field.name.description, field.value, to: &bytes) }
  }

  private static func append(_ name: String, _ value: String, to bytes: inout [UInt8]) {
    var value = value
    value.withUTF8 { append(name, $0, to: &bytes) }
  }

  private static func append(_ name: String, _ value: UnsafeBufferPointer<UInt8>, to bytes: inout [UInt8]) {
    let end = cut(value)
    bytes += name.utf8
    if value[..<end].contains(UInt8(ascii: "\n")) {
      bytes.append(UInt8(ascii: "\n"))
      withUnsafeBytes(of: UInt64(end).littleEndian) { bytes.append(contentsOf: $0) }
    } else {
      bytes.append(UInt8(ascii: "="))
    }
    bytes.append(contentsOf: value[..<end])
    bytes.append(UInt8(ascii: "\n"))
  }

  /// At most ``valueLimit``, never inside a character.
  private static func cut(_ value: UnsafeBufferPointer<UInt8>) -> Int {
    guard value.count > valueLimit else { return value.count }
    var end = valueLimit
    while end > 0, value[end] & 0xc0 == 0x80 { end -= 1 }
    return end
  }
}
