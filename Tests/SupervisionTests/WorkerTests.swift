import Testing
import Vocabulary

@testable import Supervision

@Suite struct RestartPolicyTests {
  var play = Rehearsal()

  /// Crashes the worker until it is given up; returns the waits between.
  mutating func crash(_ times: Int) -> [Duration] {
    var waits: [Duration] = []
    for _ in 0..<times {
      let began = play.now
      let died = play.end(play.worker(Names.web, of: 1), .signalled(11))
      if died.spawned.isEmpty, let deadline = play.core.nextDeadline { play.pass(deadline - play.now) }
      waits.append(play.now - began)
    }
    return waits
  }

  @Test mutating func theFirstCrashIsAnsweredAtOnceThenTheWaitDoublesWithJitter() {
    play.serve(.of([.web(restart: RestartPolicy(delay: .milliseconds(100), maxDelay: .seconds(1)))]))
    let waits = crash(7)
    #expect(waits[0] == .zero)
    for (wait, base) in zip(waits.dropFirst(), [100, 200, 400, 800, 1000, 1000]) {
      #expect(wait >= .milliseconds(base * 3 / 4) && wait <= .milliseconds(min(base * 5 / 4, 1000)))
    }
    #expect(
      Set(waits.dropFirst().map { $0.milliseconds % 100 }).count > 1,
      "workers felled together do not come back together")
  }

  @Test mutating func tooManyCrashesEndItVisiblyAndTheRestGoesOn() {
    play.serve(.of([.web(workers: 2, restart: RestartPolicy(giveUpAfter: 3))]))
    _ = crash(3)
    #expect(play.core.generations[1]?.engine(Names.web)?.workers[0].hasFailed == true)
    #expect(play.core.generations[1]?.engine(Names.web)?.workers[1].isReady == true)
    #expect(play.core.nextDeadline == nil)
  }

  @Test mutating func onlyAHealthyRunMakesTheNextCrashAFirstOne() {
    play.serve(.of([.web(restart: RestartPolicy(healthyAfter: .seconds(30)))]))
    _ = crash(2)
    play.makeReady(1)
    play.pass(.seconds(29))
    #expect(crash(1)[0] > .zero)
    play.makeReady(1)
    play.pass(.seconds(30))
    #expect(crash(1)[0] == .zero)
  }

  @Test mutating func aHealthyRunThatEndsInAHangCountsToo() {
    play.serve(.of([.web(liveness: .told(every: .seconds(40)))]))
    _ = crash(2)
    play.makeReady(1)
    play.pass(.seconds(40))
    #expect(
      play.worker(Names.web, of: 1) == play.said.compactMap { if case .abort(let id) = $0 { id } else { nil } }.last)
    #expect(crash(1)[0] == .zero)
  }

  @Test mutating func aCrashRestartsTheSameGenerationWhateverIsBeingTried() {
    play.serve(.of([.web()]))
    play.offer(.of([.web()]))
    #expect(play.end(play.worker(Names.web, of: 1), .signalled(11)).spawned.map(\.generation) == [1])
  }

  @Test mutating func nothingStartsBeforeThePredecessorsWholeGroupIsGone() {
    play.serve(.of([.web()]))
    let died = play.send(.exited(play.worker(Names.web, of: 1), .signalled(9)))
    #expect(died.spawned.isEmpty && died.killed.count == 1)
    #expect(play.send(.emptied(play.worker(Names.web, of: 1))).spawned.count == 1)
  }

  @Test mutating func lateNewsOfAnEarlierRunChangesNothing() {
    play.serve(.of([.web()]))
    let old = play.worker(Names.web, of: 1)
    play.end(old, .signalled(9))
    let before = play.core
    for event in [
      Event.ready(old), .exited(old, .exited(0)), .emptied(old), .spawned(old), .saved(old), .nothingPending(old),
      .showedLife(old), .livenessAnswered(old, isAlive: false), .spawnFailed(old, "late"),
    ] { #expect(play.send(event).isEmpty && play.core == before, "\(event)") }
  }

  @Test mutating func aDoubledEmptiedDoesNotStopTheRestart() {
    play.serve(.of([.web()]))
    _ = crash(1)
    let id = play.worker(Names.web, of: 1)
    play.end(id, .signalled(9))
    let before = play.core
    play.send(.emptied(id))
    #expect(play.core == before && play.core.nextDeadline != nil)
  }
}

@Suite struct Liveness {
  var play = Rehearsal()

