internal import Vocabulary

extension ValueReader {
  func size(_ raw: Located<String>?, _ key: KnownKey) -> ByteCount? {
    guard let raw, case .size(let range) = key.entry.form else { return nil }
    guard let size = try? ByteCount(text: raw.value) else {
      let isNumber = !raw.value.isEmpty && raw.value.utf8.allSatisfy { (0x30...0x39).contains($0) }
      refuse(
        "\(quoted(raw.value)), which has no unit this reads (K, M, G, T)", key, at: raw.position,
        hint: isNumber ? "write \(key.name) = \"\(raw.value)M\"" : nil)
      return nil
    }
    guard range.contains(size) else {
      refuse(quoted(raw.value), key, at: raw.position)
      return nil
    }
    return size
  }

  /// Paths below a directory, without a slash at their end; each once, and none within another.
  func innerPaths(_ raw: [Located<String>], _ key: KnownKey) -> [String] {
    var result: [String] = []
    for text in raw {
      guard let path = innerPath(text, key, wildcards: false) else { continue }
      if let other = result.first(where: { $0 == path || $0.hasPrefix(path + "/") || path.hasPrefix($0 + "/") }) {
        let relation = other == path ? "twice" : "and \(quoted(other)), of which one holds the other"
        findings.error("\(key.name) names \(quoted(path)) \(relation); each path is accepted once", at: text.position)
      } else {
        result.append(path)
      }
    }
    return result
  }

  func innerPath(_ raw: Located<String>, _ key: KnownKey, wildcards: Bool = true) -> String? {
    var path = raw.value[...]
    while path.hasPrefix("./") { path = path.dropFirst(2) }
    while path.hasSuffix("/") && path.utf8.count > 1 { path = path.dropLast() }
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    let isPlain =
      !path.isEmpty && path.utf8.count < 4_096 && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
      && path.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    let isPattern = !wildcards && path.contains { "*?[".contains($0) }
    guard isPlain, !isPattern else {
      let bare = String(path.drop { $0 == "/" })
      let isBare = path.hasPrefix("/") && !bare.isEmpty && !bare.contains("..")
      refuse(
        quoted(raw.value), key, at: raw.position,
        hint: isBare ? "write \(TomlText.quoted(bare, limit: 60)), which is seen from the top of the tree" : nil)
      return nil
    }
    return String(path)
  }

  /// An absolute path, without a slash at its end.
  func path(_ raw: Located<String>?, _ key: KnownKey) -> String? {
    guard let raw else { return nil }
    guard raw.value.hasPrefix("/"), !raw.value.utf8.contains(0) else {
      refuse(quoted(raw.value), key, at: raw.position)
      return nil
    }
    return raw.value
  }

  func windows(_ raw: [Located<String>], _ key: KnownKey) -> [Settings.Deploy.Window] {
    raw.compactMap { text in
      if let window = Settings.Deploy.Window(text: text.value) { return window }
      refuse(quoted(text.value), key, at: text.position)
      return nil
    }
  }

  func statuses(_ raw: [Located<Int64>]?, _ key: KnownKey) -> [Int] {
    guard let raw else { return [key.defaultInteger] }
    if raw.isEmpty { return [key.defaultInteger] }
    return raw.compactMap { status in
      if (100...599).contains(status.value) { return Int(status.value) }
      refuse("\(status.value)", key, at: status.position)
      return nil
    }
  }

  /// One line of text that a program or a protocol takes as a word: not empty, nothing a shell or header would trip on.
  func word(_ raw: Located<String>?, _ key: KnownKey) -> String? {
    guard let raw else { return nil }
    let isWord =
      !raw.value.isEmpty && raw.value.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F } && !raw.value.hasPrefix("-")
    if isWord { return raw.value }
    findings.error(
      "\(key.name) is \(quoted(raw.value)); a text without spaces that does not start with - is accepted",
      at: raw.position)
    return nil
  }
}
