/// Reads a migration and finds what would hurt the release that still runs, or cannot work at all.
///
/// Whatever the file does, the release before it keeps running meanwhile and may be gone back to: a file may only expand
/// the schema. What takes away, or holds locks long, is refused unless the file says `-- baton: contract`.
package enum MigrationLint {
  /// So many findings a file at most; one is enough to refuse it.
  package static let findingsLimit = 100

  /// Looks through `file`, in the order files are applied: `knowledge` goes from one to the next.
  package static func examine(_ file: MigrationFile, _ dialect: SQLDialect, knowledge: inout SchemaKnowledge)
    -> MigrationScript
  {
    knowledge.beginFile()
    let statements: SQLStatements
    do throws(SQLLexicalError) {
      statements = try SQLStatements(file.bytes, dialect)
    } catch {
      var sink = FindingSink(file: file.name, bytes: file.bytes, dialect: dialect)
      sink.add(.unreadable, at: error.offset, error.message)
      return MigrationScript(file: file, statements: nil, findings: sink.findings)
    }
    var sink = FindingSink(file: file.name, bytes: file.bytes, dialect: dialect)
    let directives = MigrationDirectives(statements, &sink)
    if statements.list.isEmpty { sink.add(.empty, at: 0, "no statement stands in it") }
    var kinds: [StatementKind] = []
    for statement in statements.list {
      switch dialect {
      case .postgres:
        var lint = PostgresLint(bytes: file.bytes, knowledge: knowledge, sink: sink)
        kinds.append(lint.check(statement.tokens[...]))
        (knowledge, sink) = (lint.knowledge, lint.sink)
      case .sqlite:
        var lint = SQLiteLint(knowledge: knowledge, sink: sink)
        kinds.append(lint.check(statement.tokens[...]))
        (knowledge, sink) = (lint.knowledge, lint.sink)
      }
    }
    for (statement, kind) in zip(statements.list, kinds) where kind != .transactional && kinds.count > 1 {
      sink.add(.notAlone, at: statement.range.lowerBound, "\(kind.words) with other statements in one file")
    }
    return MigrationScript(
      file: file, statements: statements, directives: directives, kind: kinds.count == 1 ? kinds[0] : .transactional,
      findings: sink.findings)
  }
}

/// How a statement has to be run.
package enum StatementKind: Hashable, Sendable {
  /// With others, and with its record, in one transaction.
  case transactional
  /// `CREATE INDEX CONCURRENTLY`: leaves an invalid index behind when it does not end.
  case createsIndex(name: String?, table: String?)
  /// `DROP INDEX CONCURRENTLY`
  case dropsIndex(names: [String])
  /// `REINDEX … CONCURRENTLY`, `VACUUM`: doing it again does no harm.
  case maintenance(String)

  package var words: String {
    switch self {
    case .transactional: "a statement"
    case .createsIndex: "CREATE INDEX CONCURRENTLY"
    case .dropsIndex: "DROP INDEX CONCURRENTLY"
    case .maintenance(let words): words
    }
  }
}

/// Collects findings with their places.
struct FindingSink {
  let file: String
  let bytes: [UInt8]
  let dialect: SQLDialect
  private(set) var findings: [MigrationFinding] = []

  init(file: String, bytes: [UInt8], dialect: SQLDialect) {
    self.file = file
    self.bytes = bytes
    self.dialect = dialect
  }

  mutating func add(_ rule: MigrationRule, at offset: Int, _ what: String, instead: String? = nil) {
    guard findings.count < MigrationLint.findingsLimit else { return }
    findings.append(
      MigrationFinding(
        rule: rule, file: file, position: TextPosition(of: offset, in: bytes), what: what,
        instead: instead ?? rule.instead(dialect)))
  }
}

/// What a file says of itself in comments before its first statement.
package struct MigrationDirectives: Hashable, Sendable {
  /// It may take away; it is held back until no release that was made before it can be gone back to.
  package var isContract = false
  /// It may be applied although one with a higher number has been.
  package var isOutOfOrder = false

  package init() {}

  init(_ statements: SQLStatements, _ sink: inout FindingSink) {
    let first = statements.list.first?.range.lowerBound ?? .max
    for comment in statements.lineComments {
      if let tool = Self.otherTool(comment.text) {
        sink.add(.otherTool, at: comment.offset, "a mark of \(tool)")
        continue
      }
      guard comment.text.hasPrefix("baton:") else { continue }
      let word = comment.text.dropFirst(6).drop { $0 == " " || $0 == "\t" }
      if comment.offset > first {
        sink.add(.directive, at: comment.offset, "\"-- baton: \(word.prefix(40))\" after the first statement")
      } else if word == "contract" {
        isContract = true
      } else if word == "out-of-order" {
        isOutOfOrder = true
      } else {
        sink.add(.directive, at: comment.offset, "\"-- baton: \(word.prefix(40))\" is no word baton knows")
      }
    }
  }

  /// Marks with which other programs divide a file into a way forth and a way back.
  private static func otherTool(_ text: String) -> String? {
    let word = text.lowercased().prefix { $0 != " " && $0 != "\t" }
    let rest = text.lowercased().dropFirst(word.count).drop { $0 == " " || $0 == "\t" }
    switch word {
    case "+goose" where rest.hasPrefix("down"): return "goose"
    case "+migrate" where rest.hasPrefix("down"): return "sql-migrate"
    case "migrate:down": return "dbmate"
    default: return nil
    }
  }
}
