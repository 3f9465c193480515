import Deployment
import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

@Suite struct OperationNewsTests {
  private let fixture: OperationFixture
  private let layout: Layout
  private let id = OperationID("op-1")

  init() throws {
    fixture = try OperationFixture()
    layout = fixture.operation.layout
    fixture.scratch.make("app/deploys/op-1")
  }

  private func all(_ reader: OperationNewsReader) -> [OperationNews] {
    var all: [OperationNews] = []
    while case let news = reader.next(), !news.isEmpty { all += news }
    return all
  }

  @Test func whoFollowsHearsAllOfItWithoutSecrets() throws {
    let log = OperationNewsLog(layout, id) { $0.replacing("hunter2", with: "***") }
    let reader = OperationNewsReader(layout, id)
    log.announce(.began(.build))
    log.output("password hunter2")
    log.note("hunter2")
    log.warn("hunter2")
    var outcome = OperationOutcome(
      operation: id, outcome: .failed, facts: OperationFacts(), step: .build,
      failure: StepFailure(.failed, "hunter2", next: "hunter2", lines: ["hunter2"]), residue: [:])
    outcome.facts.sequence = 1
    log.end(OperationVerdict(outcome))
    let news = all(reader)
    #expect(news.map(\.kind) == [.step, .output, .note, .warning, .outcome])
    #expect(news.dropFirst().dropLast().allSatisfy { $0.step == .build && $0.text?.contains("***") == true })
    #expect(news.last?.verdict?.exitStatus == 1 && news.last?.verdict?.what.contains("***") == true)
    #expect(fixture.scratch.read("app/deploys/op-1/output.log")?.contains("hunter2") == false)
  }

  /// Written by a process that may be killed at any byte.
  @Test func aLineIsReadOnceItIsWhole() throws {
    let reader = OperationNewsReader(layout, id)
    #expect(reader.next().isEmpty, "there is no file yet")
    let log = OperationNewsLog(layout, id) { $0 }
    log.note("one")
    let path = "app/deploys/op-1/output.log"
    let line = try #require(fixture.scratch.read(path))
    fixture.scratch.write(path, line + "{\"half\n" + line.dropLast(5))
    #expect(all(reader).map(\.text) == ["one"])
    fixture.scratch.write(path, line + "{\"half\n" + line)
    #expect(all(reader).map(\.text) == ["one"], "what is no news is left out, and what was half is whole now")
  }

  @Test func outputHasAnEndAndTheVerdictIsThere() throws {
    let limit = 4 << 20
    let log = OperationNewsLog(layout, id, limit: limit) { $0 }
    let long = String(repeating: "x", count: 1 << 19)
    for _ in 0..<20 { log.output(long) }
    log.note("after it")
    var facts = stat()
    #expect(stat(OperationNewsLog.path(layout, id), &facts) == 0)
    #expect(facts.st_size < limit + 2 << 20)
    let last = all(OperationNewsReader(layout, id)).suffix(2)
    #expect(last.map(\.kind) == [.warning, .note], "it is said, once, and the rest goes on")
  }

  @Test func aWishForAnEndStays() throws {
    #expect(!AbortPipe.ask(layout, id) && !AbortPipe.isAttended(layout, id), "nobody works on it")
    do {
      let pipe = try AbortPipe(layout, id)
      #expect(AbortPipe.isAttended(layout, id) && AbortPipe.ask(layout, id))
      var poller = pollfd(fd: pipe.descriptor.raw, events: Int16(POLLIN), revents: 0)
      #expect(poll(&poller, 1, 0) == 1 && poll(&poller, 1, 0) == 1)
    }
    #expect(!AbortPipe.ask(layout, id), "whoever worked on it is gone")
    unlink(AbortPipe.path(layout, id))
    fixture.scratch.write("app/deploys/op-1/abort", "a file")
    #expect(throws: SystemError.self) { try AbortPipe(layout, id) }
  }
}
