import Testing
import Vocabulary

@testable import Supervision

/// Workers that are well and are replaced all the same; and time in which nobody supervised.
@Suite struct RecyclingTests {
  var play = Rehearsal()

  private func slots(_ play: Rehearsal) -> [Worker] { play.core.generations[1]?.engine(Names.web)?.workers ?? [] }

  @Test mutating func theFreshOneIsReadyBeforeTheOldOneIsToldToEnd() {
    play.serve(.of([.web(workers: 2, recycling: RecyclingPlan(requests: 10))]))
    let old = play.worker(Names.web, of: 1, slot: 1)
    #expect(play.send(.served(old, requests: 9)).isEmpty)
    let began = play.send(.served(old, requests: 10))
    let fresh = began.spawned
    #expect(fresh.count == 1 && fresh[0].slot == 1 && fresh[0] != old && began.terminated.isEmpty)
    #expect(play.core.generations[1]?.engine(Names.web)?.wanted == 2)
    #expect(play.core.generations[1]?.engine(Names.web)?.isWhole == true)
    #expect(play.core.unrest == .recycling(Names.web))
    #expect(play.send(.ready(fresh[0])).terminated == [old])
    play.end(old)
    #expect(slots(play).map(\.id).first == fresh[0] && slots(play).count == 2)
    #expect(slots(play).first?.recyclings == 1 && play.core.unrest == nil)
  }

  @Test mutating func oneAtATimeInAnEngineAndTheFirstReasonCounts() {
    play.serve(.of([.web(workers: 3, recycling: RecyclingPlan(memory: ByteCount(5), requests: 10))]))
    let (one, two) = (play.worker(Names.web, of: 1, slot: 1), play.worker(Names.web, of: 1, slot: 2))
    let fresh = play.send(.served(one, requests: 10)).spawned
    #expect(play.send(.measured(one, memory: ByteCount(9))).isEmpty)
    #expect(play.send(.served(two, requests: 10)).isEmpty)
    play.send(.ready(fresh[0]))
    let next = play.end(one).spawned
    #expect(next.map(\.slot) == [2])
  }

  @Test mutating func oneWhoseSuccessorDoesNotBecomeReadyGoesOnAndIsTriedAgainLater() {
    play.serve(.of([.web(recycling: RecyclingPlan(requests: 10))]))
    let old = play.worker(Names.web, of: 1)
    for _ in 0..<2 {
      let fresh = play.send(.served(old, requests: 10)).spawned
      #expect(fresh.count == 1)
      play.end(fresh[0], .exited(1))
      #expect(slots(play).map(\.id) == [old] && slots(play)[0].isReady)
      #expect(play.send(.served(old, requests: 11)).isEmpty)
      play.pass(RecyclingPlan.patience)
    }
  }

  @Test mutating func oneThatDiesWhileItsSuccessorStartsIsNotStartedAsWell() {
    play.serve(.of([.web(recycling: RecyclingPlan(requests: 10))]))
    let old = play.worker(Names.web, of: 1)
    let fresh = play.send(.served(old, requests: 10)).spawned
    #expect(play.end(old, .signalled(11)).spawned.isEmpty)
    play.send(.ready(fresh[0]))
    #expect(slots(play).map(\.id) == fresh)
    #expect(slots(play).allSatisfy { $0.isReady })
  }

  @Test mutating func neitherComesBackWithoutTheOther() {
    play.serve(.of([.web(recycling: RecyclingPlan(requests: 10))]))
    let old = play.worker(Names.web, of: 1)
    let fresh = play.send(.served(old, requests: 10)).spawned
    play.end(old, .signalled(11))
    #expect(play.end(fresh[0], .exited(1)).spawned.count == 1)
    play.makeReady(1)
    #expect(slots(play).count == 1 && slots(play)[0].isReady)
  }

  @Test mutating func anExclusiveOneEndsBeforeItsSuccessorStarts() {
    play.serve(.of([.web(), .robots(recycling: RecyclingPlan(requests: 10))]))
    let old = play.worker(Names.robots, of: 1)
    let actions = play.send(.served(old, requests: 10))
    #expect(actions.terminated == [old] && actions.spawned.isEmpty)
    #expect(play.end(old).spawned.map(\.engine) == [Names.robots])
  }

  @Test mutating func agesEndAtDifferentTimes() {
    play.serve(.of([.web(workers: 5, recycling: RecyclingPlan(age: .seconds(1_000)))]))
    var times: [Duration] = []
    for _ in 0..<5 {
      while play.said.last(where: { !$0.spawnedIDs.isEmpty }) == nil || slots(play).count == 5,
        let deadline = play.core.nextDeadline, deadline <= .zero + .seconds(1_000)
      { play.pass(deadline - play.now) }
      guard slots(play).count == 6, let fresh = slots(play).last?.id else { break }
      times.append(play.now - .zero)
      play.send(.ready(fresh))
      if let old = slots(play).first(where: { $0.part == .leaving })?.id { play.end(old) }
    }
    #expect(times.count == 5)
    #expect(times.allSatisfy { $0 >= .seconds(800) && $0 <= .seconds(1_000) })
    #expect(Set(times).count > 1)
  }

  @Test mutating func growthIsLookedAtAgainAndAgain() {
    play.serve(.of([.web(recycling: RecyclingPlan(memory: ByteCount(5)))]))
    let asked = play.pass(RecyclingPlan.lookInterval * 3)
    #expect(asked.filter { $0 == .measure(play.worker(Names.web, of: 1)) }.count == 3)
    #expect(play.send(.measured(play.worker(Names.web, of: 1), memory: ByteCount(4))).isEmpty)
    #expect(play.send(.measured(play.worker(Names.web, of: 1), memory: ByteCount(5))).spawned.count == 1)
  }

  @Test mutating func nothingIsBegunWhileSomethingElseIsUnderWay() {
    play.serve(.of([.web(recycling: RecyclingPlan(requests: 10))]))
    let old = play.worker(Names.web, of: 1)
    play.send(.pause("upgrade"))
    #expect(play.send(.served(old, requests: 10)).isEmpty)
    #expect(play.send(.resume).spawned.count == 1)
  }

  @Test mutating func whatASupervisorDidNotSeeWhileItWasStoppedIsNobodysFault() {
    play.serve(.of([.web(liveness: .told(every: .seconds(2)))]))
    play.now = play.now + .seconds(100)
    play.send(.wasAway(.seconds(100)))
    #expect(play.send(.tick).isEmpty)
    #expect(play.core.nextDeadline == play.now + .seconds(2))
    #expect(!play.pass(.seconds(3)).isEmpty, "from then on it counts")
  }

  @Test mutating func aStartGetsTheTimeThatWasLost() {
    play.send(.start("start"))
    play.load(.of([.web()]))
    let deadline = play.core.nextDeadline
    play.now = play.now + .seconds(100)
    play.send(.wasAway(.seconds(100)))
    #expect(play.core.nextDeadline == deadline.map { $0 + .seconds(100) })
    play.send(.tick)
    #expect(play.workers(of: 1).allSatisfy { $0.isStarting })
  }
}

extension Action {
  fileprivate var spawnedIDs: [WorkerID] { [self].spawned }
}
