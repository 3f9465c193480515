internal import LinuxSystem
internal import Vocabulary

/// Turns single raw values into typed ones, with the range and the default of the table. A value that cannot be taken
/// is an error, and its default stands in for it, so that the reading goes on and finds the others.
struct ValueReader {
  let findings: Findings

  func refuse(_ shown: String, _ key: KnownKey, at position: Position, hint: String? = nil) {
    findings.error("\(key.name) is \(shown); \(key.entry.form.accepted) is accepted", at: position, hint: hint)
  }

  func quoted(_ text: String) -> String { TomlText.quoted(text, limit: 60) }

  func integer(_ raw: Located<Int64>?, _ key: KnownKey) -> Int {
    let fallback = key.defaultInteger
    guard let raw, case .integer(let range) = key.entry.form else { return fallback }
    guard range.contains(raw.value) else {
      refuse("\(raw.value)", key, at: raw.position)
      return fallback
    }
    return Int(raw.value)
  }

  func duration(_ raw: Located<String>?, _ key: KnownKey, else fallback: Duration? = nil) -> Duration {
    let fallback = fallback ?? key.defaultDuration
    let range: ClosedRange<Duration>
    switch key.entry.form {
    case .duration(let form), .durationOrTable(let form, _): range = form
    default: return fallback
    }
    guard let raw else { return fallback }
    guard let duration = try? Duration(text: raw.value) else {
      let isNumber = !raw.value.isEmpty && raw.value.utf8.allSatisfy { (0x30...0x39).contains($0) }
      refuse(
        "\(quoted(raw.value)), which has no unit this reads (ms, s, m, h, d)", key, at: raw.position,
        hint: isNumber ? "write \(key.name) = \"\(raw.value)s\"" : nil)
      return fallback
    }
    guard range.contains(duration) else {
      refuse(quoted(raw.value), key, at: raw.position)
      return fallback
    }
    return duration
  }

  func choice<Word: RawRepresentable & CaseIterable>(
    _ raw: Located<String>?, _ key: KnownKey, _ fallback: Word
  ) -> Word where Word.RawValue == String {
    guard let raw else { return fallback }
    if let word = Word(rawValue: raw.value) { return word }
    refuse(
      quoted(raw.value), key, at: raw.position,
      hint: NearestWord.hint(raw.value, among: Word.allCases.map { $0.rawValue }))
    return fallback
  }

