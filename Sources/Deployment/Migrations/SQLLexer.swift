/// Divides SQL into tokens as the servers do. Source: PostgreSQL's documentation §4.1 "Lexical Structure", with
/// standard_conforming_strings on; sqlite.org/lang_keywords.html and sqlite.org/lang_comment.html.
///
/// Ends for every input, in linear time: each call of ``next()`` consumes at least one byte.
struct SQLLexer {
  struct Comment: Hashable, Sendable {
    let range: Range<Int>
    /// `-- …`, not `/* … */`
    let isLine: Bool
  }

  let bytes: [UInt8]
  let dialect: SQLDialect
  private(set) var index: Int
  private let end: Int
  private(set) var comments: [Comment] = []

  init(_ bytes: [UInt8], _ dialect: SQLDialect, in range: Range<Int>? = nil) {
    self.bytes = bytes
    self.dialect = dialect
    let hasMark = range == nil && bytes.starts(with: [0xEF, 0xBB, 0xBF])
    index = range?.lowerBound ?? (hasMark ? 3 : 0)
    end = range?.upperBound ?? bytes.count
  }

  /// The next token; nil at the end.
  mutating func next() throws(SQLLexicalError) -> SQLToken? {
    try skipBlanks()
    guard index < end else { return nil }
    let start = index
    let byte = bytes[index]
    let kind: SQLToken.Kind
    switch byte {
    case UInt8(ascii: "'"): kind = .string(try quoted(from: index, escapes: false))
    case UInt8(ascii: "\""): kind = .quoted(try name(until: byte))
    case UInt8(ascii: "`") where dialect == .sqlite: kind = .quoted(try name(until: byte))
    case UInt8(ascii: "[") where dialect == .sqlite: kind = .quoted(try bracketed())
    case UInt8(ascii: "$") where dialect == .postgres: kind = try dollar()
    case UInt8(ascii: "\\") where dialect == .postgres: kind = clientCommand()
    case _ where dialect == .sqlite && Self.parameterMarks.contains(byte):
      index += 1
      skip { Self.continuesName($0) }
      kind = .parameter
    case _ where Self.isDigit(byte): kind = number()
    case _ where Self.startsName(byte): kind = try word()
    default:
      index += 1
      kind = .symbol(byte)
    }
    return SQLToken(kind: kind, range: start..<index)
  }

  /// A line of the sqlite3 shell begins with a dot; only the caller knows that a statement could begin here.
  mutating func clientCommand() -> SQLToken.Kind {
    skip { $0 != UInt8(ascii: "\n") }
    return .clientCommand
  }

  // MARK: Bytes

  private func at(_ offset: Int) -> UInt8? { index + offset < end ? bytes[index + offset] : nil }

  private mutating func skip(while isWanted: (UInt8) -> Bool) {
    while index < end, isWanted(bytes[index]) { index += 1 }
  }

  private static let parameterMarks = Array("?:@$".utf8)

