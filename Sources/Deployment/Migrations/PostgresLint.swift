/// What a statement of PostgreSQL does to those who use the schema meanwhile.
/// Source: PostgreSQL's documentation §13.3 "Explicit Locking" and the notes of each command's page.
struct PostgresLint {
  let bytes: [UInt8]
  var knowledge: SchemaKnowledge
  var sink: FindingSink
  /// Inside `DO`: BEGIN and END are no transaction there.
  var isNested = false

  init(bytes: [UInt8], knowledge: SchemaKnowledge, sink: FindingSink) {
    self.bytes = bytes
    self.knowledge = knowledge
    self.sink = sink
  }

  mutating func check(_ tokens: ArraySlice<SQLToken>) -> StatementKind {
    guard let first = tokens.first else { return .transactional }
    if let command = tokens.first(where: { $0.kind == .clientCommand }) {
      let words = String(decoding: bytes[command.range].prefix(40), as: UTF8.self)
      sink.add(.clientCommand, at: command.range.lowerBound, "the command \(words) of psql")
      return .transactional
    }
    let at = first.range.lowerBound
    checkAdvisory(tokens)
    var cursor = SQLCursor(tokens)
    guard let verb = cursor.word() else {
      checkWrites(tokens)
      return .transactional
    }
    cursor.advance()
    switch verb {
    case "drop": return checkDrop(&cursor, at)
    case "create": return checkCreate(&cursor, at)
    case "alter": return checkAlter(&cursor, at)
    case "reindex", "vacuum", "cluster", "refresh": return checkMaintenance(verb, &cursor, at)
    case "truncate":
      _ = cursor.accept("table")
      _ = cursor.accept("only")
      let table = cursor.name()
      if !knowledge.isOwn(table) { sink.add(.truncate, at: at, "TRUNCATE \(table ?? "")") }
    case "update", "delete", "with", "explain", "merge": checkWrites(tokens)
    case "lock": sink.add(.locks, at: at, "LOCK TABLE")
    case "revoke": sink.add(.revokes, at: at, "REVOKE")
    case "copy": checkCopy(tokens, at)
    case "set": checkSet(&cursor, at)
    case "do": checkBlock(tokens)
    case "execute" where isNested: sink.add(.unseen, at: at, "EXECUTE")
    default: checkTransaction(verb, &cursor, at)
    }
    return .transactional
  }

  // MARK: Transactions and sessions

  private mutating func checkTransaction(_ verb: String, _ cursor: inout SQLCursor, _ at: Int) {
    switch verb {
    case "begin", "end":
      if !isNested { sink.add(.transaction, at: at, verb.uppercased()) }
    case "start":
      if cursor.word() == "transaction" { sink.add(.transaction, at: at, "START TRANSACTION") }
    case "commit", "abort": sink.add(.transaction, at: at, verb.uppercased())
    case "rollback":
      _ = cursor.accept("work") || cursor.accept("transaction")
      if cursor.word() != "to" { sink.add(.transaction, at: at, "ROLLBACK") }
    case "prepare":
      if cursor.word() == "transaction" { sink.add(.transaction, at: at, "PREPARE TRANSACTION") }
    case "discard": sink.add(.advisory, at: at, "DISCARD")
    case "reassign": sink.add(.revokes, at: at, "REASSIGN OWNED")
    default: break
    }
  }

  private mutating func checkAdvisory(_ tokens: ArraySlice<SQLToken>) {
    for token in tokens where token.kind == .word("pg_advisory_unlock_all") {
      sink.add(.advisory, at: token.range.lowerBound, "pg_advisory_unlock_all")
    }
  }

  private mutating func checkSet(_ cursor: inout SQLCursor, _ at: Int) {
    _ = cursor.accept("session") || cursor.accept("local")
    let name = cursor.identifier()?.lowercased()
    _ = cursor.accept("to") || cursor.accept(symbol: "=")
    switch name {
    case "standard_conforming_strings", "client_encoding", "names":
      sink.add(.quoting, at: at, "SET \(name ?? "")")
    case "lock_timeout":
      guard let token = cursor.token else { return }
      var range = token.range
      if case .string(let content) = token.kind { range = content }
      let digits = bytes[range].filter(SQLLexer.isDigit)
      let isZero = !digits.isEmpty && digits.allSatisfy { $0 == UInt8(ascii: "0") }
      if isZero || token.kind == .word("default") {
        sink.add(.noLockTimeout, at: at, "SET lock_timeout without a limit")
      }
    default: break
    }
  }

