import Glibc
import Settings
import Testing
import Vocabulary

/// Each mistake is one error, in its place, with what is accepted.
@Suite struct SettingsErrorTests {
  let fixture = SettingsFixture()

  private func expectOne(
    _ text: String, _ parts: [String], isRoot: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let errors = fixture.errors(text, isRoot: isRoot)
    #expect(errors.count == 1, "\(errors)", sourceLocation: sourceLocation)
    for part in parts {
      #expect(errors.first?.contains(part) == true, "\(part) in \(errors)", sourceLocation: sourceLocation)
    }
  }

  /// An error in a line of [engine.web], which begins in line 5.
  private func expectEngine(
    _ line: String, _ parts: String..., rest: String = "", sourceLocation: SourceLocation = #_sourceLocation
  ) {
    expectOne(fixture.minimal(engine: line, rest: rest), ["app.toml:5:"] + parts, sourceLocation: sourceLocation)
  }

  // MARK: Keys and types

  @Test func unknownKeys() {
    expectEngine(
      "worker = 4", "5:1: \"worker\" is no key of [engine.web]", "known are command, workers",
      "did you mean \"workers\"?")
    expectEngine("restart = { dealy = \"1s\" }", "5:13:", "[engine.web.restart]", "did you mean \"delay\"?")
    expectEngine("backlog = 5", "it is a key of [socket.NAME]")
    expectEngine("limits = { nofiles = 5 }", "did you mean \"nofile\"?")
  }

  @Test(arguments: ["monitor", "traffic", "api", "alert"])
  func unknownSections(_ name: String) {
    expectOne(fixture.minimal(rest: "[\(name)]\nurl = \"x\""), ["app.toml:6:", "\"\(name)\" is no section"])
  }

  @Test func unknownSectionsNameTheNearest() {
    expectOne(fixture.minimal(rest: "[shutdwon]\ntimeout = \"1s\""), ["did you mean [shutdown]?"])
    expectOne("workers = 3\n" + fixture.minimal(), ["app.toml:1:1:", "no key stands before", "key of [engine.NAME]"])
    expectOne(fixture.minimal(rest: "[[socket]]\nlisten = \"*:1\""), ["socket is a list; tables [socket.NAME]"])
    expectOne(fixture.minimal(rest: "[socket]\nlisten = \"*:1\""), ["\"listen\" in [socket]", "[socket.main]"])
  }

  @Test func wrongTypesShowTheCorrection() {
    expectEngine("workers = 4.0", "5:11:", "workers is the decimal 4.0; an integer from 1 to 1000", "write workers = 4")
    expectEngine("workers = \"4\"", "workers is the text \"4\"", "write workers = 4")
    expectEngine("workers = 4.5", "the decimal 4.5")
    expectEngine("stop-timeout = 30", "the integer 30", "write stop-timeout = \"30s\"")
    expectEngine("sockets = \"http\"", "write sockets = [\"http\"]")
    expectEngine("umask = 18", "write umask = \"0022\"")
    expectEngine("after = [1]", "after holds the integer 1")
    expectEngine("environment = { A = 1 }", "A in engine.web.environment is the integer 1", "write A = \"1\"")
    expectEngine("prove = true", "prove is true; a table")
    expectEngine("ready = 1979-05-27", "ready is a date")
    expectOne(
      "[service]\ndirectory = \"DIR\"\n[engine.web]\ncommand = \"./main http\"",
      ["app.toml:4:11:", "write command = [\"./main\", \"http\"]"])
    expectOne(fixture.minimal(rest: "[shutdown.database]\nrun = [\"./main\"]"), ["write run = [[\"./main\"]]"])
    expectOne(fixture.minimal(rest: "[handover]\ntrial = { share = 5, for = \"1s\" }"), ["write share = \"5%\""])
    expectOne("service = 3\n[engine.web]\ncommand = [\"/bin/sh\"]\n", ["app.toml:1:1:", "service is the integer 3"])
  }

  // MARK: Values