  @Test mutating func aWorkerThatShowsNoLifeIsAbortedThenKilledThenReplaced() {
    play.serve(.of([.web(liveness: .told(every: .seconds(10)))]))
    let id = play.worker(Names.web, of: 1)
    play.pass(.seconds(9))
    play.send(.showedLife(id))
    #expect(!play.pass(.seconds(9)).contains(.abort(id)))
    #expect(play.pass(.seconds(1)).contains(.abort(id)))
    #expect(play.pass(.seconds(2)).killed == [id])
    #expect(play.end(id, .signalled(9)).spawned.count == 1)
  }

  @Test mutating func soManyUnansweredQuestionsInARowAndItHangs() {
    play.serve(.of([.web(liveness: .asked(every: .seconds(1), failures: 2))]))
    let id = play.worker(Names.web, of: 1)
    for isAlive in [false, true, false] {
      #expect(play.pass(.seconds(1)).contains(.askLiveness(id)))
      #expect(play.send(.livenessAnswered(id, isAlive: isAlive)).isEmpty)
    }
    play.pass(.seconds(1))
    #expect(play.send(.livenessAnswered(id, isAlive: false)).contains(.abort(id)))
  }

  @Test mutating func aStopOfOneThatHangsWaitsNoLonger() {
    play.serve(.of([.web(liveness: .told(every: .seconds(10)))]))
    let id = play.worker(Names.web, of: 1)
    play.pass(.seconds(10))
    play.send(.stop(.restart))
    #expect(play.pass(.seconds(2)).killed == [id])
    #expect(play.end(id, .signalled(9)).spawned.isEmpty)
  }

  @Test mutating func readinessIsAskedTimedOrTold() {
    for (readiness, wait) in [(ReadinessPlan.told, false), (.asked, false), (.after(.seconds(2)), true)] {
      play = Rehearsal()
      play.send(.start("start"))
      play.load(.of([.web(readiness: readiness)]))
      let id = play.worker(Names.web, of: 1)
      #expect(play.send(.spawned(id)) == (readiness == .asked ? [.askReadiness(id)] : []))
      play.pass(.seconds(2))
      #expect(play.core.worker(id)?.isReady == wait)
    }
  }
}

@Suite struct Scale {
  var play = Rehearsal()

  init() { play.serve(.of([.web(workers: 2)])) }

  @Test mutating func upStartsMoreAndAnswersWhenTheyAreReady() {
    #expect(play.send(.scale(Names.web, to: 4, "scale")).spawned.map(\.slot) == [3, 4])
    #expect(play.verdicts["scale"] == nil)
    play.makeReady(1)
    #expect(play.verdicts["scale"] == [.done(1)])
  }

  @Test mutating func downEndsTheLastOnesAndAnswersWhenTheyAreGone() {
    let last = play.worker(Names.web, of: 1, slot: 2)
    #expect(play.send(.scale(Names.web, to: 1, "scale")).terminated == [last])
    #expect(play.verdicts["scale"] == nil)
    play.end(last)
    #expect(play.verdicts["scale"] == [.done(1)] && play.workers(of: 1).count == 1)
  }

  @Test mutating func downToNoneAndNonsense() {
    play.send(.scale(Names.web, to: -3, "none"))
    play.endAll(1)
    #expect(play.verdicts["none"] == [.done(1)] && play.workers(of: 1).isEmpty)
    #expect(
      play.send(.scale(Names.store, to: 1, "unknown"))
        == [.finish("unknown", .refused(.unknownEngine(Names.store), serving: 1))])
  }

  @Test mutating func aReloadWaitsForItAndOthersAreBusy() {
    play.send(.scale(Names.web, to: 3, "scale"))
    #expect(play.send(.reload("reload")).isEmpty)
    #expect(play.send(.restart("restart")) == [.finish("restart", .busy("scale"))])
    #expect(play.send(.scale(Names.web, to: 1, "more")) == [.finish("more", .busy("scale"))])
    #expect(play.makeReady(1).contains { $0.isLoad })
  }

  @Test mutating func oneThatIsGivenUpAnswersIt() {
    play.serve(.of([.web(restart: RestartPolicy(giveUpAfter: 1))]))
    play = Rehearsal()
    play.serve(.of([.web(restart: RestartPolicy(giveUpAfter: 1))]))
    play.send(.scale(Names.web, to: 2, "scale"))
    play.end(play.worker(Names.web, of: 1, slot: 2), .exited(1))
    #expect(play.verdicts["scale"]?.count == 1 && play.core.scaling == nil)
    // Scaling again tries the one that was given up again.
    #expect(play.send(.scale(Names.web, to: 2, "again")).spawned.map(\.slot) == [2])
  }

  @Test mutating func aStopAnswersIt() {
    play.send(.scale(Names.web, to: 3, "scale"))
    #expect(play.send(.stop(.stop)).verdicts["scale"] == [.refused(.stopped, serving: 1)])
  }
}

