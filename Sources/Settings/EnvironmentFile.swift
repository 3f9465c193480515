/// A file of NAME=VALUE lines, as `environment-files` names them.
///
/// Blank lines and lines that start with `#` or `;` are skipped. A value may stand in `'…'` (taken as it is) or in `"…"`
/// (`\"`, `\\`, `\$`, `` \` `` and `\n` are escapes). Nothing is expanded and no line is continued.
package enum EnvironmentFile {
  typealias Assignment = (name: String, value: String, line: Int)

  /// What a file of secrets holds.
  ///
  /// - Throws: where and what kind of thing is wrong. What stands there is left out: it may be a piece of a secret.
  package static func readSecrets(_ path: String) throws(SettingsError) -> [(name: String, value: String)] {
    let bytes: [UInt8]
    do throws(UnreadableFile) {
      bytes = try HostFiles.read(path)
    } catch {
      throw SettingsError(file: path, at: Position(line: 1, column: 1), message: "it cannot be read: \(error.reason)")
    }
    let (assignments, errors) = parse(bytes, file: path)
    if let error = errors.first {
      let place = Position(line: error.line, column: error.column)
      throw SettingsError(file: path, at: place, message: "this line cannot be read as NAME=VALUE")
    }
    return assignments.map { ($0.name, $0.value) }
  }

  /// What stands in `bytes`, and an error for each line that cannot be read.
  static func parse(_ bytes: [UInt8], file: String) -> (assignments: [Assignment], errors: [SettingsError]) {
    var assignments: [Assignment] = []
    var errors: [SettingsError] = []
    for (index, raw) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      let line = raw.last == UInt8(ascii: "\r") ? raw.dropLast() : raw
      do {
        guard let (name, value) = try assignment(line) else { continue }
        assignments.append((name, value, index + 1))
      } catch {
        errors.append(
          SettingsError(
            file: file, at: Position(line: index + 1, column: error.column), message: error.message, hint: error.hint))
      }
    }
    return (assignments, errors)
  }

  private struct BadLine: Error {
    var column = 1
    var message: String
    var hint: String?
  }

  private static func assignment(_ bytes: ArraySlice<UInt8>) throws(BadLine) -> (String, String)? {
    guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
      throw BadLine(message: "the line is not text in UTF-8")
    }
    let line = text.drop { $0 == " " || $0 == "\t" }
    guard let first = line.first, first != "#", first != ";" else { return nil }
    guard let equals = line.firstIndex(of: "=") else {
      throw BadLine(message: "the line has no \"=\"; NAME=VALUE is accepted")
    }
    var name = String(line[..<equals])
    if name.hasPrefix("export ") {
      name = String(name.dropFirst(7))
      throw BadLine(message: "\"export\" is the shell's; NAME=VALUE is accepted", hint: "write \(name)=…")
    }
    while name.last == " " { name.removeLast() }
    if let reason = EnvironmentName.refusal(name) { throw BadLine(message: reason) }
    let column = text.unicodeScalars.count - line[line.index(after: equals)...].unicodeScalars.count + 1
    return (name, try value(line[line.index(after: equals)...], column: column))
  }

  private static func value(_ text: Substring, column: Int) throws(BadLine) -> String {
    var rest = text.drop { $0 == " " || $0 == "\t" }
    guard let quote = rest.first, quote == "\"" || quote == "'" else {
      while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
      guard rest.last != "\\" else {
        throw BadLine(column: column, message: "lines are not continued by a \"\\\" at their end")
      }
      return String(rest)
    }
    rest.removeFirst()
    var value = ""
    while let character = rest.popFirst() {
      if character == quote {
        guard rest.allSatisfy({ $0 == " " || $0 == "\t" }) else {
          throw BadLine(column: column, message: "something follows the closing \(quote)")
        }
        return value
      }
      guard character == "\\", quote == "\"" else {
        value.append(character)
        continue
      }
      guard let escaped = rest.popFirst() else { break }
      switch escaped {
      case "n": value.append("\n")
      case "\"", "\\", "$", "`": value.append(escaped)
      default: value += "\\\(escaped)"
      }
    }
    throw BadLine(column: column, message: "the closing \(quote) is missing; values do not span lines")
  }
}

/// Which names settings may give to a worker's environment.
enum EnvironmentName {
  /// Set by batond for each worker, so that settings cannot contradict it.
  static let reserved = ["NOTIFY_SOCKET"]
  static let reservedPrefixes = ["LISTEN_", "WATCHDOG_", "BATON_"]

  /// nil when `name` may be set.
  static func refusal(_ name: String) -> String? {
    let shown = TomlText.quoted(name, limit: 60)
    let isLetter = { (byte: UInt8) in
      (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == UInt8(ascii: "_")
    }
    guard let first = name.utf8.first, isLetter(first),
      name.utf8.allSatisfy({ isLetter($0) || (0x30...0x39).contains($0) })
    else { return "\(shown) is no name of a variable; letters, digits and _ are accepted, no digit first" }
    guard !reserved.contains(name), !reservedPrefixes.contains(where: { name.hasPrefix($0) }) else {
      return "\(name) is set by batond itself; LISTEN_*, NOTIFY_SOCKET, WATCHDOG_* and BATON_* are not accepted"
    }
    return nil
  }
}
