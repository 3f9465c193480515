import Deployment
import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

@Suite struct OperationLockTests {
  @Test func oneHoldsItAndTheOtherIsToldWho() throws {
    let fixture = try OperationFixture()
    fixture.scratch.make("app/deploys")
    let layout = fixture.operation.layout
    let effects = Effects(.act, faults: nil)
    let lock = try OperationLock.acquire(
      layout, "deploy", OperationID("op-1"), who: "ann", effects: effects)
    #expect(OperationLock.isHeld(layout))
    let failure = #expect(throws: StepFailure.self) {
      try OperationLock.acquire(layout, "deploy", OperationID("op-2"), who: "bob", effects: effects)
    }
    #expect(failure?.kind == .busy)
    #expect(failure?.what.contains("deploy op-1 of ann (pid \(getpid()))") ?? false)
    lock.release()
    #expect(!OperationLock.isHeld(layout))
    let inode = self.inode(layout.lock)
    let next = try OperationLock.acquire(layout, "prune", OperationID("op-3"), who: "bob", effects: effects)
    #expect(self.inode(layout.lock) == inode, "the file is never replaced")
    next.release()
  }

  @Test func waitingEndsWithTheDeadlineOrTheWish() throws {
    let fixture = try OperationFixture()
    fixture.scratch.make("app/deploys")
    let layout = fixture.operation.layout
    let effects = Effects(.act, faults: nil)
    let lock = try OperationLock.acquire(layout, "deploy", OperationID("op-1"), who: "", effects: effects)
    defer { lock.release() }
    let late = #expect(throws: StepFailure.self) {
      try OperationLock.acquire(
        layout, "deploy", OperationID("op-2"), who: "", patience: .milliseconds(150), effects: effects)
    }
    #expect(late?.kind == .busy)
    let pipe = try Descriptor.pipe()
    _ = write(pipe.writer.raw, "x", 1)
    let aborted = #expect(throws: StepFailure.self) {
      try OperationLock.acquire(
        layout, "deploy", OperationID("op-2"), who: "", patience: .seconds(60), abort: pipe.reader,
        effects: effects)
    }
    #expect(aborted?.kind == .aborted)
  }

  private func inode(_ path: String) -> ino_t {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_ino : 0
  }
}
