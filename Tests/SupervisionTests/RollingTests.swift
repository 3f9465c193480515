import Testing
import Vocabulary

@testable import Supervision

/// Three workers, one by one, with a pause of three seconds.
@Suite struct Rolling {
  var play = Rehearsal()
  static let plan = GenerationPlan.of([.web(workers: 3)], trial: TrialPlan(batch: 1, duration: .seconds(3)))

  init() {
    play.serve(Self.plan)
    play.offer(Self.plan)
  }

  @Test mutating func eachBatchIsProvedMeetsItsPartAndThenAsManyMakeRoom() {
    for batch in 1...2 {
      #expect(play.workers(of: 2).count == batch)
      let proved = play.answer(play.makeReady(2))
      let share = Share(clamping: UInt32(10_000 * batch / 3))
      #expect(proved.rules == [.share(share, candidate: .http(2), serving: .http(1))])
      #expect(proved.terminated == [play.worker(Names.web, of: 1, slot: batch)])
      #expect(proved.contains(note: .generationRolling(2, batch: batch, of: 3, .seconds(3))))
      play.end(proved.terminated[0])
      #expect(pause(3).spawned.map(\.slot) == [batch + 1])
    }
    #expect(play.core.serving == 1 && play.workers(of: 1).count(where: \.isReady) == 1)
    play.answer(play.makeReady(2))
    #expect(play.core.serving == 2 && play.verdicts["reload"] == [.done(2)])
    #expect(play.said.rules.last == .everyone(.http(2)))
  }

  @Test mutating func theNextBatchWaitsForThoseThatMadeRoom() {
    let ending = play.answer(play.makeReady(2)).terminated
    #expect(play.core.scaledEngines.isEmpty, "it only makes room")
    #expect(pause(5).spawned.isEmpty)
    play.end(ending[0])
    #expect(pause(1).spawned.map(\.slot) == [2])
  }

  @Test mutating func aBatchThatFailsSteersBackAtOnceAndThoseThatMadeRoomComeBack() {
    let ended = play.answer(play.makeReady(2)).terminated
    play.end(ended[0])
    pause(3)
    let refused = play.send(.exited(play.worker(Names.web, of: 2, slot: 2), .exited(1)))
    #expect(refused.rules == [.everyone(.http(1))])
    #expect(refused.spawned == [WorkerID(generation: 1, engine: Names.web, slot: 1, run: 2)])
    #expect(
      refused.contains(
        note: .handoverAborted(2, .worker(play.worker(Names.web, of: 2, slot: 2), .exited(.exited(1))), "reload")))
    #expect(play.core.serving == 1 && play.core.phase == .steady && play.verdicts["reload"]?.count == 1)
  }

  @Test mutating func oneThatIsStillEndingComesBackWhenItIsGone() {
    let ended = play.answer(play.makeReady(2)).terminated
    #expect(play.send(.exited(play.worker(Names.web, of: 2), .exited(1))).rules == [.everyone(.http(1))])
    #expect(play.verdicts["reload"] == nil)
    #expect(play.end(ended[0]).spawned == [WorkerID(generation: 1, engine: Names.web, slot: 1, run: 2)])
    #expect(play.verdicts["reload"]?.count == 1)
  }

  @Test mutating func aWrongAnswerInAPauseSteersBack() {
    let ended = play.answer(play.makeReady(2)).terminated
    play.end(ended[0])
    let refused = play.answer(play.pass(.seconds(1)), failure: "500")
    #expect(refused.rules == [.everyone(.http(1))] && refused.spawned.map(\.generation) == [1])
  }

  @Test mutating func whoWaitsForAWordIsAskedOnceAndWhoLeavesLaterChangesNothing() {
    play = Rehearsal()
    play.serve(Self.plan)
    play.send(.reload("deploy", ReloadWish(hold: .seconds(60))))
    play.load(Self.plan)
    play.answer(play.makeReady(2))
    #expect(play.core.held("deploy") == 2 && play.said.terminated.isEmpty)
    play.end(play.send(.holdReleased("deploy", .commit)).terminated[0])
    #expect(pause(3).spawned.map(\.slot) == [2])
    #expect(play.send(.holdReleased("deploy", .abort(.callerLeft))).isEmpty)
    let next = play.answer(play.makeReady(2))
    #expect(next.terminated.map(\.slot) == [2], "no second word is waited for")
    #expect(play.send(.holdReleased("deploy", .abort(.asked))).rules == [.everyone(.http(1))])
  }

  @Test mutating func fewOfManyStayInProportion() {
    let old = GenerationPlan.of([.web(workers: 8)])
    let new = GenerationPlan.of([.web(workers: 4)], trial: TrialPlan(batch: 2, duration: .zero))
    play = Rehearsal()
    play.serve(old)
    play.offer(new)
    let first = play.answer(play.makeReady(2))
    #expect(first.terminated.count == 4, "half of the new are there")
    #expect(first.rules == [.share(Share(clamping: 5_000), candidate: .http(2), serving: .http(1))])
  }

  @Test mutating func whatFitsInOneBatchComesAtOnce() {
    let plan = GenerationPlan.of([.web(workers: 2)], trial: TrialPlan(batch: 2, duration: .seconds(60)))
    play = Rehearsal()
    play.serve(plan)
    play.offer(plan)
    play.answer(play.makeReady(2))
    #expect(play.core.serving == 2)
  }

  /// So many rounds of questions that are answered well.
  @discardableResult
  private mutating func pause(_ seconds: Int) -> [Action] {
    (0..<seconds).flatMap { _ -> [Action] in
      let asked = play.pass(.seconds(1))
      return asked + play.answer(asked)
    }
  }
}
