import Glibc
import Settings
import Testing
import Vocabulary

/// The file of the design, whole.
let example = """
  [service]
  description = "HotGo trading system"
  user        = "root"
  directory   = "DIR"
  environment = { TZ = "UTC" }

  [socket.http]
  listen  = "0.0.0.0:8000"
  backlog = 1024

  [socket.admin]
  listen = "DIR/admin.sock"
  mode   = "0660"
  owner  = "root"
  group  = "root"

  [engine.web]
  command       = ["./main", "http", "--port={port}"]
  workers       = 4
  sockets       = ["http"]
  prove         = { socket = "http", path = "/health", passes = 5, body = "ok" }
  ready         = { http = "http://127.0.0.1:{port}/health" }
  start-timeout = "10s"
  stop-timeout  = "1m30s"
  watchdog      = "10s"
  restart       = { delay = "200ms", max-delay = "1m", give-up-after = 5 }
  environment   = { GOGC = "50" }
  umask         = "0027"
  memory-max    = "1G"
  cpu-max       = "150%"
  pids-max      = 64
  memory-limit  = "512M"
  max-age       = "1d"
  max-requests  = 100000
  limits        = { nofile = 65536, core = "0:unlimited", stack = "unlimited" }

  [engine.robots]
  command  = ["./main", "robots"]
  after    = ["web"]
  sockets  = ["admin"]
  handover = "exclusive"
  drain    = { pending = { exec = ["./main", "pending"] }, save = ["./main", "save-state"] }
  watchdog = { http = "unix:/run/robots.sock:/live", interval = "3s" }

  [handover]
  strategy = "all"
  trial    = { share = "5%", for = "10s" }

  [shutdown]
  timeout = "30s"
  intake  = "1s"
  engines = "20s"
  redis   = "2s"

  [shutdown.database]
  timeout = "4s"
  run     = [["./main", "flush"]]
  """

@Suite struct SettingsTests {
  let fixture = SettingsFixture()

