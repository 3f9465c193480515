import Deployment
import Glibc
import JSON
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

@Suite struct StepLogTests {
  let scratch = Scratch(inMemory: true)
  let id = OperationID("op-1")
  private var layout: Layout { Layout(directory: scratch.path("app")) }
  private var effects: Effects { Effects(.act, faults: nil) }
  private var bytes: [UInt8] { Array((scratch.read("app/deploys/op-1/steps.jsonl") ?? "").utf8) }

  init() { scratch.make("app") }

  private func blanks(behind text: [UInt8]) -> Bool { text.allSatisfy { $0 == UInt8(ascii: " ") } }

  /// What a full disk would not give any more is there before anything is begun, and given back at the end.
  @Test func roomForTheRecordsIsSetAside() throws {
    let log = try StepLog.create(layout, id, effects: effects)
    #expect(bytes.count == Int(StepLog.reserve) && blanks(behind: bytes))
    try log.append(.began(Intent(operation: id, kind: .deploy)))
    try log.append(.intends(.preflight))
    #expect(bytes.count == Int(StepLog.reserve))
    #expect(StepLog.peek(layout, id).map(\.entry) == log.entries && log.lines.count == 2)
    try log.append(.ended(.refused))
    #expect(bytes.last == UInt8(ascii: "\n") && bytes.count < 4_096)
    #expect(StepLog.peek(layout, id).count == 3)
  }

  /// Of a write that failed anything may be there, also more than what is written next.
  @Test func theRestOfALineIsWrittenOver() throws {
    do {
      let log = try StepLog.create(layout, id, effects: effects)
      try log.append(.began(Intent(operation: id, kind: .deploy)))
    }
    let whole = StepLog.read(bytes).size
    let file = try Descriptor.open(StepLog.path(layout, id), flags: O_WRONLY)
    let rest = Array(("{\"n\":2,\"rest\":\"" + String(repeating: "x", count: 2_000)).utf8)
    #expect(pwrite(file.raw, rest, rest.count, Int(whole)) == rest.count)
    let log = try StepLog.open(layout, id, effects: effects)
    #expect(log.lines.count == 1)
    try log.append(.intends(.preflight))
    let reading = StepLog.read(bytes)
    #expect(reading.lines.map(\.entry) == log.entries && log.lines.count == 2)
    #expect(blanks(behind: Array(bytes[Int(reading.size)...])))
  }

  /// The same number again after a failure: never twice in the file.
  @Test func whatCouldNotBeWrittenIsOverwritten() throws {
    do { _ = try StepLog.create(layout, id, effects: effects) }
    let failing = Effects(.act, faults: FaultPlan(number: 2, .after, errno: EIO))
    let log = try StepLog.open(layout, id, effects: failing)
    var failures = 0
    for entry in [Entry.began(Intent(operation: id, kind: .deploy)), .intends(.preflight), .resumed(atBoot: false)] {
      do throws(StepFailure) { try log.append(entry) } catch {
        failures += 1
        try log.append(entry)
      }
    }
    #expect(
      failures == 1 && StepLog.peek(layout, id).map(\.entry) == log.entries && log.lines.map(\.number) == [1, 2, 3])
  }
}
