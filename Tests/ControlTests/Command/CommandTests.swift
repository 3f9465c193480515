import ControlProtocol
import ControlServer
import Foundation
import JSON
import Testing
import Vocabulary

/// The program itself against a supervisor that answers from samples: streams, exit statuses, JSON.
@Suite struct CommandTests {
  private func withServer(_ body: (ServerHost, [String: String]) throws -> Void) throws {
    let host = try ServerHost()
    defer { host.stop() }
    try body(host, ["BATON_CONTROL": host.path])
  }

  /// Ends every act the command begins with `verdict`, until it has ended as many as asked for.
  private func answering(
    _ host: ServerHost, with verdict: VerdictReport, _ body: @Sendable () throws -> ProgramRun
  ) throws -> ProgramRun {
    let done = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      while true {
        let ended = host.onLoop { handler, _ in
          guard let reply = handler.replies.popLast() else { return false }
          reply.progress("web.1 is ready")
          reply.finish(verdict)
          return true
        }
        if ended != false { break }
        sched_yield()
      }
      done.signal()
    }
    defer { done.wait() }
    return try body()
  }

  @Test func statusIsTextOrTheReportItself() throws {
    try withServer { _, environment in
      let text = try ProgramRun("status", environment: environment)
      #expect(text.status == 0 && text.errors.isEmpty)
      #expect(text.output.hasPrefix("hotgo — HotGo trading system\nserving "))
      #expect(!text.output.contains("\u{1B}"))
      let json = try ProgramRun("status", "--json", environment: environment)
      #expect(json.output == Sample.serving.json.text + "\n")
      try Golden.expect(json.output, is: "status.json")
    }
  }

  @Test func eventsAsLines() throws {
    try withServer { _, environment in
      try Golden.expect(try ProgramRun("events", environment: environment).output, is: "events.txt")
      let json = try ProgramRun("events", "--json", "--limit", "1", environment: environment)
      #expect(json.output == Sample.events[2].json.text + "\n")
    }
  }

  @Test func aRefusedReloadEndsWithThreeLinesAndStatusOne() throws {
    try withServer { host, environment in
      let run = try answering(host, with: Sample.refused) { try ProgramRun("reload", environment: environment) }
      #expect(run.status == 1 && run.output.isEmpty)
      try Golden.expect(run.errors, is: "reload-refused.txt")
    }
  }

  @Test func aReloadThatIsDoneSaysSo() throws {
    try withServer { host, environment in
      let run = try answering(host, with: Sample.done) { try ProgramRun("reload", environment: environment) }
      #expect(run.status == 0 && run.errors == "web.1 is ready\n")
      #expect(run.output == "generation 14 serves\nholds: generation 14 of release 2026-11-21.2 serves\n")
      let json = try answering(host, with: Sample.done) { try ProgramRun("reload", "--json", environment: environment) }
      let lines = json.output.split(separator: "\n")
      #expect(lines.last.map(String.init) == Sample.done.json.text && lines.count == 2)
    }
  }

  @Test(arguments: VerdictReport.Outcome.allCases)
  func theExitStatusIsTheOutcomes(_ outcome: VerdictReport.Outcome) throws {
    try withServer { host, environment in
      var verdict = Sample.refused
      verdict.outcome = outcome
      let run = try answering(host, with: verdict) { [verdict] in
        _ = verdict
        return try ProgramRun("restart", "--json", environment: environment)
      }
      #expect(Int(run.status) == ExitStatus(outcome).code)
      #expect(run.output.contains("\"exitCode\":\(ExitStatus(outcome).code)"))
    }
  }

  @Test func noWaitReturnsAtOnce() throws {
    try withServer { host, environment in
      let run = try ProgramRun("reload", "--no-wait", environment: environment)
      #expect(run.status == 0 && run.output.hasPrefix("reload begun\n"))
      host.onLoop { handler, _ in handler.replies.removeAll() }
    }
  }

  @Test func unknownEngineIsAUsageError() throws {
    try withServer { _, environment in
      let run = try ProgramRun("scale", "nope=3", environment: environment)
      #expect(run.status == 64 && run.errors.split(separator: "\n").count == 1)
      #expect(run.errors.contains("there is no engine \"nope\""))
    }
  }

  @Test func environmentIsNamesUnlessAskedFor() throws {
    try withServer { _, environment in
      #expect(try ProgramRun("environment", "web", environment: environment).output == "PATH\nSECRET\n")
      let shown = try ProgramRun("environment", "hotgo", "web", "--reveal", environment: environment)
      #expect(shown.output == "PATH=/bin\nSECRET=x\n")
    }
  }

  @Test func aReaderThatGoesAwayEndsTheProgramQuietly() throws {
    try withServer { host, environment in
      let run = try ProgramRun(
        URL(filePath: "/bin/sh"), ["-c", "trap '' PIPE; \(ProgramRun.baton.path) events --follow | head -n 1"],
        environment: environment)
      // The follower waits for a next event, notices that nobody reads, and ends.
      #expect(run.output.split(separator: "\n").count == 1 && run.errors.isEmpty)
    }
  }

  @Test func nobodyAnswers() throws {
    let run = try ProgramRun("status", "--json", "--control", "/nonexistent/control")
    #expect(run.status == 69)
    #expect(
      run.output.hasPrefix("{\"exitCode\":69,\"what\":\"no supervisor answers at /nonexistent/control"))
    #expect(run.errors.split(separator: "\n").map { $0.prefix(6) } == ["baton:", "holds:", "next: "])
    let named = try ProgramRun("status", "no-such-service")
    #expect(named.status == 69 && named.errors.contains("there is no /etc/baton/no-such-service.toml"))
  }

  @Test(arguments: [
    (["relod"], "did you mean \"reload\"?"), (["status", "--jsn"], "Did you mean '--json'?"),
    (["scale", "web"], "say ENGINE=WORKERS"), (["events", "--limit", "5000"], "--limit takes 0 to 1000"),
    (["status", "a", "b"], "Unexpected argument 'b'"), (["status", "../x"], "is not a service name"),
    (["status", "--control"], "Missing value for '--control <path>'"),
  ])
  func usageErrorsAreOneLine(_ arguments: [String], _ hint: String) throws {
    let run = try ProgramRun(ProgramRun.baton, arguments)
    #expect(run.status == 64 && run.output.isEmpty)
    #expect(run.errors.split(separator: "\n").count == 1 && run.errors.contains(hint), "\(run.errors)")
  }

  @Test func initWritesOnceAndCheckReadsIt() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "control-init-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "web.toml").path
    let arguments = ["init", "web", "--directory", "/tmp", "--output", file, "--", "/bin/sleep", "1000"]
    #expect(try ProgramRun(ProgramRun.baton, arguments).status == 0)
    let again = try ProgramRun(ProgramRun.baton, arguments)
    #expect(again.status == 1 && again.errors.contains("EEXIST"))
    let check = try ProgramRun("check", file)
    #expect(check.status == 0 && check.output.contains("command = [\"/bin/sleep\", \"1000\"]"), "\(check.errors)")
    let printed = try ProgramRun("init", "web", "--output", "-")
    #expect(printed.output.contains("[engine.web]"))

    try "[service]\nwrong = 1\n".write(toFile: file, atomically: true, encoding: .utf8)
    let wrong = try ProgramRun("check", file)
    #expect(wrong.status == 78 && wrong.output.isEmpty && wrong.errors.contains("\(file):2:1: "))
    let json = try ProgramRun("check", "--json", file)
    #expect(json.status == 78)
    #expect(try JSON(text: Array(json.output.dropLast().utf8), limits: .reply)["valid"] == false)
  }

  @Test func completionsAreMadeForEveryShell() throws {
    for shell in ["bash", "zsh", "fish"] {
      let run = try ProgramRun("--generate-completion-script", shell)
      #expect(run.status == 0)
      for word in ["reload", "no-wait", "events"] { #expect(run.output.contains(word), "\(shell) \(word)") }
      if shell == "bash" {
        #expect(try ProgramRun(URL(filePath: "/bin/bash"), ["-n"], input: run.output).status == 0)
      }
    }
  }
}
