internal import Vocabulary

/// Takes known keys out of one table. What has a wrong type is an error and reads as left out; what is left at the end
/// is unknown, and an error too: nothing in the file is ignored silently.
struct TableReader {
  typealias Text = Located<String>

  /// As the file writes it: `engine.web.prove`.
  let path: String
  let section: KnownKey.Section
  let position: Position
  let findings: Findings
  private var left: [TomlEntry]

  init(_ entries: [TomlEntry], path: String, section: KnownKey.Section, at position: Position, _ findings: Findings) {
    self.path = path
    self.section = section
    self.position = position
    self.findings = findings
    left = entries
  }

  mutating func take(_ key: KnownKey) -> TomlNode? {
    let name = key.name
    guard let index = left.firstIndex(where: { $0.key == name }) else { return nil }
    return left.remove(at: index).node
  }

  // MARK: Values

  mutating func text(_ key: KnownKey) -> Text? {
    guard let node = take(key) else { return nil }
    if case .text(let text) = node.value { return Located(text, at: node.position) }
    wrongType(node, key)
    return nil
  }

  mutating func integer(_ key: KnownKey) -> Located<Int64>? {
    guard let node = take(key) else { return nil }
    if case .integer(let number) = node.value { return Located(number, at: node.position) }
    wrongType(node, key)
    return nil
  }

  mutating func boolean(_ key: KnownKey) -> Located<Bool>? {
    guard let node = take(key) else { return nil }
    if case .boolean(let flag) = node.value { return Located(flag, at: node.position) }
    wrongType(node, key)
    return nil
  }

  mutating func texts(_ key: KnownKey) -> [Text]? { take(key).flatMap { texts(in: $0, key) }?.value }

  mutating func command(_ key: KnownKey) -> RawSettings.Command? { take(key).flatMap { texts(in: $0, key) } }

  func texts(in node: TomlNode, _ key: KnownKey) -> RawSettings.Command? {
    guard case .array(let elements) = node.value else {
      wrongType(node, key)
      return nil
    }
    var texts: [Text] = []
    for element in elements {
      guard case .text(let text) = element.value else {
        let hint = Correction.asText(element).map { "write \($0)" }
        findings.refuse("\(path).\(key.name)")
        findings.error(
          "\(key.name) holds \(element.shown); \(key.entry.form.accepted) is accepted", at: element.position, hint: hint
        )
        return nil
      }
      texts.append(Located(text, at: element.position))
    }
    return Located(texts, at: node.position)
  }

  /// `run = [["a"], ["b", "c"]]`
  mutating func commands(_ key: KnownKey) -> [RawSettings.Command] {
    take(key).map { commands(in: $0, key, called: key.name) } ?? []
  }

  /// `name` is the word in the file: the key's own, or one below it.
  func commands(in node: TomlNode, _ key: KnownKey, called name: String) -> [RawSettings.Command] {
    let accepted = KnownKey.Form.commands.accepted
    guard case .array(let elements) = node.value else {
      guard name != key.name else {
        wrongType(node, key)
        return []
      }
      findings.error("\(name) is \(node.shown); \(accepted) is accepted", at: node.position)
      return []
    }
    if let first = elements.first, case .text = first.value {
      let words = elements.compactMap { if case .text(let text) = $0.value { text } else { nil } }
      findings.error(
        "\(name) holds \(first.shown); \(accepted) is accepted", at: first.position,
        hint: "write \(name) = [\(TomlText.list(words))]")
      return []
    }
    return elements.compactMap { texts(in: $0, key) }
  }

  mutating func environment(_ key: KnownKey) -> RawSettings.Environment {
    guard let node = take(key) else { return [] }
    guard case .table(let entries) = node.value else {
      wrongType(node, key)
      return []
    }
    var result: RawSettings.Environment = []
    for entry in entries {
      guard case .text(let text) = entry.node.value else {
        let hint = Correction.asText(entry.node).map { "write \(TomlText.key(entry.key)) = \($0)" }
        findings.error(
          "\(entry.key) in \(path).\(key.name) is \(entry.node.shown); a text is accepted", at: entry.node.position,
          hint: hint)
        continue
      }
      result.append((Located(entry.key, at: entry.keyPosition), Located(text, at: entry.node.position)))
    }
    return result
  }

  /// The table below a key.
  mutating func table(_ key: KnownKey, _ section: KnownKey.Section) -> TableReader? {
    guard let node = take(key) else { return nil }
    guard let reader = table(in: node, key, section) else {
      wrongType(node, key)
      return nil
    }
    return reader
  }

  func table(in node: TomlNode, _ key: KnownKey, _ section: KnownKey.Section) -> TableReader? {
    guard case .table(let entries) = node.value else { return nil }
    return TableReader(entries, path: "\(path).\(key.name)", section: section, at: node.position, findings)
  }