  static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
  static func startsName(_ byte: UInt8) -> Bool {
    (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == UInt8(ascii: "_") || byte >= 0x80
  }
  static func continuesName(_ byte: UInt8) -> Bool { startsName(byte) || isDigit(byte) || byte == UInt8(ascii: "$") }
  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

  // MARK: Blanks and comments

  private mutating func skipBlanks() throws(SQLLexicalError) {
    while index < end {
      skip(while: Self.isBlank)
      if at(0) == UInt8(ascii: "-"), at(1) == UInt8(ascii: "-") {
        lineComment()
      } else if at(0) == UInt8(ascii: "/"), at(1) == UInt8(ascii: "*") {
        try blockComment()
      } else {
        return
      }
    }
  }

  private mutating func lineComment() {
    let start = index
    // PostgreSQL ends a line at a carriage return too.
    let takesReturn = dialect == .sqlite
    skip { $0 != UInt8(ascii: "\n") && (takesReturn || $0 != UInt8(ascii: "\r")) }
    comments.append(Comment(range: start..<index, isLine: true))
  }

  /// Comments nest in PostgreSQL; in SQLite the first `*/` ends all, and the end of the file does too.
  private mutating func blockComment() throws(SQLLexicalError) {
    let start = index
    var depth = 1
    index += 2
    while depth > 0 {
      guard let byte = at(0) else {
        if dialect == .sqlite { break }
        throw SQLLexicalError(offset: start, message: "a comment that begins here is never closed")
      }
      if byte == UInt8(ascii: "*"), at(1) == UInt8(ascii: "/") {
        depth -= 1
        index += 2
      } else if byte == UInt8(ascii: "/"), at(1) == UInt8(ascii: "*"), dialect == .postgres {
        depth += 1
        index += 2
      } else {
        index += 1
      }
    }
    comments.append(Comment(range: start..<index, isLine: false))
  }

  // MARK: Quotes

  /// From the quote at `index`, over its end. What opened it, a prefix included, stands at `start`.
  private mutating func quoted(from start: Int, escapes: Bool) throws(SQLLexicalError) -> Range<Int> {
    let content = index + 1
    index = content
    while let byte = at(0) {
      if byte == UInt8(ascii: "'") {
        if at(1) == byte {
          index += 2
          continue
        }
        let last = index
        index += 1
        // The next line goes on with the rules of the first.
        if escapes, skipToContinuation() {
          index += 1
          continue
        }
        return content..<last
      }
      index += escapes && byte == UInt8(ascii: "\\") ? 2 : 1
    }
    index = end
    throw SQLLexicalError(offset: start, message: "a text that begins here is never closed")
  }

  /// To the quote of a following line, past blanks and line comments; stays where there is none.
  private mutating func skipToContinuation() -> Bool {
    let start = index
    var isNewLine = false
    while let byte = at(0) {
      if Self.isBlank(byte) {
        isNewLine = isNewLine || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
        index += 1
      } else if byte == UInt8(ascii: "-"), at(1) == byte {
        skip { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
      } else {
        break
      }
    }
    if isNewLine, at(0) == UInt8(ascii: "'") { return true }
    index = start
    return false
  }

  private mutating func name(until quote: UInt8) throws(SQLLexicalError) -> String {
    let start = index
    var name: [UInt8] = []
    index += 1
    while let byte = at(0) {
      index += 1
      if byte == quote {
        guard at(0) == quote else { return String(decoding: name, as: UTF8.self) }
        index += 1
      }
      name.append(byte)
    }
    throw SQLLexicalError(offset: start, message: "a quoted name that begins here is never closed")
  }

  private mutating func bracketed() throws(SQLLexicalError) -> String {
    let start = index
    skip { $0 != UInt8(ascii: "]") }
    guard index < end else {
      throw SQLLexicalError(offset: start, message: "a name in brackets that begins here is never closed")
    }
    index += 1
    return String(decoding: bytes[(start + 1)..<(index - 1)], as: UTF8.self)
  }

  /// `$1`, or `$tag$ … $tag$`.
  private mutating func dollar() throws(SQLLexicalError) -> SQLToken.Kind {
    let start = index
    index += 1
    if let byte = at(0), Self.isDigit(byte) {
      skip(while: Self.isDigit)
      return .parameter
    }
    if let byte = at(0), Self.startsName(byte) {
      skip { Self.startsName($0) || Self.isDigit($0) }
    }
    guard at(0) == UInt8(ascii: "$") else {
      index = start + 1
      return .symbol(UInt8(ascii: "$"))
    }
    index += 1
    let tag = bytes[start..<index]
    let content = index
    while index + tag.count <= end {
      if bytes[index] == UInt8(ascii: "$"), bytes[index..<(index + tag.count)].elementsEqual(tag) {
        let last = index
        index += tag.count
        return .string(content..<last)
      }
      index += 1
    }
    index = end
    let text = String(decoding: tag.prefix(70), as: UTF8.self)
    throw SQLLexicalError(offset: start, message: "a text quoted with \(text) that begins here is never closed")
  }

  // MARK: Words and numbers

  private mutating func word() throws(SQLLexicalError) -> SQLToken.Kind {
    let start = index
    skip(while: Self.continuesName)
    let text = bytes[start..<index]
    if dialect == .postgres, let kind = try prefixed(text, from: start) { return kind }
    if dialect == .sqlite, text.count == 1, text.first.map({ $0 | 0x20 }) == UInt8(ascii: "x"),
      at(0) == UInt8(ascii: "'")
    {
      return .string(try quoted(from: start, escapes: false))
    }
    let folded = text.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
    return .word(String(decoding: folded, as: UTF8.self))
  }

  /// `E'…'`, `B'…'`, `X'…'`, `N'…'`, `U&'…'`, `U&"…"`
  private mutating func prefixed(_ text: ArraySlice<UInt8>, from start: Int) throws(SQLLexicalError)
    -> SQLToken.Kind?
  {
    guard text.count == 1, let letter = text.first.map({ $0 | 0x20 }) else { return nil }
    switch (letter, at(0)) {
    case (UInt8(ascii: "e"), UInt8(ascii: "'")): return .string(try quoted(from: start, escapes: true))
    case (UInt8(ascii: "b"), UInt8(ascii: "'")), (UInt8(ascii: "x"), UInt8(ascii: "'")),
      (UInt8(ascii: "n"), UInt8(ascii: "'")):
      return .string(try quoted(from: start, escapes: false))
    case (UInt8(ascii: "u"), UInt8(ascii: "&")) where at(1) == UInt8(ascii: "'"):
      index += 1
      return .string(try quoted(from: start, escapes: false))
    case (UInt8(ascii: "u"), UInt8(ascii: "&")) where at(1) == UInt8(ascii: "\""):
      index += 1
      return .quoted(try name(until: UInt8(ascii: "\"")))
    default: return nil
    }
  }

  private mutating func number() -> SQLToken.Kind {
    let isHexadecimal = at(0) == UInt8(ascii: "0") && at(1).map { $0 | 0x20 } == UInt8(ascii: "x")
    while let byte = at(0) {
      let isExponent = !isHexadecimal && byte | 0x20 == UInt8(ascii: "e")
      if isExponent, let sign = at(1), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
        // `1e-5` is a number; `1e--` begins a comment.
        guard let digit = at(2), Self.isDigit(digit) else { break }
        index += 2
      } else if byte == UInt8(ascii: "."), at(1) == byte {
        // `1..10` counts in a loop of PL/pgSQL.
        break
      } else if byte == UInt8(ascii: ".") || Self.continuesName(byte) && byte < 0x80 && byte != UInt8(ascii: "$") {
        index += 1
      } else {
        break
      }
    }
    return .number
  }
}
