extension PostgresLint {
  mutating func checkAlter(_ cursor: inout SQLCursor, _ at: Int) -> StatementKind {
    if cursor.accept("table") {
      cursor.skipCondition()
      _ = cursor.accept("only")
      guard let table = cursor.name() else { return .transactional }
      _ = cursor.accept(symbol: "*")
      var kind = StatementKind.transactional
      for action in cursor.rest.parts {
        let found = checkAction(action, of: table)
        if found != .transactional { kind = found }
      }
      return kind
    }
    if cursor.word() == "system" {
      sink.add(.outsideTransaction, at: at, "ALTER SYSTEM")
      return .transactional
    }
    checkAlterOther(cursor.rest, at)
    return .transactional
  }

  /// ALTER of what is no table: a type, a view, a sequence, a function, …
  private mutating func checkAlterOther(_ tokens: ArraySlice<SQLToken>, _ at: Int) {
    var cursor = SQLCursor(tokens)
    let kind = (cursor.word() ?? "").uppercased()
    cursor.advance()
    if tokens.firstOutside("rename") != nil || tokens.firstOutside("set", "schema") != nil {
      sink.add(.rename, at: at, "ALTER \(kind) … RENAME")
    }
    if tokens.firstOutside("drop") != nil { sink.add(.drop, at: at, "ALTER \(kind) … DROP") }
    guard kind == "DOMAIN" else { return }
    if tokens.firstOutside("set", "not", "null") != nil { sink.add(.setNotNull, at: at, "ALTER DOMAIN … SET NOT NULL") }
    if tokens.firstOutside("add") != nil, tokens.firstOutside("not", "valid") == nil {
      sink.add(.validatesAtOnce, at: at, "ALTER DOMAIN … ADD CONSTRAINT without NOT VALID")
    }
  }

  /// One of the actions of ALTER TABLE.
  private mutating func checkAction(_ tokens: ArraySlice<SQLToken>, of table: String) -> StatementKind {
    guard let at = tokens.first?.range.lowerBound else { return .transactional }
    let isOwn = knowledge.isOwn(table)
    var cursor = SQLCursor(tokens)
    let verb = cursor.word()
    cursor.advance()
    switch verb {
    case "add": checkAdd(&cursor, of: table, isOwn: isOwn, at)
    case "drop":
      if !isOwn { checkDropFromTable(&cursor, of: table, at) }
    case "alter":
      if !isOwn { checkColumn(&cursor, of: table, at) }
    case "rename":
      if !isOwn { sink.add(.rename, at: at, "RENAME in \(table)") }
    case "validate":
      _ = cursor.accept("constraint")
      guard let name = cursor.identifier() else { break }
      if knowledge.isConstraintOfThisFile(name, of: table), !isOwn {
        sink.add(.validatesTogether, at: at, "VALIDATE CONSTRAINT \(name) of \(table) in the file that adds it")
      }
      knowledge.validate(name, of: table)
    case "set":
      if !isOwn { checkSetOfTable(&cursor, of: table, at) }
    case "detach":
      sink.add(.drop, at: at, "DETACH PARTITION of \(table)")
      if tokens.firstOutside("concurrently") != nil { return .maintenance("DETACH PARTITION CONCURRENTLY") }
    case "enable", "force":
      if !isOwn, cursor.word() == "row" { sink.add(.tightens, at: at, "row level security of \(table)") }
    default: break
    }
    return .transactional
  }

  private mutating func checkSetOfTable(_ cursor: inout SQLCursor, of table: String, _ at: Int) {
    switch cursor.word() {
    case "schema": sink.add(.rename, at: at, "SET SCHEMA of \(table)")
    case "tablespace", "logged", "unlogged", "access":
      sink.add(
        .rewrites, at: at, "SET \((cursor.word() ?? "").uppercased()) of \(table)",
        instead: "do it in a maintenance window, in a contract")
    default: break
    }
  }