  @Test func readsTheWholeExample() throws {
    let settings = try fixture.settings(example, isRoot: true)
    #expect(settings.service.description == "HotGo trading system")
    #expect(settings.service.user == "root")
    #expect(settings.service.directory == fixture.directory)
    #expect(settings.service.environment == ["TZ": "UTC"])
    #expect(settings.sockets.map(\.name.rawValue) == ["http", "admin"])
    #expect(settings.sockets.map(\.address.text) == ["0.0.0.0:8000", fixture.path("admin.sock")])
    #expect(settings.sockets.map(\.backlog) == [1_024, 4_096])
    #expect(settings.sockets[1].mode == 0o660)
    let web = settings.engines[0]
    #expect(web.command == ["./main", "http", "--port={port}"])
    #expect(web.workers == 4)
    #expect(web.prove?.passes == 5)
    #expect(web.prove?.body == "ok")
    #expect(web.ready == .http(Settings.URLTemplate("http://127.0.0.1:{port}/health")))
    #expect(web.stopTimeout == .seconds(90))
    #expect(web.watchdog == .notify(.seconds(10)))
    #expect(web.restart.delay == .milliseconds(200))
    #expect(web.restart.healthyAfter == .seconds(30))
    #expect(web.umask == 0o027)
    #expect(
      web.bounds == ResourceBounds(memory: ByteCount(1 << 30), processorPercent: 150, processes: 64))
    #expect(web.recycling == Settings.Recycling(memory: ByteCount(512 << 20), age: .seconds(86_400), requests: 100_000))
    #expect(
      web.limits == [
        "nofile": Settings.Limit(soft: 65_536, hard: 65_536), "core": Settings.Limit(soft: 0, hard: nil),
        "stack": Settings.Limit(soft: nil, hard: nil),
      ])
    let robots = settings.engines[1]
    #expect(robots.handover == .exclusive)
    #expect(robots.after.map(\.rawValue) == ["web"])
    #expect(robots.drain == Settings.Drain(pending: ["./main", "pending"], save: ["./main", "save-state"]))
    #expect(
      robots.watchdog
        == .http(
          Settings.URLTemplate("unix:/run/robots.sock:/live"), interval: .seconds(3), timeout: .seconds(2), failures: 3)
    )
    #expect(settings.handover.trial == Settings.Trial(shares: [Share(clamping: 500)], duration: .seconds(10)))
    #expect(settings.shutdown.database == .seconds(4))
    #expect(settings.shutdown.databaseCommands == [["./main", "flush"]])
    #expect(settings.shutdown.redis == .seconds(2))
  }

  @Test func aCanaryHasStepsOfItsOwn() throws {
    let plain = try fixture.settings(fixture.minimal(rest: "[handover]\nstrategy = \"canary\"")).handover
    let steps = [100, 500, 2_500].map { Share(clamping: $0) }
    #expect(plain.strategy == .canary && plain.trial == Settings.Trial(shares: steps, duration: .seconds(10)))
    let said = try fixture.settings(
      fixture.minimal(
        rest: """
          [handover]
          strategy = "canary"
          trial = { steps = ["0.5%", "100%"], for = "2m", check = "http://127.0.0.1:9090/ok", check-timeout = "1s" }
          """)
    ).handover.trial
    #expect(
      said
        == Settings.Trial(
          shares: [Share(clamping: 50), .whole], duration: .seconds(120),
          check: .http(Settings.URLTemplate("http://127.0.0.1:9090/ok")), checkTimeout: .seconds(1)))
    let command = "[handover]\ntrial = { share = \"1%\", check = [\"./main\", \"healthy\"] }"
    #expect(try fixture.settings(fixture.minimal(rest: command)).handover.trial?.check == .exec(["./main", "healthy"]))
  }

  @Test func aRollIsWorkerByWorkerUnlessSaidOtherwise() throws {
    let rolling = "[handover]\nstrategy = \"rolling\"\n"
    let plain = try fixture.settings(fixture.minimal(rest: rolling)).handover
    #expect(plain.strategy == .rolling)
    #expect(plain.trial == Settings.Trial(shares: [], batch: 1, duration: .seconds(10)))
    let said = try fixture.settings(fixture.minimal(rest: rolling + "trial = { batch = 3, for = \"1m\" }")).handover
    #expect(said.trial == Settings.Trial(shares: [], batch: 3, duration: .seconds(60)))
  }

  @Test func fillsEveryDefault() throws {
    let settings = try fixture.settings(
      fixture.minimal(engine: "sockets = [\"a\"]", rest: "[socket.a]\nlisten = \"*:1\""))
    let engine = try #require(settings.engines.first)
    #expect(settings.service.user == nil)
    #expect(settings.sockets.first?.backlog == 4_096)
    #expect(settings.sockets.first?.nonblocking == false)
    #expect(settings.sockets.first?.mode == 0o666)
    #expect(engine.workers == 1)
    #expect(engine.ready == .notify)
    #expect(engine.startTimeout == .seconds(30))
    #expect(engine.stopTimeout == .seconds(20))
    #expect(engine.watchdog == nil)
    #expect(engine.prove == nil)
    #expect(
      engine.restart
        == Settings.Restart(
          delay: .milliseconds(100), maxDelay: .seconds(30), giveUpAfter: 10, healthyAfter: .seconds(30)))
    #expect(engine.handover == .overlap)
    #expect(engine.stage == .engines)
    #expect(engine.umask == 0o022)
    #expect(engine.limits.isEmpty)
    #expect(engine.bounds == ResourceBounds())
    #expect(engine.recycling == Settings.Recycling())
    #expect(
      settings.handover
        == Settings.Handover(
          strategy: .all, trial: nil, steering: .auto, maxDraining: 4, maxDrainTime: .seconds(3_600)))
    #expect(
      settings.shutdown
        == Settings.Shutdown(
          timeout: .seconds(30), intake: .seconds(2), engines: .seconds(22), database: .seconds(3), redis: .seconds(3),
          databaseCommands: [], redisCommands: []))
  }

  @Test func provesWithItsOwnDefaults() throws {
    let settings = try fixture.settings(
      fixture.minimal(
        engine: "workers = 3\nsockets = [\"a\"]\nprove = { socket = \"a\" }", rest: "[socket.a]\nlisten = \"*:1\""))
    #expect(
      settings.engines.first?.prove
        == Settings.Prove(
          socket: try SocketName("a"), path: "/", host: "localhost", passes: 3, status: 200, body: nil,
          timeout: .seconds(2)))
  }

  @Test func slicesFollowTheWhole() throws {
    let settings = try fixture.settings(fixture.minimal(rest: "[shutdown]\ntimeout = \"60s\""))
    #expect(settings.shutdown.intake == .seconds(4))
    #expect(settings.shutdown.engines == .seconds(44))
    #expect(settings.shutdown.redis == .seconds(6))
  }

  @Test func keepsTheOrderOfTheFile() throws {
    let rest = ["zeta", "alpha", "mid"].map { "[engine.\($0)]\ncommand = [\"./main\"]\n" }.joined()
    let settings = try fixture.settings(fixture.minimal(rest: rest))
    #expect(settings.engines.map(\.name.rawValue) == ["web", "zeta", "alpha", "mid"])
  }

  /// A second reading knows nothing of the first.
  @Test func removedKeysAreGone() throws {
    fixture.write("app.env", "LEVEL=debug\n")
    let path = fixture.path("app.toml")
    let head = "[service]\ndirectory = \"\(fixture.directory)\"\nuser = \"root\"\n"
    let tail = "[engine.web]\ncommand = [\"./main\"]\n"
    fixture.write(
      "app.toml", head + "environment = { A = \"1\" }\nenvironment-files = [\"app.env\"]\n" + tail + "workers = 3")
    let before = try SettingsReader.read(file: path).get()
    #expect(before.service.environment == ["A": "1", "LEVEL": "debug"])
    #expect(before.engines.first?.workers == 3)
    fixture.write("app.toml", head + tail)
    let after = try SettingsReader.read(file: path).get()
    #expect(after.service.environment.isEmpty)
    #expect(after.engines.first?.workers == 1)
  }

  @Test func runsInCurrentWhenThereIsOne() throws {
    let text = fixture.minimal(engine: "ready = { exec = [\"bin/check\"] }")
    #expect(fixture.errors(text).count == 1)
    let release = fixture.path("releases-1")
    #expect(mkdir(release, 0o755) == 0 && mkdir(release + "/bin", 0o755) == 0)
    #expect(symlink(release, fixture.path("current")) == 0)
    fixture.write("releases-1/main", "", mode: 0o755)
    fixture.write("releases-1/bin/check", "", mode: 0o755)
    #expect(fixture.errors(text) == [])
  }
}