  private mutating func checkCopy(_ tokens: ArraySlice<SQLToken>, _ at: Int) {
    for (index, token) in tokens.outside where token.kind == .word("from") || token.kind == .word("to") {
      let next = index + 1 < tokens.endIndex ? tokens[index + 1].kind : nil
      if next == .word("stdin") || next == .word("stdout") {
        return sink.add(.copy, at: at, next == .word("stdin") ? "COPY FROM STDIN" : "COPY TO STDOUT")
      }
    }
  }

  private mutating func checkMaintenance(_ verb: String, _ cursor: inout SQLCursor, _ at: Int) -> StatementKind {
    let words = cursor.rest.prefix { $0.kind != .symbol(UInt8(ascii: ";")) }
    let has = { (wanted: String) in words.contains { $0.kind == .word(wanted) } }
    switch verb {
    case "vacuum":
      if has("full") { sink.add(.rewrites, at: at, "VACUUM FULL") }
      return .maintenance("VACUUM")
    case "reindex":
      if has("concurrently") { return .maintenance("REINDEX CONCURRENTLY") }
      sink.add(.blockingIndex, at: at, "REINDEX without CONCURRENTLY")
      if has("database") || has("system") || has("schema") { return .maintenance("REINDEX") }
    case "cluster":
      sink.add(.rewrites, at: at, "CLUSTER")
      if cursor.isAtEnd { return .maintenance("CLUSTER") }
    default:
      if !has("concurrently") {
        sink.add(
          .locks, at: at, "REFRESH MATERIALIZED VIEW without CONCURRENTLY",
          instead: "use CONCURRENTLY, with a unique index on the view")
      }
    }
    return .transactional
  }

  // MARK: CREATE and DROP

  private mutating func checkCreate(_ cursor: inout SQLCursor, _ at: Int) -> StatementKind {
    _ = cursor.accept("or", "replace")
    _ = cursor.accept("global") || cursor.accept("local")
    _ = cursor.accept("temporary") || cursor.accept("temp") || cursor.accept("unlogged")
    if cursor.accept("table") {
      // `IF NOT EXISTS` may find one that others use.
      let isNew = !cursor.accept("if", "not", "exists")
      if let table = cursor.name(), isNew { knowledge.noteTable(table) }
      return .transactional
    }
    if cursor.accept("materialized", "view") {
      let isNew = !cursor.accept("if", "not", "exists")
      if let view = cursor.name(), isNew { knowledge.noteTable(view) }
      return .transactional
    }
    if ["database", "tablespace", "subscription"].contains(cursor.word()) {
      sink.add(.outsideTransaction, at: at, "CREATE \((cursor.word() ?? "").uppercased())")
      return .transactional
    }
    let isUnique = cursor.accept("unique")
    guard cursor.accept("index") else { return .transactional }
    return checkCreateIndex(&cursor, at, isUnique: isUnique)
  }

  private mutating func checkCreateIndex(_ cursor: inout SQLCursor, _ at: Int, isUnique: Bool) -> StatementKind {
    let isConcurrent = cursor.accept("concurrently")
    cursor.skipCondition()
    let name = cursor.word() == "on" ? nil : cursor.name()
    guard cursor.accept("on") else { return .transactional }
    // On the parent of partitions alone nothing is built.
    let isParentAlone = cursor.accept("only")
    let table = cursor.name()
    guard isConcurrent else {
      if !isParentAlone, !knowledge.isOwn(table) {
        let kind = isUnique ? "CREATE UNIQUE INDEX" : "CREATE INDEX"
        sink.add(.blockingIndex, at: at, "\(kind) on \(table ?? "a table") without CONCURRENTLY")
      }
      return .transactional
    }
    if name == nil { sink.add(.unnamedIndex, at: at, "CREATE INDEX CONCURRENTLY without a name") }
    return .createsIndex(name: name, table: table)
  }