  // MARK: Errors

  func wrongType(_ node: TomlNode, _ key: KnownKey) {
    findings.refuse("\(path).\(key.name)")
    findings.error(
      "\(key.name) is \(node.shown); \(key.entry.form.accepted) is accepted", at: node.position,
      hint: Correction.of(node, for: key).map { "write \($0)" })
  }

  /// To be called last: what has not been taken is unknown.
  func finish() {
    if left.isEmpty { return }
    let known = section.keys.map(\.name)
    for entry in left {
      findings.error(
        "\(TomlText.quoted(entry.key, limit: 60)) is no key of [\(path)]; known are \(known.joined(separator: ", "))",
        at: entry.keyPosition, hint: hint(entry.key, known))
    }
  }

  private func hint(_ word: String, _ known: [String]) -> String? {
    if let hint = NearestWord.hint(word, among: known) { return hint }
    let elsewhere = KnownKey.allCases.filter { $0.name == word && $0.section != .limits }.map { $0.section.title }
    return elsewhere.isEmpty ? nil : "it is a key of \(elsewhere.joined(separator: " and "))"
  }
}

/// How a value of a wrong type was probably meant.
enum Correction {
  /// `workers = 4` for `workers = "4"`; nil when it cannot be guessed.
  static func of(_ node: TomlNode, for key: KnownKey) -> String? {
    value(node, for: key.entry.form).map { "\(key.name) = \($0)" }
  }

  private static func value(_ node: TomlNode, for form: KnownKey.Form) -> String? {
    switch form {
    case .integer(let range):
      let number: Int64? =
        switch node.value {
        case .text(let text): Int64(text)
        case .float(let decimal): Int64(exactly: decimal)
        case .table, .array, .integer, .boolean, .date: nil
        }
      return number.flatMap { range.contains($0) ? "\($0)" : nil }
    case .boolean:
      return switch node.value {
      case .text(let text):
        ["true", "yes", "on", "1"].contains(text) ? "true" : ["false", "no", "off", "0"].contains(text) ? "false" : nil
      case .integer(let number): number == 1 ? "true" : number == 0 ? "false" : nil
      case .table, .array, .float, .boolean, .date: nil
      }
    case .duration, .durationOrTable: return asNumber(node).map { "\"\($0)s\"" }
    case .share, .percent: return asNumber(node).map { "\"\($0)%\"" }
    case .octal:
      guard case .integer(let number) = node.value, (0...0o777).contains(number) else { return nil }
      let digits = String(number, radix: 8)
      return "\"\(String(repeating: "0", count: 4 - digits.count))\(digits)\""
    case .text, .path, .url, .hostPort, .choice, .choiceOrTable: return asText(node)
    case .address:
      guard case .integer(let number) = node.value, (0...65_535).contains(number) else { return nil }
      return "\"*:\(number)\""
    case .shares: if let number = asNumber(node) { return "[\"\(number)%\"]" }
    case .texts, .names: if case .text(let text) = node.value { return TomlText.list([text]) }
    case .command, .commandOrExec, .commandOrURL: if case .text(let text) = node.value { return words(text) }
    case .commands: if case .text(let text) = node.value { return words(text).map { "[\($0)]" } }
    case .checkedURL, .innerPath, .variable, .databaseURL, .redisURL, .postgresURL: return asText(node)
    case .innerPaths, .windows: if case .text(let text) = node.value { return TomlText.list([text]) }
    case .statuses:
      if case .text(let text) = node.value { return Int64(text).flatMap { (100...599).contains($0) ? "\($0)" : nil } }
    case .size:
      guard case .integer(let number) = node.value, number > 0 else { return nil }
      return "\"\(ByteCount(UInt64(number)).text)\""
    case .limit, .environment, .table, .scalar, .hooks, .tables: return nil
    }
    return nil
  }

  /// A simple value in quotes.
  static func asText(_ node: TomlNode) -> String? {
    switch node.value {
    case .integer, .float: asNumber(node).map { "\"\($0)\"" }
    case .boolean(let flag): "\"\(flag)\""
    case .table, .array, .text, .date: nil
    }
  }

  private static func asNumber(_ node: TomlNode) -> String? {
    switch node.value {
    case .integer(let number) where number >= 0: "\(number)"
    case .float(let number) where number.isFinite && number >= 0: "\(number)"
    case .table, .array, .text, .integer, .float, .boolean, .date: nil
    }
  }

  private static func words(_ text: String) -> String? {
    let words = text.split(separator: " ").map(String.init)
    // Quotes need a shell's reading, which is not guessed here.
    guard !words.isEmpty, words.count <= 20, !text.contains("\""), !text.contains("'") else { return nil }
    return TomlText.list(words)
  }
}
