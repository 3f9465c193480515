import Settings
import Testing
import Vocabulary

/// Every key of the sections about deploys, none at its default.
let deployExample = """
  [deploy]
  repository = "/srv/git/app.git"
  ref = "release"
  fetch-timeout = "2m"
  user = "root"
  unit = "app.service"
  activate = "restart"
  build = [["make", "-j2"], ["make", "check"]]
  build-timeout = "10m"
  build-memory = "2G"
  build-environment = { GOFLAGS = "-mod=vendor" }
  artifacts = ["main", "bin/tool"]
  shared = ["logs/", "./uploads"]
  exclude = ["tmp"]
  tree = "/opt/app/server"
  keep = 7
  keep-for = "30d"
  keep-size = "20G"
  window = ["Mon-Fri 02:00-05:00", "22:00-01:30"]
  require-ancestor = "main"
  require-signature = "/etc/baton/app.signers"
  secrets = ["secrets.env", "/etc/app.env"]
  hooks = { before-build = [["./a"], ["./b", "c"]], failed = [["./tell"]] }

  [[deploy.checklist]]
  text = "the exchange answers"
  run = ["./ask"]
  [[deploy.checklist]]
  when = "after"
  text = "the robots run"

  [health]
  passes = 2
  interval = "2s"
  max-interval = "10s"
  deadline = "45s"
  [[health.check]]
  url = "https://app.example.org/health"
  method = "HEAD"
  headers = { Authorization = "Bearer hunter2" }
  status = [200, 204]
  contains = "ok"
  json = { path = "checks.0.state", equals = true }
  connect-timeout = "1s"
  timeout = "3s"
  max-latency = "500ms"
  follow = 2
  ca-file = "/etc/ssl/app.pem"
  [[health.check]]
  url = "unix:/run/app.sock:/health"

  [bake]
  for = "5m"
  interval = "10s"
  max-restarts = 1
  max-errors = 3
  max-memory = "512M"
  max-cpu = "80%"
  breaches = 4

  [migrate]
  directory = "storage/migrations"
  database = "postgres://app:swordfish@db/app"
  lock-timeout = "2s"
  statement-timeout = "1m"
  timeout = "20m"

  [backup]
  keep = 4
  format = "gz"
  level = 9
  shared = ["uploads"]
  """

@Suite struct DeploySettingsTests {
  let fixture = SettingsFixture()

  private func deploy(_ text: String) throws -> Settings.Deploy {
    try #require(try fixture.settings(fixture.minimal(rest: text)).deploy)
  }