  private mutating func checkDropFromTable(_ cursor: inout SQLCursor, of table: String, _ at: Int) {
    if cursor.accept("constraint") {
      cursor.skipCondition()
      let name = cursor.identifier() ?? ""
      // The helper of SET NOT NULL has done its work.
      if knowledge.dropNotNullCheck(name, of: table) { return }
      return sink.add(.drop, at: at, "DROP CONSTRAINT \(name) of \(table)")
    }
    _ = cursor.accept("column")
    cursor.skipCondition()
    sink.add(.drop, at: at, "DROP COLUMN \(cursor.identifier() ?? "") of \(table)")
  }

  private mutating func checkColumn(_ cursor: inout SQLCursor, of table: String, _ at: Int) {
    _ = cursor.accept("column")
    guard let column = cursor.identifier() else { return }
    if cursor.accept("type") || cursor.accept("set", "data", "type") {
      sink.add(.changesType, at: at, "the type of \(table).\(column) changes")
    } else if cursor.accept("set", "not", "null") {
      if !knowledge.isNotNull(column, of: table) {
        sink.add(.setNotNull, at: at, "SET NOT NULL on \(table).\(column) without a validated check")
      }
    } else if cursor.accept("drop") {
      switch cursor.word() {
      case "default", "identity", "expression":
        let word = (cursor.word() ?? "").uppercased()
        sink.add(.tightens, at: at, "DROP \(word) of \(table).\(column): inserts without it may fail")
      default: break
      }
    }
  }

  // MARK: ADD

  private mutating func checkAdd(_ cursor: inout SQLCursor, of table: String, isOwn: Bool, _ at: Int) {
    var constraint: String?
    if cursor.accept("constraint") { constraint = cursor.identifier() }
    let kind = cursor.word()
    let isKind = cursor.isSymbol("(", 1) || kind == "unique" || kind == "exclude" || cursor.word(1) == "key"
    guard constraint != nil || (isKind && ["check", "foreign", "primary", "unique", "exclude"].contains(kind)) else {
      _ = cursor.accept("column")
      cursor.skipCondition()
      guard let column = cursor.identifier() else { return }
      if !isOwn { checkNewColumn(cursor.rest, named: column, of: table, at) }
      return
    }
    let isValidated = cursor.rest.firstOutside("not", "valid") == nil
    if let constraint {
      knowledge.noteConstraint(
        constraint, of: table, notNull: kind == "check" ? Self.columnNotNull(cursor) : nil, isValidated: isValidated)
    }
    guard !isOwn else { return }
    switch kind {
    case "check" where isValidated:
      sink.add(.validatesAtOnce, at: at, "ADD CHECK to \(table) without NOT VALID")
    case "foreign" where isValidated:
      sink.add(.validatesAtOnce, at: at, "ADD FOREIGN KEY to \(table) without NOT VALID")
    case "primary", "unique":
      if cursor.rest.firstOutside("using", "index") == nil {
        let words = kind == "primary" ? "ADD PRIMARY KEY" : "ADD UNIQUE"
        sink.add(.validatesAtOnce, at: at, "\(words) to \(table) without USING INDEX")
      }
    case "exclude": sink.add(.validatesAtOnce, at: at, "ADD EXCLUDE to \(table)")
    default: break
    }
  }

  /// The column of `CHECK (column IS NOT NULL)`.
  private static func columnNotNull(_ check: SQLCursor) -> String? {
    var cursor = check
    guard cursor.accept("check") else { return nil }
    var depth = 0
    while cursor.accept(symbol: "(") { depth += 1 }
    let column = cursor.identifier()
    guard depth > 0, cursor.accept("is", "not", "null") else { return nil }
    while depth > 0, cursor.accept(symbol: ")") { depth -= 1 }
    return depth == 0 ? column : nil
  }

