import Deployment
import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

/// Every effect of an operation, before and after it: the process is gone, or the effect fails. Then recovery, and then
/// it must be as if it had never begun or had been finished.
@Suite struct FaultPointTests {
  static let sides: [FaultPlan.Side] = [.before, .after]

  @Test func aKillAtEveryPointIsRecoveredFrom() throws {
    let points = try FakeService().deploy().effects.count
    var finished = 0
    for number in 1...points {
      for side in Self.sides {
        let service = try FakeService()
        _ = service.deploy(fault: FaultPlan(number, side, .freeze))
        // The pointer is valid at every instant.
        #expect(currentRelease(service.layout).map { service.isWhole($0) } ?? false, "\(number) \(side)")
        let outcomes = try service.recover().outcomes
        #expect(!outcomes.contains { $0.outcome == .stuck }, "\(number) \(side): \(outcomes)")
        let complaints = service.complaints(nil)
        #expect(complaints.isEmpty, "\(number) \(side): \(complaints)")
        check(service, "\(number) \(side)", &finished)
        #expect(try service.recover().outcomes.isEmpty, "\(number) \(side): recovery is not done with it")
      }
    }
    print("kill at \(points) effects, \(points * 2) points: \(finished) finished, others undone")
    #expect(finished > 10 && finished < points * 2 - 10, "both ends must have been seen")
  }

  @Test(arguments: [EIO, ENOSPC])
  func anErrorAtEveryPointLeadsToAnEnd(_ errno: Int32) throws {
    let points = try FakeService().deploy().effects.count
    var finished = 0
    for number in 1...points {
      for side in Self.sides {
        let service = try FakeService()
        let outcome = service.deploy(fault: FaultPlan(number, side, .error(errno))).outcome
        #expect(outcome.outcome != .stuck, "\(number) \(side)")
        // What it says of the releases is so, and 0 is said of what is recorded alone.
        let expected = outcome.outcome == .good ? FakeService.new : FakeService.old
        #expect(outcome.exitStatus != 0 || Recover.halfDone(service.layout).isEmpty, "\(number) \(side)")
        _ = try service.recover()
        let complaints = service.complaints(expected)
        #expect(complaints.isEmpty, "\(number) \(side), \(outcome.outcome): \(complaints)")
        check(service, "\(number) \(side)", &finished)
      }
    }
    #expect(finished > 5)
  }

  /// Kills in the middle of recovery, and of the recovery from that. BATON_SEED repeats one choice of pairs.
  @Test func aKillInRecoveryIsRecoveredFrom() throws {
    let points = try FakeService().deploy().effects.count
    var random = SplitMix64(seed: 20_261_121)
    for _ in 0..<60 {
      let first = Int(random.next() % UInt64(points)) + 1
      let service = try FakeService()
      _ = service.deploy(fault: FaultPlan(first, .after, .freeze))
      var way = "\(first)"
      for _ in 0..<2 {
        let next = Int(random.next() % 12) + 1
        way += " \(next)"
        // A recovery that could not write is no failure of this test: the next one goes on.
        _ = try? service.recover(fault: FaultPlan(next, random.next() % 2 == 0 ? .before : .after, .freeze))
      }
      let outcomes = try service.recover().outcomes
      #expect(!outcomes.contains { $0.outcome == .stuck }, "\(way): \(outcomes)")
      let complaints = service.complaints(nil)
      #expect(complaints.isEmpty, "\(way): \(complaints)")
      var finished = 0
      check(service, way, &finished)
    }
  }

  /// The host goes down and comes up again: nothing that needs a unit may be done.
  @Test func aRebootAtEveryPointIsRecoveredFrom() throws {
    let points = try FakeService().deploy().effects.count
    for number in 1...points {
      let service = try FakeService()
      _ = service.deploy(fault: FaultPlan(number, .after, .freeze))
      let (outcomes, effects) = try service.recover(.boot)
      #expect(!outcomes.contains { $0.outcome == .stuck }, "\(number): \(outcomes)")
      #expect(!effects.log.contains { $0.kind == .bus }, "\(number): a unit is asked for before there are any")
      // Now the units are started.
      service.fixture.scratch.write("app/unit", currentRelease(service.layout)?.text ?? "")
      _ = try service.recover(.bake)
      let complaints = service.complaints(nil)
      #expect(complaints.isEmpty, "\(number): \(complaints)")
    }
  }

  /// The records say what is so.
  private func check(_ service: FakeService, _ point: String, _ finished: inout Int) {
    let history = DeployHistory.read(service.layout)
    let isNew = currentRelease(service.layout) == FakeService.new
    if isNew { finished += 1 }
    guard let operation = history.operations.first else {
      #expect(!isNew, "\(point): it is deployed, and nobody knows")
      return
    }
    #expect((operation.outcome == .good) == isNew, "\(point): \(operation.outcome.map { $0.rawValue } ?? "no outcome")")
    let verdict = history.releases.first { $0.id == FakeService.new }?.verdict ?? .new
    #expect((verdict == .good) == isNew, "\(point): \(verdict)")
  }
}
