/// A file of SQL, divided into its statements exactly where the server would divide it.
///
/// PostgreSQL: at each `;` outside quotes, comments, parentheses and the `BEGIN ATOMIC … END` of a routine, as psql does.
/// SQLite: at each `;` outside quotes and comments, and outside the body of a trigger, as sqlite3_complete(3) does.
package struct SQLStatements: Hashable, Sendable {
  package struct Statement: Hashable, Sendable {
    /// Never empty.
    package let tokens: [SQLToken]
    /// From its first token to its last, without the `;`.
    package let range: Range<Int>
  }

  /// What a `--` comment says.
  package struct Comment: Hashable, Sendable {
    /// Without the dashes and the blanks around.
    package let text: String
    package let offset: Int
  }

  package let bytes: [UInt8]
  package let dialect: SQLDialect
  package private(set) var list: [Statement] = []
  /// In their order.
  package private(set) var lineComments: [Comment] = []

  package init(_ bytes: [UInt8], _ dialect: SQLDialect) throws(SQLLexicalError) {
    self.bytes = bytes
    self.dialect = dialect
    if let zero = bytes.firstIndex(of: 0) {
      throw SQLLexicalError(offset: zero, message: "a zero byte stands here: this is no text")
    }
    if let offset = Self.firstOffenceToUTF8(bytes) {
      throw SQLLexicalError(offset: offset, message: "here the text is not UTF-8")
    }
    var lexer = SQLLexer(bytes, dialect)
    var boundary = Boundary(dialect)
    var tokens: [SQLToken] = []
    while var token = try lexer.next() {
      if dialect == .sqlite, tokens.isEmpty, token.kind == .symbol(UInt8(ascii: ".")) {
        let kind = lexer.clientCommand()
        token = SQLToken(kind: kind, range: token.range.lowerBound..<lexer.index)
      }
      if boundary.ends(with: token) {
        append(tokens)
        tokens = []
      } else {
        tokens.append(token)
        // A line of its own, whatever follows.
        if token.kind == .clientCommand, tokens.count == 1 {
          append(tokens)
          tokens = []
          boundary = Boundary(dialect)
        }
      }
    }
    append(tokens)
    lineComments = lexer.comments.filter(\.isLine).map { comment in
      let text = bytes[comment.range].dropFirst(2)
      return Comment(text: Self.trimmed(text), offset: comment.range.lowerBound)
    }
  }

  private mutating func append(_ tokens: [SQLToken]) {
    guard let first = tokens.first, let last = tokens.last else { return }
    list.append(Statement(tokens: tokens, range: first.range.lowerBound..<last.range.upperBound))
  }

  package func text(of statement: Statement) -> String { String(decoding: bytes[statement.range], as: UTF8.self) }

  package func position(of offset: Int) -> TextPosition { TextPosition(of: offset, in: bytes) }

  private static func trimmed(_ bytes: ArraySlice<UInt8>) -> String {
    let isBlank = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
    let rest = bytes.drop(while: isBlank)
    let count = rest.reversed().drop(while: isBlank).count
    return String(decoding: rest.prefix(count), as: UTF8.self)
  }

  private static func firstOffenceToUTF8(_ bytes: [UInt8]) -> Int? {
    guard String(validating: bytes, as: UTF8.self) == nil else { return nil }
    // By halving, and only for a file that is refused. A scalar cut in two is no offence of the first half.
    var good = 0
    var bad = bytes.count
    while bad - good > 1 {
      let middle = (good + bad) / 2
      if isText(bytes[..<middle], upTo: 3) { good = middle } else { bad = middle }
    }
    while good > 0, !isText(bytes[..<good], upTo: 0) { good -= 1 }
    return good
  }

  /// Whether it is text without so many bytes at its end, or fewer.
  private static func isText(_ bytes: ArraySlice<UInt8>, upTo cut: Int) -> Bool {
    (0...cut).contains { String(validating: bytes.dropLast($0), as: UTF8.self) != nil }
  }
}

extension SQLStatements {
  /// Knows at which `;` a statement ends.
  private struct Boundary {
    let dialect: SQLDialect
    private var depth = 0
    /// Inside `BEGIN ATOMIC`, and each CASE of it.
    private var blocks = 0
    /// The first words of the statement.
    private var opening: [String] = []
    /// In a trigger of SQLite: what the last two tokens were.
    private var lastWasSemicolon = false
    private var lastWasEnd = false

    init(_ dialect: SQLDialect) { self.dialect = dialect }

    mutating func ends(with token: SQLToken) -> Bool {
      if token.kind == .symbol(UInt8(ascii: ";")) {
        guard isClosed else {
          lastWasSemicolon = true
          lastWasEnd = false
          return false
        }
        self = Boundary(dialect)
        return true
      }
      note(token)
      return false
    }

    private var isClosed: Bool {
      switch dialect {
      case .postgres: depth == 0 && blocks == 0
      case .sqlite: !isTrigger || lastWasEnd
      }
    }

    private mutating func note(_ token: SQLToken) {
      switch token.kind {
      case .symbol(UInt8(ascii: "(")): depth += 1
      case .symbol(UInt8(ascii: ")")): depth = max(0, depth - 1)
      case .word(let word):
        if opening.count < 6 { opening.append(word) }
        if isRoutine, depth == 0 {
          switch word {
          case "begin": blocks += 1
          case "case" where blocks > 0: blocks += 1
          case "end" where blocks > 0: blocks -= 1
          default: break
          }
        }
        lastWasEnd = lastWasSemicolon && word == "end"
        lastWasSemicolon = false
        return
      default:
        // Something else among the first words: they are no opening any more.
        if opening.count < 6 { opening.append("") }
      }
      lastWasEnd = false
      lastWasSemicolon = false
    }

    private var isRoutine: Bool {
      guard opening.first == "create" else { return false }
      let rest = opening.dropFirst(opening.dropFirst().first == "or" ? 3 : 1)
      return rest.first == "function" || rest.first == "procedure"
    }

    private var isTrigger: Bool {
      var rest = opening[...]
      if rest.first == "explain" {
        rest = rest.dropFirst()
        if rest.prefix(2).elementsEqual(["query", "plan"]) { rest = rest.dropFirst(2) }
      }
      guard rest.first == "create" else { return false }
      rest = rest.dropFirst()
      if rest.first == "temp" || rest.first == "temporary" { rest = rest.dropFirst() }
      return rest.first == "trigger"
    }
  }
}
