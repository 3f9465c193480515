/// What a statement of SQLite does to those who use the schema meanwhile. Source: sqlite.org/lang.html
///
/// Building an index blocks writers too, but SQLite knows no other way: it is allowed.
struct SQLiteLint {
  var knowledge: SchemaKnowledge
  var sink: FindingSink

  init(knowledge: SchemaKnowledge, sink: FindingSink) {
    self.knowledge = knowledge
    self.sink = sink
  }

  mutating func check(_ tokens: ArraySlice<SQLToken>) -> StatementKind {
    guard let first = tokens.first else { return .transactional }
    let at = first.range.lowerBound
    if first.kind == .clientCommand {
      sink.add(.clientCommand, at: at, "a command of the sqlite3 shell")
      return .transactional
    }
    var cursor = SQLCursor(tokens)
    let verb = cursor.word() ?? ""
    cursor.advance()
    switch verb {
    case "create": noteCreated(&cursor)
    case "drop": checkDrop(&cursor, at)
    case "alter": checkAlter(&cursor, at)
    case "update", "delete", "with": checkWrites(tokens)
    case "begin", "commit", "end": sink.add(.transaction, at: at, verb.uppercased())
    case "rollback":
      _ = cursor.accept("transaction")
      if cursor.word() != "to" { sink.add(.transaction, at: at, "ROLLBACK") }
    case "attach", "detach": sink.add(.outsideTransaction, at: at, verb.uppercased())
    case "pragma": checkPragma(&cursor, at)
    case "vacuum":
      sink.add(.rewrites, at: at, "VACUUM", instead: "do it in a maintenance window, in a contract")
      return .maintenance("VACUUM")
    default: break
    }
    return .transactional
  }

  private mutating func noteCreated(_ cursor: inout SQLCursor) {
    _ = cursor.accept("temp") || cursor.accept("temporary") || cursor.accept("virtual")
    guard cursor.accept("table"), !cursor.accept("if", "not", "exists"), let table = cursor.name() else { return }
    knowledge.noteTable(table.lowercased())
  }

  private mutating func checkDrop(_ cursor: inout SQLCursor, _ at: Int) {
    let kind = (cursor.word() ?? "").uppercased()
    cursor.advance()
    cursor.skipCondition()
    let name = cursor.name()
    if kind == "TABLE", knowledge.isOwn(name?.lowercased()) { return }
    sink.add(.drop, at: at, "DROP \(kind) \(name ?? "")")
  }

  private mutating func checkAlter(_ cursor: inout SQLCursor, _ at: Int) {
    guard cursor.accept("table"), let table = cursor.name(), !knowledge.isOwn(table.lowercased()) else { return }
    if cursor.accept("rename") { return sink.add(.rename, at: at, "RENAME in \(table)") }
    if cursor.accept("drop") {
      _ = cursor.accept("column")
      return sink.add(.drop, at: at, "DROP COLUMN \(cursor.identifier() ?? "") of \(table)")
    }
    guard cursor.accept("add") else { return }
    _ = cursor.accept("column")
    guard let column = cursor.identifier() else { return }
    let rest = cursor.rest
    let value = rest.firstOutside("default").map { $0 + 1 }
    let hasValue = value.map { $0 < rest.endIndex && rest[$0].kind != .word("null") } ?? false
    if rest.firstOutside("not", "null") != nil, !hasValue {
      sink.add(.addsNotNull, at: at, "ADD COLUMN \(table).\(column) NOT NULL without a DEFAULT")
    }
    if rest.firstOutside("unique") != nil || rest.firstOutside("primary", "key") != nil {
      sink.add(
        .validatesAtOnce, at: at, "ADD COLUMN \(table).\(column) with a key, which SQLite cannot add",
        instead: "add the column, then CREATE UNIQUE INDEX")
    }
  }

  private mutating func checkWrites(_ tokens: ArraySlice<SQLToken>) {
    // SQLite has no writing inside WITH: the verb stands outside all parentheses.
    let outside = tokens.outside
    guard let verb = outside.first(where: { $0.token.kind == .word("update") || $0.token.kind == .word("delete") })
    else { return }
    // Of `WITH … SELECT` or `INSERT … ON CONFLICT DO UPDATE`.
    if let other = outside.first(where: { $0.token.kind == .word("select") || $0.token.kind == .word("insert") }),
      other.index < verb.index
    {
      return
    }
    var cursor = SQLCursor(tokens[(verb.index + 1)...])
    _ = cursor.accept("from")
    if cursor.accept("or") { cursor.advance() }
    guard let table = cursor.name(), !knowledge.isOwn(table.lowercased()) else { return }
    if cursor.rest.firstOutside("where") == nil {
      let words = verb.token.kind == .word("update") ? "UPDATE \(table)" : "DELETE FROM \(table)"
      sink.add(.everyRow, at: verb.token.range.lowerBound, "\(words) without WHERE")
    }
  }

  private mutating func checkPragma(_ cursor: inout SQLCursor, _ at: Int) {
    guard let name = cursor.name() else { return }
    let last = name.split(separator: ".").last.map { $0.lowercased() } ?? ""
    let sets = cursor.isSymbol("=") || cursor.isSymbol("(")
    switch last {
    case "foreign_keys", "journal_mode", "synchronous", "locking_mode", "writable_schema", "auto_vacuum",
      "page_size", "encoding", "schema_version", "wal_checkpoint":
      if sets || last == "wal_checkpoint" { sink.add(.pragma, at: at, "PRAGMA \(last)") }
    default: break
    }
  }
}