  /// `"0022"`: octal digits only.
  func octal(_ raw: Located<String>?, _ key: KnownKey) -> UInt32 {
    let text = raw?.value ?? key.defaultText
    let isOctal = (1...5).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x37).contains($0) }
    if isOctal, let mode = UInt32(text, radix: 8), mode <= 0o777 { return mode }
    if let raw { refuse(quoted(raw.value), key, at: raw.position) }
    return 0
  }

  func share(_ raw: Located<String>, _ key: KnownKey) -> Share {
    if let share = try? Share(text: raw.value) { return share }
    let asPercent = (try? Share(text: raw.value + "%")).map { "write \(key.name) = \"\($0)\"" }
    refuse(quoted(raw.value), key, at: raw.position, hint: asPercent)
    return .none
  }

  /// `"150%"`: whole percents, also above the whole.
  func percent(_ raw: Located<String>, _ key: KnownKey) -> Int? {
    guard case .percent(let range) = key.entry.form else { return nil }
    let digits = raw.value.hasSuffix("%") ? raw.value.dropLast() : raw.value[...]
    let isNumber = (1...7).contains(digits.utf8.count) && digits.utf8.allSatisfy { (0x30...0x39).contains($0) }
    if isNumber, let number = Int(digits), range.contains(number) {
      if digits.count < raw.value.count { return number }
      refuse(quoted(raw.value), key, at: raw.position, hint: "write \(key.name) = \"\(number)%\"")
    } else {
      refuse(quoted(raw.value), key, at: raw.position)
    }
    return nil
  }

  func limit(_ raw: RawSettings.Limit, _ key: KnownKey) -> Settings.Limit {
    switch raw {
    case .number(let number):
      if let value = UInt64(exactly: number.value) { return Settings.Limit(soft: value, hard: value) }
      refuse("\(number.value)", key, at: number.position)
    case .text(let text):
      let parts = text.value.split(separator: ":", omittingEmptySubsequences: false).map { Self.limitValue($0) }
      if parts.count == 1 || parts.count == 2, let soft = parts[0], let hard = parts[parts.count - 1] {
        let limit = Settings.Limit(soft: soft.value, hard: hard.value)
        if soft.value ?? .max <= hard.value ?? .max { return limit }
        findings.error(
          "\(key.name) is \(quoted(text.value)); the soft limit is at most the hard one", at: text.position)
      } else {
        refuse(quoted(text.value), key, at: text.position)
      }
    }
    return Settings.Limit(soft: nil, hard: nil)
  }

  /// A number, or `unlimited`, which is a value of nil.
  private static func limitValue(_ text: Substring) -> (value: UInt64?, Void)? {
    if text == "unlimited" { return (nil, ()) }
    guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt64(text) else {
      return nil
    }
    return (number, ())
  }

  /// The texts of a command. Its program is looked for by ``ProgramCheck``.
  func command(_ raw: RawSettings.Command?, _ key: KnownKey) -> [String]? {
    guard let raw else { return nil }
    guard let program = raw.value.first else {
      refuse("empty", key, at: raw.position)
      return nil
    }
    guard !program.value.isEmpty else {
      findings.error("\(key.name) names no program", at: program.position)
      return nil
    }
    for text in raw.value where text.value.utf8.contains(0) {
      findings.error("\(key.name) holds a text with a NUL, which no program can be given", at: text.position)
      return nil
    }
    return raw.value.map(\.value)
  }

  func environment(_ raw: RawSettings.Environment) -> [String: String] {
    var result: [String: String] = [:]
    for (name, value) in raw {
      if let reason = EnvironmentName.refusal(name.value) {
        findings.error(reason, at: name.position)
      } else if value.value.utf8.contains(0) {
        findings.error("\(name.value) has a NUL, which no environment can hold", at: value.position)
      } else {
        result[name.value] = value.value
      }
    }
    return result
  }

  func user(_ raw: Located<String>?, _ key: KnownKey) -> String? {
    guard let raw else { return nil }
    do throws(SystemError) {
      if try Users.find(user: raw.value) != nil { return raw.value }
    } catch {
      findings.trouble("\(key.name) \(quoted(raw.value)) cannot be looked up", error, at: raw.position)
      return nil
    }
    findings.error(
      "\(key.name) is \(quoted(raw.value)), and this host has no such user; a user name is accepted", at: raw.position)
    return nil
  }

  func group(_ raw: Located<String>?, _ key: KnownKey) -> String? {
    guard let raw else { return nil }
    do throws(SystemError) {
      if try Users.find(group: raw.value) != nil { return raw.value }
    } catch {
      findings.trouble("\(key.name) \(quoted(raw.value)) cannot be looked up", error, at: raw.position)
      return nil
    }
    findings.error(
      "\(key.name) is \(quoted(raw.value)), and this host has no such group; a group name is accepted", at: raw.position
    )
    return nil
  }
}

extension KnownKey {
  /// The default as TOML, or nothing.
  private var defaultTOML: String { if case .value(let toml) = entry.fallback { toml } else { "" } }

  /// The default of a text, without quotes.
  var defaultText: String {
    let toml = defaultTOML
    return toml.hasPrefix("\"") ? String(toml.dropFirst().dropLast()) : toml
  }

  var defaultInteger: Int { Int(defaultTOML) ?? 0 }
  var defaultDuration: Duration { (try? Duration(text: defaultText)) ?? .zero }
}
