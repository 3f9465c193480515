/// Reads the tokens of one statement from left to right.
struct SQLCursor {
  let tokens: ArraySlice<SQLToken>
  private(set) var index: Int

  init(_ tokens: ArraySlice<SQLToken>) {
    self.tokens = tokens
    index = tokens.startIndex
  }

  var token: SQLToken? { index < tokens.endIndex ? tokens[index] : nil }
  var isAtEnd: Bool { index >= tokens.endIndex }
  var rest: ArraySlice<SQLToken> { tokens[index...] }

  /// The word at this place or so many further on; nil for names in quotes and for everything that is no word.
  func word(_ ahead: Int = 0) -> String? {
    guard index + ahead < tokens.endIndex, case .word(let word) = tokens[index + ahead].kind else { return nil }
    return word
  }

  func isSymbol(_ symbol: Unicode.Scalar, _ ahead: Int = 0) -> Bool {
    index + ahead < tokens.endIndex && tokens[index + ahead].kind == .symbol(UInt8(ascii: symbol))
  }

  mutating func advance() { if index < tokens.endIndex { index += 1 } }

  /// Goes past all of `words` if they stand here one after the other.
  mutating func accept(_ words: String...) -> Bool {
    for (ahead, wanted) in words.enumerated() where word(ahead) != wanted { return false }
    index += words.count
    return true
  }

  mutating func accept(symbol: Unicode.Scalar) -> Bool {
    guard isSymbol(symbol) else { return false }
    index += 1
    return true
  }

  /// Goes past `IF EXISTS` or `IF NOT EXISTS`.
  mutating func skipCondition() { _ = accept("if", "exists") || accept("if", "not", "exists") }

  /// One part of a name, as the server folds it.
  mutating func identifier() -> String? {
    switch token?.kind {
    case .word(let name), .quoted(let name):
      index += 1
      return name
    default: return nil
    }
  }

  /// A name with its schema, if one is given other than `public` or `main`.
  mutating func name() -> String? {
    guard var name = identifier() else { return nil }
    while isSymbol("."), index + 1 < tokens.endIndex {
      index += 1
      guard let part = identifier() else { break }
      name = name == "public" || name == "main" ? part : "\(name).\(part)"
    }
    return name
  }

  /// From an opening parenthesis past the one that closes it.
  mutating func skipParentheses() {
    guard isSymbol("(") else { return }
    var depth = 0
    while let token {
      index += 1
      if token.kind == .symbol(UInt8(ascii: "(")) { depth += 1 }
      if token.kind == .symbol(UInt8(ascii: ")")) { depth -= 1 }
      if depth == 0 { return }
    }
  }
}

extension ArraySlice<SQLToken> {
  /// The tokens outside parentheses, with their places.
  var outside: [(index: Int, token: SQLToken)] {
    var depth = 0
    var found: [(Int, SQLToken)] = []
    for index in indices {
      let token = self[index]
      if token.kind == .symbol(UInt8(ascii: ")")) { depth = Swift.max(0, depth - 1) }
      if depth == 0 { found.append((index, token)) }
      if token.kind == .symbol(UInt8(ascii: "(")) { depth += 1 }
    }
    return found
  }

  /// Divided at the commas outside parentheses.
  var parts: [ArraySlice<SQLToken>] {
    var parts: [ArraySlice<SQLToken>] = []
    var start = startIndex
    for (index, token) in outside where token.kind == .symbol(UInt8(ascii: ",")) {
      parts.append(self[start..<index])
      start = index + 1
    }
    parts.append(self[start...])
    return parts.filter { !$0.isEmpty }
  }

  /// Where `words` stand one after the other outside parentheses.
  func firstOutside(_ words: String...) -> Int? {
    let outside = outside
    return outside.indices.first { start in
      words.enumerated().allSatisfy { ahead, word in
        start + ahead < outside.count && outside[start + ahead].token.kind == .word(word)
          && outside[start + ahead].index == outside[start].index + ahead
      }
    }.map { outside[$0].index }
  }
}