  private mutating func checkDrop(_ cursor: inout SQLCursor, _ at: Int) -> StatementKind {
    let start = cursor.index
    if cursor.accept("index") {
      let isConcurrent = cursor.accept("concurrently")
      cursor.skipCondition()
      var names: [String] = []
      repeat {
        if let name = cursor.name() { names.append(name) }
      } while cursor.accept(symbol: ",")
      let words = isConcurrent ? "DROP INDEX CONCURRENTLY" : "DROP INDEX"
      sink.add(.drop, at: at, "\(words) \(names.joined(separator: ", "))")
      return isConcurrent ? .dropsIndex(names: names) : .transactional
    }
    if ["database", "tablespace", "subscription"].contains(cursor.word()) {
      sink.add(.outsideTransaction, at: at, "DROP \((cursor.word() ?? "").uppercased())")
      return .transactional
    }
    if cursor.accept("table") {
      cursor.skipCondition()
      var names: [String] = []
      repeat {
        if let name = cursor.name() { names.append(name) }
      } while cursor.accept(symbol: ",")
      if !names.allSatisfy(knowledge.isOwn) { sink.add(.drop, at: at, "DROP TABLE \(names.joined(separator: ", "))") }
      return .transactional
    }
    // `DROP FOREIGN DATA WRAPPER x`, `DROP VIEW IF EXISTS a.b`: the words as they stand.
    let words = cursor.tokens[start...].prefix(8).map(\.range)
    if let from = words.first?.lowerBound, let to = words.last?.upperBound {
      let text = String(decoding: bytes[from..<min(to, from + 60)], as: UTF8.self)
      sink.add(.drop, at: at, "DROP \(text.split(whereSeparator: \.isWhitespace).joined(separator: " "))")
    }
    return .transactional
  }

  // MARK: Rows

  /// UPDATE and DELETE, also inside WITH: each needs a WHERE of its own.
  mutating func checkWrites(_ tokens: ArraySlice<SQLToken>) {
    var isStart = true
    for index in tokens.indices {
      defer {
        let kind = tokens[index].kind
        isStart =
          kind == .symbol(UInt8(ascii: "(")) || kind == .symbol(UInt8(ascii: ")"))
          || kind == .word("explain") || kind == .word("analyze")
      }
      guard isStart, case .word(let verb) = tokens[index].kind, verb == "update" || verb == "delete" else { continue }
      var cursor = SQLCursor(tokens[(index + 1)...])
      if verb == "delete", !cursor.accept("from") { continue }
      _ = cursor.accept("only")
      guard let table = cursor.name(), !knowledge.isOwn(table) else { continue }
      if !Self.hasWhere(cursor.rest) {
        let words = verb == "update" ? "UPDATE \(table)" : "DELETE FROM \(table)"
        sink.add(.everyRow, at: tokens[index].range.lowerBound, "\(words) without WHERE")
      }
    }
  }

  /// On the level where `tokens` begin, before the parenthesis around them is closed.
  private static func hasWhere(_ tokens: ArraySlice<SQLToken>) -> Bool {
    var depth = 0
    for token in tokens {
      switch token.kind {
      case .symbol(UInt8(ascii: "(")): depth += 1
      case .symbol(UInt8(ascii: ")")):
        depth -= 1
        if depth < 0 { return false }
      case .word("where") where depth == 0: return true
      default: break
      }
    }
    return false
  }

  // MARK: DO

  /// The statements in the body of `DO`, as far as they can be seen.
  private mutating func checkBlock(_ tokens: ArraySlice<SQLToken>) {
    guard !isNested else { return }
    for token in tokens {
      guard case .string(let content) = token.kind, !content.isEmpty else { continue }
      var lexer = SQLLexer(bytes, .postgres, in: content)
      var body: [SQLToken] = []
      do throws(SQLLexicalError) {
        while let token = try lexer.next() { body.append(token) }
      } catch {
        // The names of languages are texts too; what is no SQL the server will refuse.
        continue
      }
      isNested = true
      for statement in Self.statements(of: body[...]) { _ = check(statement) }
      isNested = false
    }
  }

  private static func statements(of body: ArraySlice<SQLToken>) -> [ArraySlice<SQLToken>] {
    let openers: Set<SQLToken.Kind> = [.word("begin"), .word("then"), .word("else"), .word("loop")]
    var found: [ArraySlice<SQLToken>] = []
    for part in body.split(separator: UInt8(ascii: ";")) {
      var start = part.startIndex
      for index in part.indices where openers.contains(part[index].kind) {
        found.append(part[start..<index])
        start = index + 1
      }
      found.append(part[start...])
    }
    return found.filter { !$0.isEmpty }
  }
}

extension ArraySlice<SQLToken> {
  fileprivate func split(separator: UInt8) -> [ArraySlice<SQLToken>] { split { $0.kind == .symbol(separator) } }
}
