import Testing
import Vocabulary

@testable import Supervision

/// An engine under a lease works while it is permitted to, and at no other time.
@Suite struct EnginesUnderALease {
  var play = Rehearsal()
  let once = RestartPolicy(giveUpAfter: 1)

  init() {
    play.serve(.of([.web(), .robots(restart: once, lease: Names.lease)]))
    play.send(.permitted(Names.lease))
  }

  var robot: WorkerID { play.worker(Names.robots, of: 1) }

  /// The permission is for another time than the one that ends: whoever gave it is told first that this one is over.
  @Test mutating func aPermissionThatComesWhileTheOldOneEndsStartsNothing() {
    let old = robot
    #expect(play.send(.withdrawn(Names.lease)).terminated == [old])
    #expect(play.send(.permitted(Names.lease)).isEmpty)
    #expect(play.core.leases[Names.lease]?.state == .leaving)
    let gone = play.end(old)
    #expect(gone.spawned.isEmpty && gone.contains(.vacated(Names.lease)))
    #expect(play.send(.permitted(Names.lease)).spawned.map(\.engine) == [Names.robots])
  }

  @Test mutating func oneThatIsGivenUpLeavesItsLeaseToOthers() {
    for _ in 0..<4 where play.core.leases[Names.lease]?.isWanted == true {
      play.end(robot, .exited(1))
      play.pass(.seconds(30))
    }
    #expect(play.core.generations[1]?.engine(Names.robots)?.hasFailed == true)
    #expect(play.said.contains(.unwant(Names.lease)) && play.said.contains(.vacated(Names.lease)))
    #expect(play.core.leases.isEmpty)
  }
}
