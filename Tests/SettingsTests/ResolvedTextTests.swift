import Glibc
import Settings
import Testing
import Vocabulary

@Suite struct ResolvedTextTests {
  let fixture = SettingsFixture()

  @Test func canonicalTextReadsBack() throws {
    for text in [example, fixture.minimal()] {
      let settings = try fixture.settings(text, isRoot: false)
      let canonical = ResolvedText.canonical(settings)
      let again = try SettingsReader.examine(Array(canonical.utf8), file: "again.toml", isRoot: false).get().settings
      #expect(again == settings)
      #expect(ResolvedText.canonical(again) == canonical)
    }
  }

  @Test func everyFormReadsBack() throws {
    for engine in [
      "ready = { after = \"1.0005s\" }", "ready = { exec = [\"./main\", \"a \\\" \\\\ \\n b\"] }",
      "ready = { tcp = \"127.0.0.1:{port}\" }",
      "memory-max = \"64M\"", "cpu-max = \"50%\"", "pids-max = 9",
      "lease = \"robots\"", "lease = \"robots\"\nstandby = \"warm\"", "memory-limit = \"64M\"", "max-age = \"2h\"",
      "max-requests = 9",
      "limits = { nofile = 18, stack = \"18446744073709551615\", nproc = \"5:unlimited\" }",
      "environment = { A = \"\\u0001\\u007F é\", \"b_2\" = \"\" }", "drain = { pending = [\"./main\"] }",
    ] {
      let settings = try fixture.settings(fixture.minimal(engine: engine))
      let canonical = ResolvedText.canonical(settings)
      #expect(try SettingsReader.examine(Array(canonical.utf8), file: "a", isRoot: false).get().settings == settings)
    }
  }

  /// Each line says where its value comes from, and no secret is in it.
  @Test func annotatedTextSaysWhereValuesComeFrom() throws {
    fixture.write("app.env", "# first\nTOKEN=hunter2\n")
    let text = """
      [service]
      directory = "DIR"
      environment-files = ["app.env"]
      environment = { OWN = "swordfish" }
      [engine.web]
      command = ["./main"]
      workers = 3
      ready = { after = "2s" }
      restart = { delay = "1s" }
      [shutdown]
      database = "1s"
      """
    let annotated = ResolvedText.annotated(try fixture.examine(text).get())
    for line in [
      "directory = \"\(fixture.directory)\"  # app.toml:2", "description = \"\"  # default",
      "workers = 3  # app.toml:7",
      "TOKEN = \"…\"  # \(fixture.path("app.env")):2", "OWN = \"…\"  # app.toml:4",
      "ready = { after = \"2s\" }  # app.toml:8", "delay = \"1s\"  # app.toml:9", "max-delay = \"30s\"  # default",
      "start-timeout = \"30s\"  # default", "# watchdog: not watched", "# prove: not asked", "# trial: no trial",
    ] {
      #expect(annotated.split(separator: "\n").contains(Substring(line)), "\(line) in\n\(annotated)")
    }
    #expect(annotated.contains("[shutdown.database]\ntimeout = \"1s\"  # app.toml:11"))
    #expect(!annotated.contains("hunter2") && !annotated.contains("swordfish"))
    // Comments do not change what it says.
    let plain = try SettingsReader.examine(Array(annotated.utf8), file: "a", isRoot: false).get().settings
    #expect(plain.engines == (try fixture.settings(text).engines))
  }
}

@Suite struct StartingFileTests {
  let fixture = SettingsFixture()

  private func file(user: String? = nil) -> StartingFile {
    StartingFile(name: "hotgo", directory: fixture.directory, command: ["./main", "http"], port: 8_000, user: user)
  }

  @Test func passesTheReader() throws {
    let settings = try fixture.settings(file().text)
    #expect(settings.service.description == "hotgo")
    #expect(settings.engines.first?.command == ["./main", "http"])
    #expect(settings.engines.first?.prove?.path == "/")
    #expect(settings.sockets.first?.address == (try SocketAddress(text: "*:8000")))
    #expect(try fixture.warnings(file().text) == [])
    #expect(try fixture.settings(file(user: "root").text, isRoot: true).service.user == "root")
  }

  /// What stands behind a # is what one may write.
  @Test func examplesMayBeUncommented() throws {
    let lines = file(user: "root").text.split(separator: "\n", omittingEmptySubsequences: false)
    let uncommented = lines.map { $0.hasPrefix("#") && !$0.hasPrefix("# ") ? $0.dropFirst() : $0 }
    #expect(uncommented.contains("workers = 1") && uncommented.contains("trial = { share = \"5%\", for = \"10s\" }"))
    #expect(fixture.errors(uncommented.joined(separator: "\n"), isRoot: true) == [])
  }

  /// The values of settings are as long as they are.
  @Test func itsWordsFitATerminal() {
    let comments = file().text.split(separator: "\n").filter { $0.hasPrefix("# ") }
    #expect(comments.count > 100 && comments.filter { $0.count > 80 } == [])
  }

  @Test func namesEveryKeyOfItsSections() {
    let text = file().text
    for section in [KnownKey.Section.service, .engine, .handover, .shutdown] {
      for key in section.keys where key != .engineLease && key != .engineStandby {
        #expect(text.contains("\n\(key.name) = ") || text.contains("\n#\(key.name) = "))
      }
    }
  }
}

@Suite struct KnownKeyTests {
  /// Every default is a value its own key accepts.
  @Test func defaultsAreAccepted() throws {
    let fixture = SettingsFixture()
    for section in [KnownKey.Section.service, .engine, .handover, .shutdown] {
      for key in section.keys {
        guard case .value(let toml) = key.entry.fallback else { continue }
        let line = "\(key.name) = \(toml)\n"
        var head = "[service]\ndirectory = \"DIR\"\n"
        var engine = "[engine.web]\ncommand = [\"./main\"]\n"
        if section == .service {
          head += line
        } else if section == .engine {
          engine += line
        } else {
          engine += "[\(section.rawValue)]\n" + line
        }
        #expect(
          try fixture.settings(head + engine)
            == fixture.settings("[service]\ndirectory = \"DIR\"\n[engine.web]\ncommand = [\"./main\"]\n"))
      }
    }
  }

  @Test func everyKeyIsDescribed() {
    for key in KnownKey.allCases {
      #expect(key.entry.summary.hasSuffix("."), "\(key)")
      #expect(!key.name.isEmpty && key.rawValue.hasPrefix(key.section.rawValue + "."), "\(key)")
    }
    #expect(KnownKey.Section.allCases.allSatisfy { !$0.keys.isEmpty })
  }
}

@Suite struct NearestWordTests {
  @Test func distances() {
    let fixture = SettingsFixture()
    for (found, meant) in [
      ("comand", "command"), ("stop_timeout", "stop-timeout"), ("wrokers", "workers"), ("Sockets", "sockets"),
    ] {
      #expect(
        fixture.errors(fixture.minimal(engine: "\(found) = 1")).first?.contains("did you mean \"\(meant)\"?") == true)
    }
    #expect(fixture.errors(fixture.minimal(engine: "colour = 1")).first?.contains("did you mean") == false)
  }
}
