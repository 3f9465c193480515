import Deployment
import Testing

/// What is found in a file for SQLite.
@Suite struct SQLiteLintTests {
  private static let refused: [(String, MigrationRule)] = [
    ("DROP TABLE users", .drop),
    ("DROP INDEX IF EXISTS i", .drop),
    ("DROP VIEW v", .drop),
    ("ALTER TABLE users DROP COLUMN a", .drop),
    ("ALTER TABLE users RENAME TO people", .rename),
    ("ALTER TABLE users RENAME COLUMN a TO b", .rename),
    ("ALTER TABLE users ADD COLUMN a int NOT NULL", .addsNotNull),
    ("ALTER TABLE users ADD a int UNIQUE", .validatesAtOnce),
    ("UPDATE users SET a = 1", .everyRow),
    ("UPDATE OR IGNORE users SET a = (SELECT 1 WHERE 1)", .everyRow),
    ("DELETE FROM users", .everyRow),
    ("WITH x AS (SELECT 1 WHERE 1) DELETE FROM users", .everyRow),
    ("VACUUM", .rewrites),
  ]

  @Test(arguments: refused) func isRefusedUnlessAContract(text: String, rule: MigrationRule) {
    #expect(examine(text, .sqlite).refusals.map(\.rule) == [rule])
    #expect(examine("-- baton: contract\n" + text, .sqlite).refusals.isEmpty)
  }

  private static let impossible: [(String, MigrationRule)] = [
    ("BEGIN; SELECT 1; COMMIT", .transaction),
    ("SELECT 1; END TRANSACTION", .transaction),
    ("PRAGMA foreign_keys = ON", .pragma),
    ("PRAGMA main.journal_mode(delete)", .pragma),
    ("ATTACH 'x' AS y", .outsideTransaction),
    (".read other.sql", .clientCommand),
    ("VACUUM; SELECT 1", .notAlone),
  ]

  @Test(arguments: impossible) func isRefusedAlsoInAContract(text: String, rule: MigrationRule) {
    #expect(examine("-- baton: contract\n" + text, .sqlite).refusals.map(\.rule).contains(rule))
  }

  @Test(arguments: [
    "CREATE TABLE a (b int); CREATE INDEX i ON a (b); UPDATE A SET b = 1; ALTER TABLE a RENAME TO c",
    "CREATE INDEX i ON users (a)",
    "ALTER TABLE users ADD COLUMN a int NOT NULL DEFAULT 0",
    "ALTER TABLE users ADD COLUMN a int",
    "UPDATE users SET a = 1 WHERE a IS NULL",
    "INSERT INTO a VALUES (1) ON CONFLICT DO UPDATE SET b = 1",
    "WITH x AS (SELECT 1) SELECT * FROM x",
    "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; END",
    "PRAGMA user_version = 3",
    "PRAGMA foreign_keys",
  ]) func isAllowed(text: String) { #expect(examine(text, .sqlite).findings.map(\.text) == []) }
}