  @Test func values() {
    expectEngine("workers = 0", "workers is 0; an integer from 1 to 1000")
    expectEngine("workers = 1001", "workers is 1001")
    expectEngine("workers = 9223372036854775807", "from 1 to 1000")
    expectEngine("stop-timeout = \"30\"", "no unit", "write stop-timeout = \"30s\"")
    expectEngine("stop-timeout = \"30 parsecs\"", "no unit")
    expectEngine("start-timeout = \"0s\"", "a duration from \"1ms\" to \"1d\"")
    expectEngine("stop-timeout = \"2d\"", "to \"1d\"")
    expectEngine("handover = \"exklusive\"", "\"overlap\" or \"exclusive\"", "did you mean \"exclusive\"?")
    expectEngine("stage = \"cache\"", "\"engines\" or \"database\" or \"redis\"")
    expectEngine("umask = \"0888\"", "an octal mode")
    expectEngine("umask = \"7777\"", "an octal mode")
    expectEngine("cpu-max = \"150\"", "write cpu-max = \"150%\"")
    expectEngine("cpu-max = 150", "write cpu-max = \"150%\"")
    expectEngine("cpu-max = \"0%\"", "a share of one processor from \"1%\"")
    expectEngine("memory-max = \"lots\"", "memory-max is \"lots\"")
    expectEngine("pids-max = 0", "pids-max is 0")
    expectEngine("limits = { nofile = -1 }", "nofile is -1")
    expectEngine("limits = { nofile = \"many\" }", "nofile is \"many\"; a number, \"SOFT:HARD\" or \"unlimited\"")
    expectEngine("limits = { nofile = \"9:5\" }", "the soft limit is at most the hard one")
    expectEngine("restart = { delay = \"2m\" }", "a delay of at most max-delay")
    expectEngine("environment = { \"A B\" = \"1\" }", "no name of a variable")
    expectEngine("environment = { A = \"a\\u0000b\" }", "NUL")
    for name in ["LISTEN_FDS", "NOTIFY_SOCKET", "WATCHDOG_USEC", "BATON_SERVICE"] {
      expectEngine("environment = { \(name) = \"1\" }", "\(name) is set by batond itself")
    }
    expectOne(fixture.minimal(rest: "[handover]\nstrategy = \"some\""), ["strategy is \"some\"; \"all\""])
    expectOne(fixture.minimal(rest: "[handover]\ntrial = { share = \"101%\", for = \"1s\" }"), ["\"0%\" to \"100%\""])
    expectOne(fixture.minimal(rest: "[handover]\ntrial = { share = \"5\", for = \"1s\" }"), ["write share = \"5%\""])
    expectOne(fixture.minimal(rest: "[handover]\ntrial = { for = \"5s\" }"), ["trial has no share"])
    let canary = "[handover]\nstrategy = \"canary\"\n"
    expectOne(
      fixture.minimal(rest: canary + "trial = { share = \"5%\" }"),
      ["share is for strategy \"all\"", "steps are accepted"])
    expectOne(
      fixture.minimal(rest: "[handover]\ntrial = { steps = [\"5%\"] }"), ["steps are for strategy \"canary\""])
    let rolling = "[handover]\nstrategy = \"rolling\"\n"
    expectOne(fixture.minimal(rest: rolling + "trial = { batch = 0 }"), ["batch is 0; an integer from 1 to 10000"])
    expectOne(fixture.minimal(rest: rolling + "trial = { steps = [\"5%\"] }"), ["batch is accepted"])
    expectOne(fixture.minimal(rest: canary + "trial = { batch = 2 }"), ["batch is for strategy \"rolling\""])
    expectOne(fixture.minimal(rest: "[handover]\ntrial = { batch = 2 }"), ["batch is for strategy \"rolling\""])
    expectOne(fixture.minimal(rest: rolling + "steering = \"off\""), ["a trial needs steering"])
    expectOne(fixture.minimal(rest: canary + "trial = { steps = [\"5%\", \"5%\"] }"), ["which is not more than 5%"])
    expectOne(fixture.minimal(rest: canary + "trial = { steps = [\"0%\"] }"), ["which is not more than 0%"])
    expectOne(fixture.minimal(rest: canary + "trial = { steps = [] }"), ["steps is empty"])
    expectOne(
      fixture.minimal(rest: canary + "trial = { steps = [\"many\"] }"), ["\"many\"", "a list of rising shares"])
    expectOne(fixture.minimal(rest: canary + "trial = { steps = 5 }"), ["write steps = [\"5%\"]"])
    expectOne(
      fixture.minimal(rest: canary + "trial = { check = \"http://127.0.0.1:{port}/\" }"), ["{port} means nothing here"])
    expectOne(
      fixture.minimal(rest: canary + "trial = { check = \"https://127.0.0.1/\" }"), ["TLS on loopback is not asked"])
    expectOne(
      fixture.minimal(rest: canary + "trial = { check = [\"/no/such/program\"] }"), ["check names \"/no/such/program\""]
    )
    expectOne(fixture.minimal(rest: "[shutdown]\nengines = \"31s\""), ["the whole shutdown has 30s"])
  }

