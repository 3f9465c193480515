internal import CToml

/// Where something stands in a file: both count from 1, columns in code points.
package struct Position: Hashable, Sendable, Comparable {
  package var line: Int
  package var column: Int

  package init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  package static let start = Position(line: 1, column: 1)
  package static func < (left: Self, right: Self) -> Bool { (left.line, left.column) < (right.line, right.column) }
}

/// A value and where it is written.
package struct Located<Value> {
  package var value: Value
  package var position: Position

  package init(_ value: Value, at position: Position) {
    self.value = value
    self.position = position
  }

  func map<New>(_ transform: (Value) -> New) -> Located<New> { Located<New>(transform(value), at: position) }
}

extension Located: Equatable where Value: Equatable {}
extension Located: Hashable where Value: Hashable {}
extension Located: Sendable where Value: Sendable {}

/// A TOML value with its position; tables in the order of the file.
struct TomlNode: Hashable, Sendable {
  indirect enum Value: Hashable, Sendable {
    case table([TomlEntry])
    case array([TomlNode])
    case text(String)
    case integer(Int64)
    case float(Double)
    case boolean(Bool)
    case date
  }
  var value: Value
  var position: Position
}

struct TomlEntry: Hashable, Sendable {
  var key: String
  var keyPosition: Position
  var node: TomlNode
}

extension TomlNode {
  /// Below this depth everything reads as an empty table: no setting lies so deep, so what holds it is refused anyway.
  private static let depthLimit = 16

  /// The root table of a file, or its first syntax error.
  static func parse(_ bytes: [UInt8], file: String) -> Result<TomlNode, SettingsError> {
    var error = ctoml_error()
    let document = bytes.withUnsafeBytes { ctoml_parse($0.bindMemory(to: CChar.self).baseAddress, $0.count, &error) }
    guard let document else {
      let message = withUnsafeBytes(of: error.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      return .failure(
        SettingsError(file: file, at: Position(error.position), message: "this is not TOML: " + message))
    }
    defer { ctoml_free(document) }
    return .success(TomlNode(ctoml_root(document), depth: 0))
  }

  private init(_ node: OpaquePointer?, depth: Int) {
    position = Position(ctoml_node_position(node))
    switch ctoml_node_type(node) {
    case CTOML_ARRAY:
      let count = depth < Self.depthLimit ? ctoml_count(node) : 0
      value = .array((0..<count).map { TomlNode(ctoml_element(node, $0), depth: depth + 1) })
    case CTOML_STRING: value = .text(String(ctoml_string(node)))
    case CTOML_INTEGER: value = .integer(ctoml_integer(node))
    case CTOML_FLOAT: value = .float(ctoml_float(node))
    case CTOML_BOOLEAN: value = .boolean(ctoml_boolean(node))
    case CTOML_DATE: value = .date
    default:
      let count = depth < Self.depthLimit ? ctoml_count(node) : 0
      var entries = [ctoml_entry](repeating: ctoml_entry(), count: count)
      if count > 0 { ctoml_entries(node, &entries) }
      value = .table(
        entries.map {
          TomlEntry(
            key: String($0.key), keyPosition: Position($0.key_position), node: TomlNode($0.value, depth: depth + 1))
        })
    }
  }

  /// As an error names it: `the text "4"`.
  var shown: String {
    switch value {
    case .table: "a table"
    case .array: "a list"
    case .text(let text): "the text \(TomlText.quoted(text, limit: 60))"
    case .integer(let number): "the integer \(number)"
    case .float(let number): "the decimal \(number)"
    case .boolean(let flag): "\(flag)"
    case .date: "a date"
    }
  }
}

/// Text as TOML writes it.
enum TomlText {
  /// A basic string on one line. Beyond `limit` characters it is cut with "…", which is for people only.
  static func quoted(_ text: String, limit: Int = .max) -> String {
    var result = "\""
    for (index, scalar) in text.unicodeScalars.enumerated() {
      if index >= limit { return result + "…\"" }
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case "\r": result += "\\r"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F:
        let hex = String(scalar.value, radix: 16, uppercase: true)
        result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  static func list(_ texts: [String]) -> String { "[" + texts.map { quoted($0) }.joined(separator: ", ") + "]" }

  /// Bare where TOML allows it.
  static func key(_ text: String) -> String {
    let isBare =
      !text.isEmpty
      && text.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D
          || $0 == 0x5F
      }
    return isBare ? text : quoted(text)
  }
}

extension Position {
  fileprivate init(_ position: ctoml_position) {
    // toml++ gives the root, and some errors at the end of the file, no position.
    self.init(line: max(1, Int(position.line)), column: max(1, Int(position.column)))
  }
}

extension String {
  fileprivate init(_ text: ctoml_text) {
    self.init(
      decoding: UnsafeRawBufferPointer(start: text.length > 0 ? text.bytes : nil, count: text.length), as: UTF8.self)
  }
}
