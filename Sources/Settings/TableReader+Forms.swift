extension TableReader {
  /// `[[deploy.checklist]]`: an array whose elements are tables; each knows its place.
  mutating func tables(_ key: KnownKey, _ section: KnownKey.Section) -> [TableReader] {
    guard let node = take(key) else { return [] }
    guard case .array(let elements) = node.value else {
      var hint: String?
      if case .table = node.value { hint = "write \(section.title) with two brackets on each side" }
      findings.refuse("\(path).\(key.name)")
      findings.error(
        "\(key.name) is \(node.shown); \(key.entry.form.accepted) are accepted", at: node.position, hint: hint)
      return []
    }
    return elements.enumerated().compactMap { index, element in
      guard case .table(let entries) = element.value else {
        findings.error(
          "\(key.name) holds \(element.shown); \(key.entry.form.accepted) are accepted", at: element.position)
        return nil
      }
      return TableReader(
        entries, path: "\(path).\(key.name).\(index)", section: section, at: element.position, findings)
    }
  }

  /// One integer or several.
  mutating func integers(_ key: KnownKey) -> [Located<Int64>]? {
    guard let node = take(key) else { return nil }
    let elements = if case .array(let elements) = node.value { elements } else { [node] }
    var numbers: [Located<Int64>] = []
    for element in elements {
      guard case .integer(let number) = element.value else {
        wrongType(element, key)
        return nil
      }
      numbers.append(Located(number, at: element.position))
    }
    return numbers
  }

  /// A text, a number or a truth value, as the text JSON has for it.
  mutating func scalar(_ key: KnownKey) -> Located<String>? {
    guard let node = take(key) else { return nil }
    switch node.value {
    case .text(let text): return Located(text, at: node.position)
    case .integer(let number): return Located("\(number)", at: node.position)
    case .boolean(let flag): return Located("\(flag)", at: node.position)
    case .table, .array, .float, .date:
      wrongType(node, key)
      return nil
    }
  }

  /// `before-build = [["make", "check"]]`, and so on.
  mutating func hooks(_ key: KnownKey) -> [(name: Located<String>, commands: [RawSettings.Command])] {
    guard let node = take(key) else { return [] }
    guard case .table(let entries) = node.value else {
      wrongType(node, key)
      return []
    }
    return entries.map { entry in
      (Located(entry.key, at: entry.keyPosition), commands(in: entry.node, key, called: entry.key))
    }
  }
}
