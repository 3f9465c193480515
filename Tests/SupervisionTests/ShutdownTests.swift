import Testing
import Vocabulary

@testable import Supervision

@Suite struct OrderlyStop {
  var play = Rehearsal()
  let plan = GenerationPlan.of([.web(), .robots(), .store, .cache])

  init() { play.serve(plan) }

  func id(_ name: EngineName) -> WorkerID { play.worker(name, of: 1) }

  @Test mutating func stagesComeInTheirOrderEachAfterTheOneBeforeIsEmpty() {
    let asked = play.send(.stop(.stop))
    #expect(asked.contains(.tell(.stopping)) && asked.contains(.removeStoredListeners))
    #expect(asked.contains(.watchQuiet(.http(1))) && asked.terminated.isEmpty)
    let quiet = play.send(.quiet(.http(1), unfinished: 0))
    #expect(quiet.closed == [.http(1)], "from here on clients are refused at once")
    #expect(quiet.terminated == [id(Names.robots)], "what starts last ends first")
    #expect(play.end(id(Names.robots)).terminated == [id(Names.web)])
    #expect(play.send(.exited(id(Names.web), .exited(0))).terminated.isEmpty)
    #expect(play.send(.emptied(id(Names.web))).terminated == [id(Names.store)])
    #expect(play.end(id(Names.store)).contains(.closeLedger))
    #expect(play.send(.stageWorkDone(.database)).terminated == [id(Names.cache)])
    #expect(play.end(id(Names.cache)).contains(.exit(.done)))
    #expect(play.core.phase == .ended && play.core.nextDeadline == nil)
  }

  @Test mutating func aRestartKeepsListenersAndTheirQueues() {
    let asked = play.send(.stop(.restart))
    #expect(!asked.contains(.removeStoredListeners) && asked.closed.isEmpty)
    #expect(asked.terminated == [id(Names.robots)], "nothing is waited for")
  }

  @Test mutating func timeThatIsNotUsedGoesToTheNextStage() {
    play.send(.stop(.restart))
    #expect(play.shutdown?.stageEndsAt == Instant.zero + .seconds(24))
    play.pass(.seconds(4))
    play.end(id(Names.robots))
    play.end(id(Names.web))
    #expect(play.shutdown?.stage == .database)
    #expect(play.shutdown?.stageEndsAt == Instant.zero + .seconds(27), "3 s of its own and 20 s left over")
    play.pass(.seconds(22))
    #expect(play.said.killed == [id(Names.robots), id(Names.web), id(Names.store)])
  }

  @Test mutating func whoIgnoresTheEndIsKilledAtTheEndOfItsTimeAndNamedOnce() {
    play.send(.stop(.restart))
    #expect(play.pass(.seconds(20)).killed == [id(Names.robots)], "its own stop timeout")
    play.end(id(Names.robots), .signalled(9))
    #expect(play.pass(.seconds(4)).killed == [id(Names.web)], "the end of the stage")
    let ended = play.end(id(Names.web), .signalled(9))
    let cut = ended.compactMap { if case .note(.stageEnded(.engines, _, let cut)) = $0 { cut } else { nil } }
    #expect(cut == [[id(Names.robots), id(Names.web)]])
  }

  @Test mutating func itEndsInsideItsBudgetAndGraceWhateverHappens() {
    play.send(.stop(.stop))
    let spoken = play.pass(.seconds(60))
    #expect(spoken.contains(.exit(.done)))
    let took = spoken.compactMap { if case .note(.shutdownEnded(let took, _)) = $0 { took } else { nil } }
    #expect(
      took == [.seconds(35)], "each stage may take the grace to clear, and the ledger, but what is left is shared")
    #expect(Set(spoken.killed).count == 4)
  }

  @Test mutating func nothingIsStartedAnyMore() {
    play.end(id(Names.store), .signalled(11))
    play.end(id(Names.store), .signalled(11))
    #expect(play.core.nextDeadline != nil, "it waits for its restart")
    play.send(.stop(.restart))
    play.send(.exited(id(Names.cache), .signalled(11)))
    play.send(.emptied(id(Names.cache)))
    let before = play.said.count
    play.pass(.seconds(10))
    #expect(Array(play.said[before...]).spawned.isEmpty)
  }

  @Test mutating func nowCutsStageAfterStage() {
    play.send(.stop(.stop))
    let cut = play.send(.stopNow)
    #expect(Set(cut.killed) == [id(Names.web), id(Names.robots)] && cut.terminated.isEmpty)
    play.end(id(Names.robots), .signalled(9))
    #expect(play.end(id(Names.web), .signalled(9)).killed == [id(Names.store)])
    #expect(play.end(id(Names.store), .signalled(9)).contains(.closeLedger), "the ledger is closed even then")
    play.send(.stageWorkDone(.database))
    let ended = play.end(id(Names.cache), .signalled(9))
    #expect(ended.contains(.exit(.done)))
    #expect(ended.contains { if case .note(.shutdownEnded(_, 4)) = $0 { true } else { false } }, "each is counted once")
  }

  @Test mutating func aSecondStopChangesNothing() {
    play.send(.stop(.restart))
    let before = play.core
    #expect(play.send(.stop(.stop)).isEmpty && play.core == before)
  }

  @Test mutating func aDrainingGenerationEndsWithTheRestAndWakesNobody() {
    play.offer(plan)
    play.answer(play.makeReady(2))
    for name in [Names.robots] {
      play.end(play.worker(name, of: 1))
      play.makeReady(2)
    }
    #expect(play.core.serving == 2)
    play.send(.stop(.restart))
    #expect(play.said.terminated.contains(play.worker(Names.web, of: 1)))
    let spoken = play.pass(.seconds(100))
    #expect(spoken.contains(.exit(.done)))
  }

  @Test mutating func beforeTheStartAndInEachStepOfAChange() {
    for steps in 0..<5 {
      play = Rehearsal()
      if steps > 0 { play.send(.start("start")) }
      if steps > 1 { play.load(plan) }
      if steps > 2 { play.makeReady(1) }
      if steps > 3 { play.send(.exited(play.worker(Names.web, of: 1), .exited(1))) }
      play.send(.stop(.stop))
      #expect(play.pass(.seconds(60)).contains(.exit(.done)) || play.core.phase == .ended, "after \(steps) steps")
      if steps > 0 { #expect(play.verdicts["start"]?.count == 1) }
    }
  }
}

