/// What earlier statements are known to have made: it decides whether a later one is harmless.
package struct SchemaKnowledge: Hashable, Sendable {
  private struct Check: Hashable, Sendable {
    var column: String
    var isValidated: Bool
  }

  private struct Key: Hashable, Sendable {
    var table: String
    var constraint: String
  }

  /// `CHECK (column IS NOT NULL)`
  private var notNullChecks: [Key: Check] = [:]
  /// Made in this file, so that nobody else has seen them.
  private var ownTables: Set<String> = []
  /// Added in this file with NOT VALID.
  private var ownConstraints: Set<Key> = []

  package init() {}

  /// A constraint the database has: `CHECK (column IS NOT NULL)`.
  package mutating func noteNotNullCheck(_ constraint: String, of table: String, column: String, isValidated: Bool) {
    notNullChecks[Key(table: table, constraint: constraint)] =
      Check(column: column, isValidated: isValidated)
  }

  mutating func beginFile() {
    ownTables = []
    ownConstraints = []
  }

  mutating func noteTable(_ table: String) { ownTables.insert(table) }
  func isOwn(_ table: String?) -> Bool { table.map(ownTables.contains) ?? false }

  mutating func noteConstraint(_ constraint: String, of table: String, notNull column: String?, isValidated: Bool) {
    let key = Key(table: table, constraint: constraint)
    if !isValidated { ownConstraints.insert(key) }
    if let column { notNullChecks[key] = Check(column: column, isValidated: isValidated) }
  }

  func isConstraintOfThisFile(_ constraint: String, of table: String) -> Bool {
    ownConstraints.contains(Key(table: table, constraint: constraint))
  }

  mutating func validate(_ constraint: String, of table: String) {
    notNullChecks[Key(table: table, constraint: constraint)]?.isValidated = true
  }

  func isNotNull(_ column: String, of table: String) -> Bool {
    notNullChecks.contains { $0.key.table == table && $0.value.column == column && $0.value.isValidated }
  }

  /// True when it was the check that only helped to set a column NOT NULL.
  mutating func dropNotNullCheck(_ constraint: String, of table: String) -> Bool {
    notNullChecks.removeValue(forKey: Key(table: table, constraint: constraint)) != nil
  }
}