@Suite struct Drain {
  var play = Rehearsal()

  @Test mutating func oldGenerationsAreBoundInNumber() {
    let plan = GenerationPlan.of([.web()], maxDraining: 1)
    play.serve(plan)
    for _ in 0..<2 {
      play.answer(play.makeReady(play.offer(plan)))
      // Generation 2 still drains when 3 is committed to.
    }
    #expect(play.said.contains(note: .drainCut(1, .count(1))) && play.said.killed == [play.worker(Names.web, of: 1)])
    #expect(!play.said.contains(note: .drainCut(2, .count(1))))
  }

  @Test mutating func aCandidateThatIsGivenUpDoesNotPushOutOneWithClients() {
    let plan = GenerationPlan.of([.web()], maxDraining: 1)
    play.serve(plan)
    play.answer(play.makeReady(play.offer(plan)))
    let bad = play.offer(plan)
    play.answer(play.makeReady(bad), failure: "500")
    #expect(!play.said.contains(note: .drainCut(1, .count(1))) && play.said.contains(note: .drainCut(bad, .count(1))))
  }

  @Test mutating func oldGenerationsAreBoundInAge() {
    let plan = GenerationPlan.of([.web()], maxDrainTime: .seconds(5))
    play.serve(plan)
    play.answer(play.makeReady(play.offer(plan)))
    let late = play.pass(.seconds(5))
    #expect(late.killed == [play.worker(Names.web, of: 1)])
    #expect(late.contains(note: .drainCut(1, .time(.seconds(5)))))
    // Nothing wakes it again while the kernel clears away.
    #expect(play.core.nextDeadline == nil)
  }

  /// Its workers may take no longer than it: that their time is up at the same instant is not what is told.
  @Test mutating func theBoundIsToldWhereItsWorkersEndAlready() {
    let plan = GenerationPlan.of([.web()], maxDrainTime: .seconds(5))
    play.serve(plan)
    play.answer(play.makeReady(play.offer(plan)))
    let old = play.worker(Names.web, of: 1)
    play.send(.quiet(.http(1), unfinished: 0))
    let late = play.pass(.seconds(5))
    #expect(late.killed == [old] && late.contains(note: .drainCut(1, .time(.seconds(5)))))
    #expect(!late.contains { if case .note(.workerKilled) = $0 { true } else { false } })
  }

  @Test mutating func theOldestIsCutFirstAndTheSettingsInForceCount() {
    play.serve(.of([.web()], maxDraining: 4))
    for most in [4, 4, 2] {
      play.pass(.seconds(1))
      play.answer(play.makeReady(play.offer(.of([.web()], maxDraining: most))))
    }
    #expect(play.said.killed.map(\.generation) == [1], "three drain, and two may from now on")
    play.answer(play.makeReady(play.offer(.of([.web()], maxDraining: 1))))
    #expect(play.said.killed.map(\.generation) == [1, 2, 3])
  }

  @Test mutating func aShorterTimeCountsForThoseThatDrainAlready() {
    play.serve(.of([.web()], maxDrainTime: .seconds(500)))
    play.answer(play.makeReady(play.offer(.of([.web()], maxDrainTime: .seconds(100)))))
    play.pass(.seconds(20))
    play.answer(play.makeReady(play.offer(.of([.web()], maxDrainTime: .seconds(30)))))
    #expect(play.pass(.milliseconds(9_999)).killed.isEmpty)
    #expect(play.pass(.milliseconds(1)).killed.map(\.generation) == [1])
    #expect(play.pass(.seconds(20)).killed.map(\.generation) == [2])
    // A longer one is not for those that drain already.
    #expect(play.core.nextDeadline == nil)
  }

  @Test mutating func whatTheListenerStillHeldIsNamed() {
    play.serve(.of([.web()]))
    play.answer(play.makeReady(play.offer(.of([.web()]))))
    #expect(play.send(.quiet(.http(1), unfinished: 3)).contains(note: .listenerRetired(.http(1), unfinished: 3)))
  }

  @Test mutating func aWorkerThatDiesBeforeQuietComesBackForThoseWhoWait() {
    play.serve(.of([.web()]))
    play.answer(play.makeReady(play.offer(.of([.web()]))))
    #expect(play.end(play.worker(Names.web, of: 1), .signalled(11)).spawned.map(\.generation) == [1])
    play.send(.quiet(.http(1), unfinished: 0))
    #expect(play.end(play.worker(Names.web, of: 1), .signalled(11)).spawned.isEmpty)
    #expect(play.core.generations[1] == nil)
  }
}