  @Test func probes() {
    expectEngine("ready = \"notfy\"", "did you mean \"notify\"?")
    expectEngine("ready = \"2s\"", "write ready = { after = \"2s\" }")
    expectEngine("ready = {}", "ready has 0 of http, tcp, exec and after")
    expectEngine("ready = { after = \"1s\", tcp = \"127.0.0.1:1\" }", "ready has 2")
    expectEngine("ready = { http = \"https://127.0.0.1/\" }", "TLS")
    expectEngine("ready = { http = \"http://example.org/\" }", "\"example.org\" is not this host")
    expectEngine("ready = { http = \"http://127.0.0.1:99999/\" }", "port \"99999\" is out of range")
    expectEngine("ready = { tcp = \"127.0.0.1\" }", "it has no port")
    expectEngine("ready = { tcp = \"10.0.0.1:{port}\" }", "not this host")
    expectEngine("ready = { exec = [] }", "exec is empty")
    expectEngine("watchdog = { interval = \"1s\" }", "watchdog has no http")
    expectEngine("watchdog = \"often\"", "no unit")
  }

  // MARK: Names and references

  @Test func names() {
    expectOne(
      fixture.minimal(rest: "[engine.Robots]\ncommand = [\"./main\"]"),
      ["app.toml:6:9:", "\"Robots\" is no engine name", "write robots"])
    expectOne(
      fixture.minimal(
        engine: "sockets = [\"a\"]", rest: "[socket.a]\nlisten = \"*:1\"\n[socket.\"a b\"]\nlisten = \"*:2\""),
      ["app.toml:8:9:", "\"a b\" is no socket name"])
  }

  @Test func references() {
    expectEngine("after = [\"db\"]", "after names the engine \"db\", which is not described; known are web")
    expectEngine("sockets = [\"http\"]", "sockets names the socket \"http\"", "there is none")
    expectEngine(
      "sockets = [\"htpp\"]\n[engine.b]\ncommand=[\"./main\"]\nsockets=[\"http\"]", "did you mean \"http\"?",
      rest: "[socket.http]\nlisten = \"*:1\"")
    expectEngine("sockets = [\"a\", \"a\"]", "names a twice", rest: "[socket.a]\nlisten = \"*:1\"")
    expectOne(
      fixture.minimal(rest: "[socket.lonely]\nlisten = \"*:1\""), ["app.toml:6:9:", "nobody uses socket \"lonely\""])
  }

  @Test func cyclesAreNamed() {
    expectEngine("after = [\"web\"]", "5:10:", "after makes a cycle: web after web")
    let three = """
      [service]
      directory = "DIR"
      [engine.a]
      command = ["./main"]
      after = ["b"]
      [engine.b]
      command = ["./main"]
      after = ["c"]
      [engine.c]
      command = ["./main"]
      after = ["b"]
      """
    expectOne(three, ["app.toml:11:10:", "b after c after b"])
  }

  @Test func proofs() {
    let http = "[socket.http]\nlisten = \"*:1\""
    expectEngine("sockets=[\"http\"]; prove", "this is not TOML", rest: http)
    expectOne(
      fixture.minimal(engine: "sockets = [\"http\"]\nprove = {}", rest: http), ["app.toml:6:9:", "prove has no socket"])
    expectOne(
      fixture.minimal(engine: "sockets = [\"http\"]\nprove = { socket = \"htp\" }", rest: http),
      ["prove names the socket \"htp\"", "did you mean \"http\"?"])
    expectOne(
      fixture.minimal(
        engine: "sockets = [\"http\"]\nworkers = 4\nprove = { socket = \"http\", passes = 2 }", rest: http),
      ["passes is 2, and the engine has 4 workers", "write passes = 4"])
    expectOne(
      fixture.minimal(
        engine: "sockets = [\"u\"]\nprove = { socket = \"u\" }", rest: "[socket.u]\nlisten = \"udp:*:1\""),
      ["prove names socket u, which takes datagrams"])
    expectOne(
      fixture.minimal(
        engine: "prove = { socket = \"http\" }", rest: "[engine.b]\ncommand=[\"./main\"]\nsockets=[\"http\"]\n" + http),
      ["which engine web does not have"])
    expectOne(
      fixture.minimal(engine: "sockets = [\"http\"]\nprove = { socket = \"http\", path = \"a b\" }", rest: http),
      ["a path that starts with \"/\""])
  }