  @Test func readsEveryKey() throws {
    let deploy = try deploy(deployExample)
    #expect(deploy.repository == "/srv/git/app.git" && deploy.ref == "release" && deploy.user == "root")
    #expect(deploy.fetchTimeout == .seconds(120))
    #expect(deploy.unit == "app.service" && deploy.activation == .restart)
    #expect(deploy.build.commands == [["make", "-j2"], ["make", "check"]])
    #expect(deploy.build.timeout == .seconds(600) && deploy.build.memoryLimit == ByteCount(2 << 30))
    #expect(deploy.build.environment == ["GOFLAGS": "-mod=vendor"])
    #expect(deploy.artifacts == ["main", "bin/tool"])
    #expect(deploy.shared == ["logs", "uploads"] && deploy.exclude == ["tmp"])
    #expect(deploy.keep == 7 && deploy.keepFor == .seconds(30 * 86_400) && deploy.keepSize == ByteCount(20 << 30))
    #expect(deploy.window.map(\.description) == ["Mon-Fri 02:00-05:00", "22:00-01:30"])
    #expect(deploy.tree == "/opt/app/server")
    #expect(deploy.requiredAncestor == "main" && deploy.allowedSigners == "/etc/baton/app.signers")
    #expect(deploy.secrets == [fixture.path("secrets.env"), "/etc/app.env"])
    #expect(deploy.hooks == ["before-build": [["./a"], ["./b", "c"]], "failed": [["./tell"]]])
    #expect(deploy.checklist.map(\.when) == [.before, .after])
    #expect(deploy.checklist.map(\.run) == [["./ask"], nil])
    let check = try #require(deploy.health.checks.first)
    #expect(deploy.health.passes == 2 && deploy.health.maxInterval == .seconds(10))
    #expect(deploy.health.checks.map(\.url) == ["https://app.example.org/health", "unix:/run/app.sock:/health"])
    #expect(check.method == "HEAD" && check.statuses == [200, 204] && check.redirects == 2)
    #expect(
      check.json?.path == "checks.0.state" && check.json?.equals == "true" && check.maxLatency == .milliseconds(500))
    #expect(deploy.bake.duration == .seconds(300) && deploy.bake.maxCPU == Share(clamping: 8_000))
    #expect(deploy.migrate?.source == .files(directory: "storage/migrations"))
    #expect(deploy.migrate?.statementTimeout == .seconds(60))
    #expect(deploy.backup.keep == 4 && deploy.backup.format == .gz && deploy.backup.level == 9)
    #expect(deploy.backup.shared == ["uploads"])
  }

  @Test func emptySectionHasTheDefaults() throws {
    let deploy = try deploy("[deploy]")
    #expect(deploy.repository == nil && deploy.ref == "HEAD" && deploy.user == "baton-deploy")
    #expect(deploy.unit == "baton@app.service" && deploy.activation == .reload && deploy.keep == 5)
    #expect(deploy.health.checks.isEmpty && deploy.health.passes == 3)
    #expect(deploy.bake.duration == .seconds(60) && deploy.bake.breaches == 2)
    #expect(deploy.backup.keep == 10 && deploy.backup.format == .zst && deploy.backup.level == 3)
    #expect(deploy.migrate == nil && deploy.window.isEmpty)
    let check = try #require(try self.deploy("[deploy]\n[health]\nurl = \"http://h/\"").health.checks.first)
    #expect(check.method == "GET" && check.statuses == [200] && check.timeout == .seconds(5) && check.redirects == 0)
  }

  @Test func readsBackAndHidesSecrets() throws {
    let text = fixture.minimal(rest: deployExample)
    let settings = try fixture.settings(text)
    let canonical = ResolvedText.canonical(settings)
    #expect(
      try SettingsReader.examine(Array(canonical.utf8), file: "app.toml", isRoot: false).get().settings == settings)
    let annotated = ResolvedText.annotated(try fixture.examine(text).get())
    #expect(!annotated.contains("hunter2") && !annotated.contains("swordfish") && !annotated.contains("-mod=vendor"))
    for line in [
      "keep = 7  # app.toml:21", "level = 9  # app.toml:76", "url = \"unix:/run/app.sock:/health\"  # app.toml:55",
    ] {
      #expect(annotated.split(separator: "\n").contains(Substring(line)), "\(line) in\n\(annotated)")
    }
  }

  /// batond checks the section and keeps nothing of it; an error in it is an error of the file.
  @Test func batondLetsGoOfIt() throws {
    let bytes = { (text: String) in
      Array(text.split(separator: "DIR", omittingEmptySubsequences: false).joined(separator: fixture.directory).utf8)
    }
    let good = bytes(fixture.minimal(rest: deployExample))
    #expect(
      try SettingsReader.examine(good, file: "app.toml", isRoot: false, for: .supervisor).get().settings.deploy == nil)
    let bad = bytes(fixture.minimal(rest: "[deploy]\nkep = 3"))
    guard case .failure = SettingsReader.examine(bad, file: "app.toml", isRoot: false, for: .supervisor) else {
      Issue.record("an unknown key was accepted")
      return
    }
    let noEngine = bytes("[service]\ndirectory = \"DIR\"\n[deploy]\nunit = \"nginx.service\"")
    #expect(try SettingsReader.examine(noEngine, file: "site.toml", isRoot: true).get().settings.engines == [])
    guard case .failure = SettingsReader.examine(noEngine, file: "site.toml", isRoot: false, for: .supervisor) else {
      Issue.record("batond accepts a service without engines")
      return
    }
  }

  /// The first release brings the program, and the deploy user may not read what engines get.
  @Test func deployAsksNothingOfEngines() throws {
    let text =
      "[service]\ndirectory = \"\(fixture.directory)\"\nenvironment-files = [\"no.env\"]\n"
      + "[engine.web]\ncommand = [\"./no\"]\n[deploy]"
    guard case .success = SettingsReader.examine(Array(text.utf8), file: "app.toml", isRoot: false, for: .deploy) else {
      Issue.record("refused")
      return
    }
    // A person who looks is told of the file that is missing, and that the program is still to come.
    #expect(fixture.errors(text).count == 1)
    #expect(fixture.errors(text.replacing("[deploy]", with: "")).count == 2)
    let complete = text.replacing("environment-files = [\"no.env\"]\n", with: "")
    let warnings = try SettingsReader.examine(Array(complete.utf8), file: "app.toml", isRoot: false).get().warnings
    #expect(warnings.contains { $0.message.contains("no release is there yet") })
    guard
      case .failure = SettingsReader.examine(Array(complete.utf8), file: "app.toml", isRoot: false, for: .supervisor)
    else {
      Issue.record("batond starts without the program")
      return
    }
  }

  @Test(arguments: [
    ("[deploy]\nshared = [\"/logs\"]", "write \"logs\""), ("[deploy]\nshared = [\"a/../b\"]", "without .."),
    ("[deploy]\nexclude = [\"*.log\"]", "without wildcards"),
    ("[deploy]\nshared = [\"a\", \"a/b\"]", "one holds the other"),
    ("[deploy]\nshared = [\"a\"]\nexclude = [\"a\"]", "the one or the other"),
    ("[deploy]\nunit = \"app\"", "write unit = \"app.service\""),
    ("[deploy]\nref = \"--upload-pack=x\"", "does not start with -"),
    ("[deploy]\nkeep = 0", "an integer from 1 to 1000"),
    ("[deploy]\nbuild-memory = \"2048\"", "write build-memory = \"2048M\""),
    ("[deploy]\nbuild = [\"make\"]", "write build = [[\"make\"]]"),
    ("[deploy]\nwindow = [\"Mon-Fri 2-5\"]", "is accepted"),
    ("[deploy]\nhooks = { before-buid = [] }", "did you mean \"before-build\"?"),
    ("[deploy]\nhooks = { failed = [\"a\"] }", "write failed = [[\"a\"]]"),
    ("[deploy]\nrepositori = \"x\"", "did you mean \"repository\"?"),
    ("[deploy]\n[[deploy.checklist]]\nrun = [\"a\"]", "has no text"),
    ("[deploy]\n[deploy.checklist]\ntext = \"a\"", "two brackets"),
    ("[health]\nurl = \"http://h/\"", "write [deploy]"), ("[deploy]\n[health]", "asks nothing"),
    ("[deploy]\n[health]\nurl = \"ftp://h/\"", "does not start with"),
    ("[deploy]\n[health]\nurl = \"http://u:p@h/\"", "user name"),
    ("[deploy]\n[health]\nurl = \"http://h/\"\ntimeout = \"1s\"", "[[health.check]]"),
    ("[deploy]\n[health]\nurl = \"http://h/\"\npasses = 60\ninterval = \"5s\"", "do not fit"),
    ("[deploy]\n[health]\nurl = \"http://h/\"\n[[health.check]]\nurl = \"http://h/\"", "the one or the other"),
    ("[deploy]\n[[health.check]]\nurl = \"http://h/\"\nstatus = 99", "a status from 100 to 599"),
    ("[deploy]\n[[health.check]]\nurl = \"http://h/\"\nheaders = { \"a b\" = \"c\" }", "no name of a header"),
    ("[deploy]\n[bake]\nfor = \"5s\"", "no breach could ever be seen"), ("[deploy]\n[migrate]", "neither"),
    ("[deploy]\n[migrate]\ndirectory = \"m\"", "neither of database"),
    ("[deploy]\n[migrate]\ndirectory = \"m\"\ndatabase = \"mysql://secret@h\"", "postgres://"),
    ("[deploy]\n[backup]\nformat = \"gz\"\nlevel = 12", "gz has 1 to 9"), ("[deplay]", "did you mean [deploy]?"),
  ])
  func refusesWithTheRemedy(_ text: String, _ words: String) {
    let errors = fixture.errors(fixture.minimal(rest: text))
    #expect(errors.count == 1 && errors[0].hasPrefix("app.toml:"), "\(errors)")
    #expect(errors.first?.contains(words) == true, "\(errors)")
    #expect(!errors.joined().contains("secret@"))
  }

  @Test func warnsOfWhatIsWeak() throws {
    let warnings = try fixture.warnings(fixture.minimal(rest: "[deploy]\nuser = \"root\"\nbuild = [[\"make\"]]"))
    for words in ["without [health]", "as root", "no artifacts"] {
      #expect(warnings.contains { $0.contains(words) }, "\(words) in \(warnings)")
    }
    #expect(try fixture.warnings(fixture.minimal(rest: deployExample)).contains { $0.contains("password") })
  }
}

@Suite struct WindowTests {
  @Test func knowsWhenItIsOpen() throws {
    let nights = try #require(Settings.Deploy.Window(text: "Fri-Mon,Wed 22:00-02:30"))
    #expect(nights.contains(weekday: 4, minute: 22 * 60) && nights.contains(weekday: 5, minute: 149))
    // The night that began on Monday ends on Tuesday; Tuesday has none of its own.
    #expect(nights.contains(weekday: 1, minute: 0) && !nights.contains(weekday: 1, minute: 150))
    #expect(!nights.contains(weekday: 1, minute: 23 * 60) && nights.contains(weekday: 3, minute: 10))
    #expect(!nights.contains(weekday: 4, minute: 0))
    let days = try #require(Settings.Deploy.Window(text: "09:00-24:00"))
    #expect(days.contains(weekday: 6, minute: 1_439) && !days.contains(weekday: 6, minute: 539))
    for text in [
      "", "Mon", "Mon-", "Mon 9-10", "09:00-09:00", "25:00-26:00", "09:60-10:00", "24:00-25:00", "Mon Tue 09:00-10:00",
    ] {
      #expect(Settings.Deploy.Window(text: text) == nil, "\(text)")
    }
  }
}