@Suite struct StageWork {
  var play = Rehearsal()

  init() {
    let slices: [Stage: Duration] = [
      .intake: .zero, .engines: .seconds(2), .database: .seconds(3), .redis: .seconds(1),
    ]
    let shutdown = ShutdownPlan(timeout: .seconds(6), slices: slices, commands: [.database: 2, .redis: 1])
    play.serve(.of([.web()], shutdown: shutdown))
    play.send(.stop(.restart))
  }

  @Test mutating func commandsRunOneByOneThenTheLedgerIsClosed() {
    #expect(play.endAll(1).contains(.runStageCommand(.database, 0)))
    #expect(play.send(.stageWorkDone(.redis)).isEmpty, "that is another stage")
    #expect(play.send(.stageWorkDone(.database)) == [.runStageCommand(.database, 1)])
    #expect(play.send(.stageWorkDone(.database)) == [.closeLedger])
    #expect(play.send(.stageWorkDone(.database)).contains(.runStageCommand(.redis, 0)))
    #expect(play.send(.stageWorkDone(.redis)).contains(.exit(.done)))
  }

  @Test mutating func aCommandThatDoesNotEndIsCutAndTheRestIsLeftOut() {
    play.endAll(1)
    let late = play.pass(.seconds(5))
    #expect(late.contains(.cutStageCommand(.database)) && late.contains(.closeLedger))
    #expect(!play.said.contains(.runStageCommand(.database, 1)))
    #expect(play.send(.stageWorkDone(.database)).contains(.runStageCommand(.redis, 0)), "a second is left for it")
  }

  @Test mutating func aLedgerThatDoesNotCloseIsNotWaitedForLongerThanTheGrace() {
    play.endAll(1)
    #expect(play.pass(.seconds(10)).contains(.exit(.done)))
  }

  @Test mutating func whenTimeIsUpNoCommandIsBegun() {
    play.pass(.seconds(2))
    #expect(play.endAll(1).contains(.runStageCommand(.database, 0)), "its own slice is left")
    play.send(.stopNow)
    #expect(play.said.contains(.cutStageCommand(.database)))
    #expect(!play.said.contains(.runStageCommand(.redis, 0)))
  }
}

@Suite struct SavingAndPending {
  var play = Rehearsal()
  let plan = GenerationPlan.of([.web(), .robots(asksPending: true, saves: true)])

  init() {
    play.serve(plan)
    play.send(.stop(.restart))
  }

  var robots: WorkerID { play.worker(Names.robots, of: 1) }

  @Test mutating func whenNothingIsPendingItSavesThenHasASecondToExit() {
    #expect(play.said.contains(.askPending(robots)))
    #expect(play.send(.nothingPending(robots)) == [.save(robots)])
    #expect(play.send(.nothingPending(robots)).isEmpty, "a doubled answer does not cut the saving short")
    #expect(play.send(.saved(robots)).isEmpty)
    #expect(play.pass(.milliseconds(999)).killed.isEmpty)
    #expect(play.pass(.milliseconds(1)).killed == [robots])
    let ended = play.end(robots, .signalled(9)) + play.endAll(1)
    #expect(ended.contains { if case .note(.stageEnded(.engines, _, [])) = $0 { true } else { false } }, "not cut")
  }

  @Test mutating func whenItsTimeIsNearlyUpItSavesAllTheSame() {
    #expect(play.pass(.seconds(18)).contains(.save(robots)))
    #expect(play.pass(.seconds(2)).killed == [robots])
  }

  @Test mutating func oneThatExitsByItselfIsNotAskedToSave() {
    play.end(robots)
    play.pass(.seconds(60))
    #expect(!play.said.contains(.save(robots)))
  }
}
