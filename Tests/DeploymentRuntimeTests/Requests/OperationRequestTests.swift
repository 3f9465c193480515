import Deployment
import Glibc
import JSON
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

@Suite struct OperationRequestTests {
  private let fixture: OperationFixture
  private let layout: Layout
  private let id = OperationID("20261121T084512Z-3f9a")

  init() throws {
    fixture = try OperationFixture()
    layout = fixture.operation.layout
  }

  private func request(_ kind: Intent.Kind = .deploy) -> OperationRequest {
    var request = OperationRequest(
      intent: Intent(operation: id, kind: kind), service: ServiceName(unchecked: "app"), settings: "/etc/baton/app.toml"
    )
    request.intent.who = "ann"
    return request
  }

  private func written(_ change: (inout OperationRequest) -> Void = { _ in }) throws -> OperationRequest {
    var request = request()
    change(&request)
    try request.write(layout, effects: fixture.effects)
    return request
  }

  @Test func whatWasAskedForArrives() throws {
    let asked = try written {
      $0.ref = "main"
      $0.from = "/tmp/a.tar"
      $0.backup = "b.tar.zst"
      ($0.overridesWindow, $0.forgoesDatabase, $0.isConfirmed) = (true, true, true)
      $0.patience = .seconds(90)
      $0.control = "/run/baton/app/control"
      $0.intent.isQuick = true
    }
    #expect(try OperationRequest.read(layout, id) == asked)
    #expect(fixture.scratch.names(in: "app/deploys/\(id)") == ["request.json"], "nothing is left beside it")
  }

  @Test func oddOnesAreRefused() throws {
    let odd: [(String, (inout OperationRequest) -> Void)] = [
      ("a relative path", { $0.from = "a.tar" }), ("a relative file", { $0.settings = "app.toml" }),
      ("an option for a ref", { $0.ref = "--upload-pack=sh" }), ("an option for a backup", { $0.backup = "-x" }),
      ("no ref", { $0.ref = "" }), ("a relative socket", { $0.control = "c" }),
    ]
    for (name, change) in odd {
      _ = try written(change)
      let failure = #expect(throws: StepFailure.self, "\(name)") { try OperationRequest.read(layout, id) }
      #expect(failure?.kind == .refused && failure?.next != nil, "\(name)")
    }
  }

  /// Whoever can write it says what runs as the deploy user.
  @Test func onlyWhatNobodyElseCanChangeIsTaken() throws {
    _ = try written()
    let path = OperationRequest.path(layout, id)
    for mode: mode_t in [0o660, 0o646] {
      chmod(path, mode)
      #expect(throws: StepFailure.self) { try OperationRequest.read(layout, id) }
    }
    chmod(path, 0o640)
    #expect(throws: Never.self) { try OperationRequest.read(layout, id) }
    rename(path, "\(path).there")
    symlink("request.json.there", path)
    #expect(throws: StepFailure.self, "a link leads anywhere") { try OperationRequest.read(layout, id) }
    unlink(path)
    mkfifo(path, 0o600)
    #expect(throws: StepFailure.self, "and nobody waits for a FIFO's writer") { try OperationRequest.read(layout, id) }
  }

  @Test func oneOfAnotherOperationOrFormIsRefused() throws {
    let text = try written().json.text
    let path = "app/deploys/\(id)/request.json"
    for wrong in [
      text.replacing(id.text, with: "20261121T084512Z-0000"), text.replacing("\"version\":1", with: "\"version\":2"),
      text.replacing("\"version\":1", with: "\"version\":1,\"more\":1"),
      text.replacing("/etc/baton", with: "/etc/\\u0000baton"), String(text.dropLast()), "", "[]",
      text + String(repeating: " ", count: OperationRequest.sizeLimit),
    ] {
      fixture.scratch.write(path, wrong)
      #expect(throws: StepFailure.self, "\(wrong.prefix(200))") { try OperationRequest.read(layout, id) }
    }
    fixture.scratch.write(path, text)
    #expect(throws: Never.self) { try OperationRequest.read(layout, id) }
  }

  @Test func oneWaitsUntilItIsTakenUp() throws {
    _ = try written()
    #expect(OperationRequest.waiting(layout) == [id])
    let log = OperationNewsLog(layout, id) { $0 }
    log.note("begins")
    #expect(OperationRequest.waiting(layout) == [])
    OperationRequest.withdraw(layout, id)
    #expect(throws: Never.self, "it is not taken back any more") { try OperationRequest.read(layout, id) }
  }

  @Test func oneThatIsTakenBackLeavesNothing() throws {
    var request = request()
    let pipe = try Descriptor.pipe()
    _ = write(pipe.writer.raw, "an archive", 10)
    pipe.writer.close()
    try request.takeInput(pipe.reader.raw, layout)
    try request.write(layout, effects: fixture.effects)
    #expect(request.from.flatMap { try? readFile($0) } == Array("an archive".utf8))
    OperationRequest.withdraw(layout, id)
    #expect(fixture.scratch.names(in: "app/deploys").filter { $0 != "room" } == [])
  }

  @Test func inputThatWouldFillTheDiskIsRefusedAndGone() throws {
    var request = request()
    // As /dev/zero: without an end.
    let endless = try Descriptor.open("/dev/zero", flags: O_RDONLY)
    #expect {
      try request.takeInput(endless.raw, layout) { _ in ByteCount(5 << 20) }
    } throws: {
      let failure = $0 as? StepFailure
      return failure?.kind == .refused && failure?.what.contains("longer than 4.0M, and 5.0M are free") == true
    }
    #expect(request.from == nil && fixture.scratch.names(in: "app/deploys") == [])
  }

  @Test func inputThatIsBrokenOffLeavesNothing() throws {
    var request = request()
    let input = try Descriptor.pipe()
    _ = write(input.writer.raw, "half", 4)
    let wish = try Descriptor.pipe()
    _ = write(wish.writer.raw, "x", 1)
    #expect { try request.takeInput(input.reader.raw, layout, interruption: wish.reader) } throws: {
      ($0 as? StepFailure)?.kind == .aborted
    }
    #expect(fixture.scratch.names(in: "app/deploys") == [])
  }

  /// A full disk is a reason to go back, and what that needs was set aside before.
  @Test func aDeployKeepsRoomForTheWayBack() throws {
    _ = try written()
    var facts = stat()
    #expect(stat(RoomToReturn.path(layout), &facts) == 0 && facts.st_blocks * 512 >= RoomToReturn.bytes)
    #expect(RoomToReturn.give(layout, effects: fixture.effects) && !RoomToReturn.give(layout, effects: fixture.effects))
    #expect(access(RoomToReturn.path(layout), F_OK) != 0)
  }
}