  @Test(arguments: ["udp:*:1", "DIR/sock"]) func sharesNeedTCP(_ address: String) {
    let trial = "[handover]\ntrial = { share = \"5%\", for = \"1s\" }\n[socket.a]\nlisten = \"\(address)\""
    expectOne(
      fixture.minimal(engine: "sockets = [\"a\"]", rest: trial), ["app.toml:7:", "trial gives a share of engine web"])
    #expect(fixture.errors(fixture.minimal(engine: "sockets = [\"a\"]\nhandover = \"exclusive\"", rest: trial)) == [])
  }

  @Test func sharesNeedSteering() {
    expectOne(
      fixture.minimal(rest: "[handover]\nsteering = \"off\"\ntrial = { share = \"5%\", for = \"1s\" }"),
      ["a trial needs steering"])
  }

  // MARK: Addresses

  @Test(arguments: [
    ("*:65536", "port \"65536\" is out of range"), ("8000", "\"*:8000\" is every address"),
    ("example.org:80", "host names are not looked up"), ("::1:80", "stands in brackets"), (":80", "host is missing"),
    ("http", "neither a port nor"), ("run/app.sock", "neither a port nor"), ("@app", "abstract"),
    ("udp:/run/x", "datagrams are taken on ports only"), ("/run/../x", "\"..\""), ("[::ffff:1.2.3.4]:1", "::ffff:"),
    ("[fe80::1%eth0]:1", "scopes"), ("/" + String(repeating: "x", count: 107), "107 bytes"),
  ]) func badAddresses(_ address: String, _ reason: String) {
    expectOne(
      fixture.minimal(engine: "sockets = [\"a\"]", rest: "[socket.a]\nlisten = \"\(address)\""),
      ["app.toml:7:10:", reason, "is accepted"])
  }

  @Test(arguments: [
    ("*:80", "0.0.0.0:80", true), ("127.0.0.1:80", "0.0.0.0:80", true), ("[::]:80", "0.0.0.0:80", false),
    ("[::]:80", "[::1]:80", true), ("127.0.0.1:80", "127.0.0.2:80", false), ("udp:*:80", "*:80", false),
    ("/run/a", "/run/a", true), ("*:0", "*:0", false), ("localhost:80", "127.0.0.1:80", true),
  ]) func sameAddressTwice(_ first: String, _ second: String, _ clash: Bool) {
    let text = fixture.minimal(
      engine: "sockets = [\"a\", \"b\"]",
      rest: "[socket.a]\nlisten = \"\(first)\"\n[socket.b]\nlisten = \"\(second)\"")
    if clash {
      expectOne(text, ["app.toml:9:10:", "socket a already listens on"])
    } else {
      #expect(fixture.errors(text) == [])
    }
  }

  @Test func pathKeysAreForPaths() {
    expectOne(
      fixture.minimal(engine: "sockets = [\"a\"]", rest: "[socket.a]\nlisten = \"*:80\"\nmode = \"0600\""),
      ["app.toml:8:8:", "mode is for sockets at a path"])
  }

  // MARK: The host

  @Test func programs() {
    func command(_ program: String) -> String {
      "[service]\ndirectory = \"DIR\"\n[engine.web]\ncommand = [\"\(program)\"]\n"
    }
    expectOne(command("./missing"), ["app.toml:4:12:", "\(fixture.path("missing")) is no program: ENOENT"])
    expectOne(command("DIR/missing"), ["ENOENT"])
    expectOne(command("./plain"), ["it is not executable"])
    expectOne(command("DIR/"), ["is no program: it is a directory"])
    expectOne(command("no-such-program-anywhere"), ["no program in PATH ("])
    expectOne(command("main"), ["write \"./main\""])
    expectOne(command(""), ["names no program"])
    #expect(fixture.errors(command("sh")) == [])
    #expect(fixture.errors(command("main") + "environment = { PATH = \"DIR\" }") == [])
    expectEngine("ready = { exec = [\"./gone\"] }", "exec names \"./gone\"")
    expectEngine("drain = { save = [\"./gone\"] }", "save names \"./gone\"")
    expectOne(
      fixture.minimal(rest: "[shutdown.redis]\nrun = [[\"./gone\"]]"), ["app.toml:7:9:", "run names \"./gone\""])
  }

