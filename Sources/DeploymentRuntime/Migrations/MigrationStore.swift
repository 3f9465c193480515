import Databases
import Deployment
import Vocabulary

/// A database that migrations are applied to, and that records them in its table `baton_migrations`.
protocol MigrationStore: AnyObject {
  /// What the table has of the service; nothing where there is no table. Changes nothing.
  func applied() throws(DatabaseError) -> [AppliedMigration]
  /// What the database has that makes later statements harmless. Changes nothing.
  func knowledge() throws(DatabaseError) -> SchemaKnowledge
  /// Waits until no other deploy is at work here, and keeps others out until the store goes.
  func lock() throws(DatabaseError)
  /// Makes what must be there before the first of `scripts` is applied: the table, a copy of the database.
  func prepare(_ scripts: [MigrationScript]) throws(StepFailure)
  /// Applies one and records it, all or nothing.
  ///
  /// - Returns: false when somebody else had applied it meanwhile.
  func apply(_ script: MigrationScript, after record: AppliedMigration?) throws(StepFailure) -> Bool
  /// What the server remarked.
  func takeNotices() -> [String]
}

/// What is recorded with each migration.
struct MigrationContext {
  let service: ServiceName
  let operation: OperationID
  let release: ReleaseID
  let effects: Effects
  let patience: DatabasePatience
  let lockTimeout: Duration
  let statementTimeout: Duration
  let audience: any OperationAudience
}

extension DatabaseError {
  /// With the place in the file, where the server gave one; else that of the statement.
  func placed(in statement: SQLStatements.Statement, of script: MigrationScript) -> DatabaseError {
    var error = self
    let position = script.statements?.position(of: statement.range.lowerBound + (offset ?? 0))
    error.place = position.map { "\(script.name):\($0)" } ?? script.name
    return error
  }
}
