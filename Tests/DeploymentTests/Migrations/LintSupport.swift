import Deployment

/// Looks through one file, as if nothing had come before it.
func examine(_ text: String, _ dialect: SQLDialect = .postgres, name: String = "001_a.sql") -> MigrationScript {
  var knowledge = SchemaKnowledge()
  return MigrationLint.examine(file(name, text), dialect, knowledge: &knowledge)
}

/// Looks through files one after the other.
func examine(files: [String], _ dialect: SQLDialect = .postgres) -> [MigrationScript] {
  var knowledge = SchemaKnowledge()
  return files.enumerated().map { index, text in
    MigrationLint.examine(file("00\(index + 1).sql", text), dialect, knowledge: &knowledge)
  }
}

func file(_ name: String, _ text: String) -> MigrationFile {
  // Any text that changes with the content will do.
  MigrationFile(name: name, bytes: Array(text.utf8), checksum: "\(text.utf8.count):\(text)")
}

/// A generator that gives the same for the same seed.
struct Seeded: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
