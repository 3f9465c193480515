import Settings
import Testing
import Vocabulary

/// `[leases]`, `[redis]`, `[database]`, and `lease` of an engine.
@Suite struct LeaseSettingsTests {
  let fixture = SettingsFixture()

  @Test func defaults() throws {
    let settings = try fixture.settings(fixture.minimal(engine: "lease = \"robots\""))
    #expect(settings.leases == Settings.Leases(store: .local, timeToLive: .seconds(30), margin: nil, poll: .seconds(5)))
    let engine = try #require(settings.engines.first)
    #expect(engine.lease == (try LeaseName("robots")) && engine.standby == .cold)
    // It never runs twice, so it is replaced one after the other.
    #expect(engine.handover == .exclusive)
    #expect(try fixture.settings(fixture.minimal()).engines.first?.lease == nil)
  }

  @Test func stores() throws {
    let redis = try fixture.settings(
      fixture.minimal(
        engine: "lease = \"robots\"\nstandby = \"warm\"",
        rest: "[leases]\nttl = \"8s\"\nmargin = \"2s\"\npoll = \"1s\"\n[redis]\nurl = \"redis://u:secret@h:7/3\""))
    #expect(
      redis.leases
        == Settings.Leases(
          store: .redis("redis://u:secret@h:7/3"), timeToLive: .seconds(8), margin: .seconds(2), poll: .seconds(1)))
    #expect(redis.engines.first?.standby == .warm)
    fixture.write("url", " postgres://app:swordfish@db/app\n")
    let postgres = try fixture.settings(
      fixture.minimal(engine: "lease = \"robots\"", rest: "[database]\nurl-file = \"DIR/url\""))
    #expect(postgres.leases.store == .postgres("postgres://app:swordfish@db/app"))
  }

  /// What a person sees holds no password, and what a program reads holds all.
  @Test func textsReadBackAndHoldNoSecret() throws {
    for rest in [
      "[redis]\nurl = \"redis://u:secret@h:7/3\"", "[redis]\nurl = \"redis+unix://:secret@/run/r.sock?db=3\"",
      "[leases]\nmargin = \"4s\"\n[database]\nurl = \"postgres://u:secret@h,k/x?password=secret\"",
    ] {
      let read = try fixture.examine(fixture.minimal(engine: "lease = \"robots\"", rest: rest)).get()
      let again = try fixture.settings(ResolvedText.canonical(read.settings))
      #expect(again == read.settings)
      let shown = ResolvedText.annotated(read)
      #expect(!shown.contains("secret"), "\(shown)")
      #expect(shown.contains("lease = \"robots\"  # app.toml:5"))
      #expect(!read.settings.leases.store.shown.contains("secret"))
    }
  }

  @Test(arguments: [
    ("standby = \"warm\"", "", "5:11: standby is \"warm\", which is for engines with a lease, and web has none"),
    ("lease = \"robots\"\nhandover = \"overlap\"", "", "6:12: handover is \"overlap\", and an engine with a lease"),
    ("lease = \"Robots\"", "", "5:9: \"Robots\" is no lease name; 1 to 64"),
    ("lease = \"a\"\nstandby = \"hot\"", "", "6:11: standby is \"hot\"; \"cold\" or \"warm\" is accepted"),
    ("", "[redis]\n", "6:2: [redis] has neither of url and url-file"),
    ("", "[redis]\nurl = \"redis://h\"\nurl-file = \"/x\"", "6:2: [redis] has both of url and url-file"),
    ("", "[redis]\nurl-file = \"x\"", "7:12: url-file is \"x\"; an absolute path"),
    ("", "[redis]\nurl-file = \"DIR/none\"", "cannot be read: there is no such file"),
    ("", "[redis]\nurl = \"rediss://u:secret@h\"", "7:7: url cannot be used: TLS is not spoken here"),
    ("", "[redis]\nurl = \"http://secret@h\"", "7:7: url cannot be used: its kind is not \"redis\""),
    ("", "[redis]\nurl = \"redis://u:secret@\"", "it names no host"),
    ("", "[redis]\nurl = \"redis://u:secret@h:0\"", "its port is not from 1 to 65535"),
    ("", "[redis]\nurl = \"redis+unix://run\"", "it has no absolute path"),
    ("", "[redis]\nurl = \"h:6379\"", "it has no \"://\""),
    ("", "[redis]\nurl = 6379", "7:7: url is the integer 6379"),
    ("", "[database]\nurl = \"mysql://secret@h\"", "its kind is not \"postgres\""),
    ("", "[leases]\nttl = \"10s\"\nmargin = \"6s\"", "8:10: margin is \"6s\", and ttl is 10s; from a tenth"),
    ("", "[leases]\nttl = \"10s\"\nmargin = \"500ms\"", "from a tenth of it (or 30s) to the half is accepted"),
    ("", "[leases]\nttl = \"0s\"", "7:7: ttl is \"0s\"; a duration from \"1s\" to \"1d\""),
    ("", "[lease]\nttl = \"1s\"", "did you mean [leases]?"),
  ])
  func refusals(_ engine: String, _ rest: String, _ part: String) {
    let errors = fixture.errors(fixture.minimal(engine: engine, rest: rest))
    #expect(errors.count == 1 && errors.first?.contains(part) == true, "\(errors)")
    #expect(!errors.contains { $0.contains("secret") })
  }

  @Test func warnings() throws {
    let unused = try fixture.warnings(fixture.minimal(rest: "[redis]\nurl = \"redis://h\""))
    #expect(unused.contains { $0.contains("6:2:") && $0.contains("no engine has a lease") }, "\(unused)")
    let both = try fixture.warnings(
      fixture.minimal(
        engine: "lease = \"a\"", rest: "[redis]\nurl = \"redis://h\"\n[database]\nurl = \"postgres://h/d\""))
    #expect(both.contains { $0.contains("8:2:") && $0.contains("[database] is not used") }, "\(both)")
  }
}
