import Glibc
import Settings
import Testing

/// Files that are no settings at all: one clear error each, and never a wait.
@Suite struct SettingsFileTests {
  let fixture = SettingsFixture()

  private func errors(_ name: String) -> [String] {
    switch SettingsReader.read(file: fixture.path(name)) {
    case .success: []
    case .failure(let errors): errors.errors.map(\.description)
    }
  }

  private func error(_ name: String) -> String {
    let errors = errors(name)
    #expect(errors.count == 1, "\(errors)")
    return errors.first ?? "accepted"
  }

  @Test func filesThatAreNone() {
    #expect(
      error("gone.toml").hasSuffix(
        "gone.toml:1:1: the settings cannot be read: there is no such file: ENOENT No such file or directory"))
    #expect(error("").contains("it is a directory, not a file"))
    #expect(symlink(fixture.path("b"), fixture.path("a")) == 0 && symlink(fixture.path("a"), fixture.path("b")) == 0)
    #expect(error("a").contains("its symbolic links lead in a circle: ELOOP"))
    #expect(error("main/x").contains("ENOTDIR"))
  }

  /// open(2) of a FIFO without a writer waits for ever unless O_NONBLOCK is given.
  @Test(.timeLimit(.minutes(1))) func aFIFOIsNotWaitedFor() {
    #expect(mkfifo(fixture.path("fifo"), 0o600) == 0)
    #expect(error("fifo").contains("it is a FIFO, not a file"))
    #expect(error("../../dev/zero").contains("it is a device, not a file"))
  }

  @Test func largeFiles() {
    fixture.write("large", [UInt8](repeating: UInt8(ascii: "#"), count: 10_000_000))
    #expect(error("large").contains("it has 10000000 bytes; at most 1048576 are read"))
    fixture.write("full", [UInt8](repeating: UInt8(ascii: "#"), count: 1 << 20))
    #expect(errors("full").first?.contains("[service] is missing") == true)
  }

  @Test func bytesThatAreNoTOML() {
    var generator = SeededGenerator(seed: 7)
    fixture.write("random", (0..<100_000).map { _ in UInt8.random(in: 0...255, using: &generator) })
    #expect(error("random").contains("this is not TOML"))
    fixture.write("nul", [0x61, 0, 0x62])
    #expect(error("nul").contains("this is not TOML"))
    fixture.write("latin", [0x61, 0x3D, 0x22, 0xE4, 0x22])
    #expect(error("latin").contains("this is not TOML"))
  }

  /// What nests must not exhaust the stack of the parser, of the walk, or of the freeing.
  @Test func deepNesting() {
    func times(_ count: Int, _ text: String) -> String { String(repeating: text, count: count) }
    fixture.write("arrays", "a = " + times(500_000, "["))
    #expect(error("arrays").contains("this is not TOML"))
    fixture.write("dots", times(500_000, "a.") + "b = 1")
    #expect(error("dots").contains("512 dots"))
    fixture.write("header", "[" + times(500_000, "a.") + "b]")
    #expect(error("header").contains("512 dots"))
    fixture.write("quoted", times(100_000, "\"=\".") + "b = 1")
    #expect(error("quoted").contains("512 dots"))
    // The deepest that passes: each line 512 keys deep, each value in the one before.
    let line = times(500, "a.") + "a = [\n"
    fixture.write("lines", line + times(14, "{ " + line) + times(14, "] }\n") + "]\n")
    #expect(errors("lines").first?.contains("\"a\" is no section") == true)
    fixture.write("many", (0..<400).map { "[" + times(300, "k\($0).") + "x]\n" }.joined())
    #expect(errors("many").count == 402)
  }

  @Test(.enabled(if: geteuid() != 0, "needs a user other than root, who may read everything"))
  func unreadableFiles() {
    fixture.write("secret", "", mode: 0)
    #expect(error("secret").contains("may not read it: EACCES"))
  }
}

/// Random numbers that come again with the same seed. Source: SplitMix64 (Steele, Lea, Flood 2014).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
