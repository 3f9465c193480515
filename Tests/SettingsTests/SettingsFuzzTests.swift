import Settings
import TestPages
import Testing

/// Whatever a file holds, the answer is settings or errors that lie in it; never a trap. Fails with the seed's number.
@Suite struct SettingsFuzzTests {
  private let fixture = SettingsFixture()

  private static let words = [
    "[", "]", "[[", "{", "}", "=", "\"", "'", ".", ",", "\n", "#", "0", "-1", "9223372036854775807", "1e400", "nan",
    "true", "1979-05-27", "\"\"", "[]", "{}", "\"5%\"", "\"1d\"", "\"*:0\"", "\"udp:[::]:9\"", "workers", "[engine.x]",
    "[socket.x]", "after = [\"web\"]", "\\u0000", "\u{FEFF}", "é", "\r\n", "\"http://127.0.0.1:{port}/\"", "\"unix:/\"",
  ].map { Array($0.utf8) }

  private func mutate(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
    guard !bytes.isEmpty else { return }
    let at = Int.random(in: 0..<bytes.count, using: &generator)
    let end = min(bytes.count, at + Int.random(in: 0...20, using: &generator))
    switch Int.random(in: 0..<7, using: &generator) {
    case 0: bytes[at] = UInt8.random(in: 0...255, using: &generator)
    case 1: bytes.removeSubrange(at..<end)
    case 2: bytes.insert(contentsOf: bytes[at..<end], at: Int.random(in: 0...bytes.count, using: &generator))
    case 3: bytes.removeSubrange(at...)
    case 4: bytes.insert(contentsOf: Self.words.randomElement(using: &generator) ?? [], at: at)
    case 5: swapLines(&bytes, &generator)
    default: replaceValue(&bytes, &generator)
    }
  }

  private func swapLines(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
    var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    let (left, right) = (
      Int.random(in: 0..<lines.count, using: &generator), Int.random(in: 0..<lines.count, using: &generator)
    )
    lines.swapAt(left, right)
    bytes = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
  }

  /// Keeps the file TOML, so that the deeper checks are met.
  private func replaceValue(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
    var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Array($0) }
    let index = Int.random(in: 0..<lines.count, using: &generator)
    guard let equals = lines[index].firstIndex(of: UInt8(ascii: "=")) else { return }
    let other = lines.randomElement(using: &generator) ?? []
    let value =
      Bool.random(using: &generator)
      ? Self.words.randomElement(using: &generator) ?? []
      : Array(other[(other.firstIndex(of: UInt8(ascii: "=")).map { $0 + 1 } ?? 0)...])
    lines[index] = Array(lines[index][...equals]) + value
    bytes = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
  }

  @Test(.timeLimit(.minutes(Surroundings.minutes(5)))) func mutatedFiles() {
    let original = Array(example.replacing("DIR", with: fixture.directory).utf8)
    var accepted = 0
    var semantic = 0
    let count = Surroundings.inputs(4_000)
    for seed in 0..<count {
      var generator = SeededGenerator(seed: seed)
      var bytes = original
      for _ in 0..<Int.random(in: 1...3, using: &generator) { mutate(&bytes, &generator) }
      switch SettingsReader.examine(bytes, file: "app.toml", isRoot: false) {
      case .success(let read):
        accepted += 1
        expectReadsBack(read.settings, seed)
        _ = ResolvedText.annotated(read)
      case .failure(let errors):
        if errors.errors.first?.message.hasPrefix("this is not TOML") == false { semantic += 1 }
        expectInside(errors, bytes, seed)
      }
    }
    // The mutations must reach all three outcomes, or they test less than they seem to.
    let isMixed = accepted > count / 40 && semantic > count / 20 && accepted + semantic < count * 19 / 20
    #expect(isMixed, "\(accepted) \(semantic)")
  }

  private func expectReadsBack(_ settings: Settings, _ seed: UInt64) {
    let canonical = Array(ResolvedText.canonical(settings).utf8)
    switch SettingsReader.examine(canonical, file: "again.toml", isRoot: false) {
    case .success(let again): #expect(again.settings == settings, "seed \(seed)")
    case .failure(let errors): Issue.record("seed \(seed): \(errors)")
    }
  }

  private func expectInside(_ errors: SettingsErrors, _ bytes: [UInt8], _ seed: UInt64) {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    #expect(!errors.errors.isEmpty, "seed \(seed)")
    for error in errors.errors {
      let length = error.line <= lines.count ? lines[max(0, error.line - 1)].count : 0
      // The end of the file counts as a line of its own.
      let isInside = (1...lines.count + 1).contains(error.line) && (1...length + 2).contains(error.column)
      #expect(isInside && error.file == "app.toml" && !error.message.isEmpty, "seed \(seed): \(error)")
    }
    let places = errors.errors.map { Position(line: $0.line, column: $0.column) }
    #expect(places == places.sorted(), "seed \(seed)")
  }

  @Test func randomBytes() {
    var generator = SeededGenerator(seed: 42)
    for _ in 0..<2_000 {
      let count = Int.random(in: 0...200, using: &generator)
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...127, using: &generator) }
      if case .success = SettingsReader.examine(bytes, file: "app.toml", isRoot: false) {
        Issue.record("accepted \(bytes)")
      }
    }
  }

  @Test func mutatedEnvironmentFiles() {
    let original = Array("# comment\nA=1\nB=\"q \\\" x\"\nC='raw'\n\nexport D=4\nE=\n".utf8)
    for seed in UInt64(0)..<1_000 {
      var generator = SeededGenerator(seed: seed)
      var bytes = original
      mutate(&bytes, &generator)
      fixture.write("app.env", bytes)
      let text = fixture.minimal().replacing("[engine.web]", with: "environment-files = [\"app.env\"]\n[engine.web]")
      guard case .failure(let errors) = fixture.examine(text) else { continue }
      let lines = bytes.count { $0 == UInt8(ascii: "\n") } + 1
      for error in errors.errors {
        #expect(error.file == fixture.path("app.env") && (1...lines).contains(error.line), "seed \(seed): \(error)")
      }
    }
  }
}