  @Test func directories() {
    let engine = "[engine.web]\ncommand = [\"/bin/sh\"]\n"
    expectOne("[service]\ndirectory = \"DIR/gone\"\n" + engine, ["app.toml:2:13:", "no directory: ENOENT"])
    expectOne("[service]\ndirectory = \"DIR/main\"\n" + engine, ["no directory: it is a file"])
    expectOne("[service]\ndirectory = \"here\"\n" + engine, ["an absolute path is accepted"])
    expectOne("[service]\n" + engine, ["app.toml:1:2:", "[service] has no directory"])
    expectOne(engine, ["app.toml:1:1:", "[service] is missing"])
    expectOne("[service]\ndirectory = \"DIR\"\n", ["no engine is described"])
  }

  @Test func accounts() {
    expectOne(fixture.minimal(), ["app.toml:1:2:", "[service] has no user", "user = \"root\""], isRoot: true)
    #expect(fixture.errors(fixture.minimal(engine: "[service.environment]"), isRoot: false) == [])
    expectEngine("user = \"nosuchuser-x\"", "this host has no such user")
    expectEngine("group = \"nosuchgroup-x\"", "this host has no such group")
    expectOne(
      fixture.minimal(engine: "sockets = [\"a\"]", rest: "[socket.a]\nlisten = \"/run/a\"\nowner = \"nosuchuser-x\""),
      ["owner is \"nosuchuser-x\""])
  }

  @Test func environmentFiles() throws {
    func service(_ files: String) -> String {
      "[service]\ndirectory = \"DIR\"\nenvironment-files = \(files)\n[engine.web]\ncommand = [\"./main\"]\n"
    }
    expectOne(service("[\"gone.env\"]"), ["app.toml:3:22:", "\(fixture.path("gone.env"))", "there is no such file"])
    expectOne(service("[\"DIR\"]"), ["it is a directory"])
    fixture.write(
      "good.env", "# comment\n; too\n\nA=1\r\n B = two words  \nC=\"q \\\" \\\\ \\n x\"\nD='$raw \\n'\nE=\nA=3\nF=a=b\n"
    )
    let settings = try fixture.settings(service("[\"good.env\"]"))
    #expect(
      settings.service.environment == [
        "A": "3", "B": "two words", "C": "q \" \\ \n x", "D": "$raw \\n", "E": "", "F": "a=b",
      ])
    fixture.write("bad.env", "OK=1\nnonsense\nexport X=1\n1A=2\nQ=\"open\nR='a' b\nS=a\\\nLISTEN_FDS=3\n")
    let errors = fixture.errors(service("[\"bad.env\"]"))
    let bad = fixture.path("bad.env")
    #expect(errors.count == 7)
    for (index, part) in [
      ":2:1: the line has no \"=\"", ":3:1: \"export\" is the shell's", ":4:1: \"1A\" is no name",
      ":5:3: the closing \"",
      ":6:3: something follows", ":7:3: lines are not continued", ":8:1: LISTEN_FDS is set by batond",
    ].enumerated() {
      #expect(errors.dropFirst(index).first?.hasPrefix(bad + part) == true, "\(part): \(errors)")
    }
  }

  // MARK: All at once, in order

  @Test func allErrorsInTheOrderOfTheFile() {
    let text = """
      [service]
      directory = "DIR/gone"
      colour = "red"
      [socket.http]
      listen = "*:70000"
      [engine.web]
      command = ["/nonexistent"]
      workers = "4"
      sockets = ["http", "htp"]
      after = ["web"]
      [handover]
      max-draining = 0
      """
    let errors = fixture.errors(text)
    let lines = errors.compactMap { Int($0.split(separator: ":")[1]) }
    #expect(lines == [2, 3, 5, 7, 8, 9, 10, 12])
  }

  @Test func aSyntaxErrorStandsAlone() {
    expectOne("[service\nworkers = 0\n", ["app.toml:1:9: this is not TOML"])
    expectOne(fixture.minimal(engine: "command = [\"x\"]"), ["app.toml:5:", "this is not TOML"])
    expectOne(fixture.minimal(rest: "[shutdown]\ndatabase = \"1s\"\n[shutdown.database]\nrun = []"), ["not TOML"])
  }
}