  private mutating func checkNewColumn(
    _ tokens: ArraySlice<SQLToken>, named column: String, of table: String, _ at: Int
  ) {
    let name = "\(table).\(column)"
    let expression = Self.defaultExpression(tokens)
    let isNull = expression.map { $0.count == 1 && $0.first?.kind == .word("null") } ?? true
    if case .word(let type) = tokens.first?.kind, type.hasSuffix("serial") || type.hasPrefix("serial") {
      sink.add(.rewrites, at: at, "ADD COLUMN \(name) \(type)")
    }
    if tokens.firstOutside("generated") != nil {
      sink.add(.rewrites, at: at, "ADD COLUMN \(name) GENERATED")
    } else if tokens.firstOutside("not", "null") != nil, isNull {
      sink.add(.addsNotNull, at: at, "ADD COLUMN \(name) NOT NULL without a DEFAULT")
    }
    if let expression, let function = Self.volatileCall(expression) {
      sink.add(.rewrites, at: at, "ADD COLUMN \(name) with a DEFAULT that calls \(function), which may be volatile")
    }
    if tokens.firstOutside("unique") != nil || tokens.firstOutside("primary", "key") != nil {
      sink.add(.validatesAtOnce, at: at, "ADD COLUMN \(name) with a key: its index is built at once")
    }
    if tokens.firstOutside("check") != nil {
      sink.add(.validatesAtOnce, at: at, "ADD COLUMN \(name) with a CHECK")
    }
    if tokens.firstOutside("references") != nil, !isNull {
      sink.add(.validatesAtOnce, at: at, "ADD COLUMN \(name) with a DEFAULT and REFERENCES")
    }
  }

  /// What stands behind DEFAULT, up to the next constraint.
  private static func defaultExpression(_ tokens: ArraySlice<SQLToken>) -> ArraySlice<SQLToken>? {
    guard let start = tokens.firstOutside("default").map({ $0 + 1 }), start < tokens.endIndex else { return nil }
    let constraints: Set<SQLToken.Kind> = [
      .word("constraint"), .word("check"), .word("unique"), .word("primary"), .word("references"), .word("generated"),
      .word("collate"), .word("deferrable"), .word("initially"),
    ]
    let outside = tokens[start...].outside
    for (place, found) in outside.enumerated() where place > 0 {
      let next = place + 1 < outside.count ? outside[place + 1].token.kind : nil
      let isNull = found.token.kind == .word("null") || found.token.kind == .word("not") && next == .word("null")
      if isNull || constraints.contains(found.token.kind) { return tokens[start..<found.index] }
    }
    return tokens[start...]
  }

  /// The first function that is not known to give every row the same.
  private static func volatileCall(_ tokens: ArraySlice<SQLToken>) -> String? {
    for index in tokens.indices.dropLast() where tokens[index + 1].kind == .symbol(UInt8(ascii: "(")) {
      switch tokens[index].kind {
      case .word(let name) where !steadyNames.contains(name): return name
      case .quoted(let name): return name
      default: break
      }
    }
    return nil
  }

  /// Functions that PostgreSQL calls stable or immutable, types with a length, and operators that take a list.
  private static let steadyNames: Set<String> = [
    "now", "transaction_timestamp", "statement_timestamp", "current_timestamp", "current_time", "localtimestamp",
    "localtime", "make_interval", "make_date", "make_timestamp", "make_timestamptz", "make_time", "to_timestamp",
    "to_date", "date_trunc", "date_part", "extract", "age", "timezone", "lower", "upper", "trim", "btrim", "concat",
    "format", "md5", "sha256", "encode", "decode", "convert_to", "convert_from", "coalesce", "nullif", "greatest",
    "least", "abs", "round", "floor", "ceil", "power", "mod", "length", "substring", "replace", "cast", "row", "array",
    "jsonb_build_object", "jsonb_build_array", "json_build_object", "json_build_array", "to_json", "to_jsonb",
    "array_fill", "string_to_array", "current_setting", "current_database", "current_schema", "quote_literal",
    "varchar", "varying", "char", "character", "bpchar", "text", "numeric", "decimal", "bit", "float", "time",
    "timestamp", "timestamptz", "interval", "in", "and", "or", "not",
  ]
}
