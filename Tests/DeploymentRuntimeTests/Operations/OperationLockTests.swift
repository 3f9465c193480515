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

  /// Between fork and exec a child of this process has all our files open.
  @Test func oneThatIsGivenBackIsFreeWhoeverElseHasItOpen() throws {
    let fixture = try OperationFixture()
    fixture.scratch.make("app/deploys")
    let layout = fixture.operation.layout
    let effects = Effects(.act, faults: nil)
    var copies: [Int32] = []
    defer { for copy in copies { close(copy) } }
    let lock = try OperationLock.acquire(layout, "deploy", OperationID("op-1"), who: "", effects: effects)
    copies += copy(layout.lock)
    #expect(copies.count == 1 && OperationLock.isHeld(layout))
    lock.release()
    #expect(!OperationLock.isHeld(layout))
    do {
      let other = try OperationLock.acquire(layout, "prune", OperationID("op-2"), who: "", effects: effects)
      copies += copy(layout.lock)
      _ = other
    }
    #expect(copies.count > 1 && !OperationLock.isHeld(layout), "nor where it ends with its holder")
  }

  /// Another descriptor for each that this process has of the file.
  private func copy(_ path: String) -> [Int32] {
    let files = (try? directoryEntries("/proc/self/fd")) ?? []
    return files.compactMap { Int32($0) }.filter { (try? readLink("/proc/self/fd/\($0)")) == Array(path.utf8) }.map {
      dup($0)
    }
  }

  private func inode(_ path: String) -> ino_t {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_ino : 0
  }
}
