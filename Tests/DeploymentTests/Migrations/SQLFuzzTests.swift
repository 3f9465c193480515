import Deployment
import TestPages
import Testing

/// Whatever a file holds: an answer, soon; statements that lie in it, one behind the other. Fails with the seed's number.
@Suite struct SQLFuzzTests {
  private static let pieces = [
    "'", "\"", "`", "[", "]", "$", "$$", "$a$", "E'", "\\", "--", "/*", "*/", "\n", "\r", ";", "(", ")", "e", "0x",
    "1e-",
    "U&\"", "U&'", "CREATE FUNCTION f() BEGIN ATOMIC ", "CREATE TRIGGER t BEGIN ", "END", "CASE", "DO $$",
    "ALTER TABLE t ",
    "ADD COLUMN c ", "DEFAULT ", "NOT NULL", "DROP ", "UPDATE t SET ", "WHERE", ",", ".", "\u{FEFF}", "é", ":", "?",
    "@",
    "-- baton: ", "contract\n", "SET lock_timeout = ", "CONCURRENTLY ", "CREATE INDEX ", "CONSTRAINT x CHECK (",
  ].map { Array($0.utf8) }

  private func text(_ generator: inout Seeded) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<Int.random(in: 0...40, using: &generator) {
      if Int.random(in: 0..<8, using: &generator) == 0 {
        bytes.append(UInt8.random(in: 0...255, using: &generator))
      } else {
        bytes += Self.pieces.randomElement(using: &generator) ?? []
      }
    }
    return bytes
  }

  @Test(.timeLimit(.minutes(Surroundings.minutes(5))), arguments: SQLDialect.allCases) func anything(
    dialect: SQLDialect
  ) {
    var divided = 0
    let count = Surroundings.inputs(8_000)
    for seed in 0..<count {
      var generator = Seeded(seed)
      let bytes = text(&generator)
      var knowledge = SchemaKnowledge()
      let script = MigrationLint.examine(
        MigrationFile(name: "1.sql", bytes: bytes, checksum: ""), dialect, knowledge: &knowledge)
      guard let statements = script.statements else {
        #expect(script.refusals.first?.rule == .unreadable, "seed \(seed)")
        continue
      }
      divided += 1
      var end = 0
      for statement in statements.list {
        #expect(statement.range.lowerBound >= end && statement.range.upperBound <= bytes.count, "seed \(seed)")
        #expect(!statement.range.isEmpty && !statement.tokens.isEmpty, "seed \(seed)")
        end = statement.range.upperBound
      }
      // Each statement alone is that statement: what is sent to the server is what was looked at.
      for statement in statements.list where !statement.tokens.contains(where: { $0.kind == .clientCommand }) {
        // In the middle of a file a byte order mark is a name.
        if bytes[statement.range].starts(with: [0xEF, 0xBB, 0xBF]) { continue }
        let alone = try? SQLStatements(Array(bytes[statement.range]), dialect)
        #expect(alone?.list.count == 1, "seed \(seed)")
      }
    }
    #expect(divided > count / 20)
  }

  @Test(.timeLimit(.minutes(Surroundings.minutes(1)))) func longFilesTakeLinearTime() throws {
    for piece in ["(", "/*", "$$", "'", "SELECT 1;", "$a", "E'\\'", "-- baton: x\n", "\"a"] {
      let bytes = Array(String(repeating: piece, count: 400_000 / piece.utf8.count).utf8)
      _ = try? SQLStatements(bytes, .postgres)
      _ = try? SQLStatements(bytes, .sqlite)
    }
  }
}
