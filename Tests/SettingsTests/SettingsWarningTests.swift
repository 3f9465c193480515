import Settings
import Testing

/// Settings that work and promise less than they seem to are said so, and only they.
@Suite struct SettingsWarningTests {
  let fixture = SettingsFixture()

  private func expectWarning(
    _ engine: String, _ rest: String = "", _ parts: String?..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let warnings = try fixture.warnings(fixture.minimal(engine: engine, rest: rest))
    let parts = parts.compactMap { $0 }
    #expect(warnings.count == parts.count, "\(warnings)", sourceLocation: sourceLocation)
    for (warning, part) in zip(warnings, parts) {
      #expect(warning.contains(part), "\(part) in \(warning)", sourceLocation: sourceLocation)
    }
  }

  private let tcp = "[socket.a]\nlisten = \"*:1\""
  private let proved = "sockets = [\"a\"]\nprove = { socket = \"a\" }\n"

  @Test func nothingToSay() throws {
    try expectWarning("", "")
    try expectWarning(proved, tcp)
    try expectWarning("ready = { http = \"http://127.0.0.1:{port}/\" }\nworkers = 4")
    try expectWarning("ready = { tcp = \"127.0.0.1:9\" }\nhandover = \"exclusive\"")
  }

  @Test func socketsWithoutProof() throws {
    try expectWarning("sockets = [\"a\"]", tcp, "app.toml:3:9: warning: engine web answers on a and has no prove")
  }

  @Test func proofsThatCannotBeSteered() throws {
    try expectWarning(
      proved, tcp + "\n[handover]\nsteering = \"off\"", "with steering off the proof of engine web is weak")
    try expectWarning(
      proved, "[socket.a]\nlisten = \"/run/a\"", "the proof of engine web is weak: before the commit /run/a")
    try expectWarning(
      "sockets = [\"a\", \"u\"]\nprove = { socket = \"a\" }", tcp + "\n[socket.u]\nlisten = \"udp:*:2\"",
      "socket u of engine web takes datagrams")
  }

  @Test func weakReadiness() throws {
    try expectWarning(
      "ready = { after = \"2s\" }", "", "app.toml:5:9: warning: readiness of engine web is weak: alive for 2s")
    try expectWarning("ready = { tcp = \"127.0.0.1:9\" }", "", "asks a port without {port}")
    try expectWarning("ready = { http = \"http://localhost:9/\" }", "", "asks a port without {port}")
    try expectWarning("watchdog = { http = \"http://localhost:9/\" }", "", "the watchdog of engine web is weak")
    try expectWarning(
      "ready = { tcp = \"127.0.0.1:9\" }\nhandover = \"exclusive\"\nworkers = 2", "", "asks a port without {port}")
  }

  @Test func aPortThatIsReplaced() throws {
    let port = "environment = { PORT = \"80\" }\n"
    try expectWarning(port)
    try expectWarning(
      port + "ready = { tcp = \"127.0.0.1:{port}\" }", "", "engine web uses {port}, so PORT in its environment")
  }

  @Test func timesThatDoNotFit() throws {
    try expectWarning("stop-timeout = \"25s\"", "", "stop-timeout of engine web is 25s, and stage engines")
    try expectWarning("stop-timeout = \"4s\"\nstage = \"redis\"", "", "stage redis of the shutdown has 3s")
    try expectWarning("", "[shutdown]\ntimeout = \"10s\"")
    try expectWarning("", "[shutdown]\nengines = \"30s\"", "the stages may take 38s together")
  }

  @Test func exclusiveEnginesMakeClientsWait() throws {
    try expectWarning(
      proved + "handover = \"exclusive\"", tcp, "app.toml:7:12: warning: engine web is exclusive: clients of a wait")
  }
}
