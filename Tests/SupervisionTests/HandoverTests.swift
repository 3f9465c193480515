import Testing
import Vocabulary

@testable import Supervision

@Suite struct FirstStart {
  @Test func opensListenersThenStartsThenProvesThenServes() {
    var play = Rehearsal()
    #expect(play.send(.start("start")) == [.loadSettings("start", as: 1)])
    let opened = play.send(.settingsLoaded("start", GenerationPlan.of([.web(workers: 2, passes: 2)]).numbered(1)))
    #expect(opened.opened == [.http(1)] && opened.spawned.isEmpty)
    let started = play.send(.listenerOpened(.http(1)))
    #expect(started.rules == [.everyone(.http(1))], "the group has its program before anybody may join it")
    #expect(started.spawned.map(\.label) == ["web.1", "web.2"])
    #expect(play.send(.ready(started.spawned[0])).allSatisfy { $0.isNote })
    let asked = play.send(.ready(started.spawned[1]))
    #expect(asked.contains(.prove(1, Names.web, number: 1)) && asked.contains(.prove(1, Names.web, number: 2)))
    #expect(play.send(.proofAnswered(1, Names.web, number: 1, failure: nil)).isEmpty)
    let served = play.send(.proofAnswered(1, Names.web, number: 2, failure: nil))
    #expect(served.contains(.tell(.ready)) && served.contains(.finish("start", .done(1))))
    #expect(play.core.serving == 1 && play.core.phase == .steady && play.core.nextDeadline == nil)
  }

  @Test func aFailedProofIsAskedAgainWhileTheTimeToStartLasts() {
    var play = Rehearsal()
    play.send(.start("start"))
    play.load(.of([.web()]))
    play.answer(play.makeReady(1), failure: "503")
    #expect(play.verdicts.isEmpty)
    let again = play.pass(.seconds(1))
    #expect(again.contains(.prove(1, Names.web, number: 2)), "a new round has new numbers")
    // The answer to the first round comes late and counts no more.
    #expect(play.send(.proofAnswered(1, Names.web, number: 1, failure: "503")).isEmpty)
    play.answer(again)
    #expect(play.core.serving == 1)
  }

  @Test func aProofThatNeverSucceedsEndsTheServiceWithAFailure() {
    var play = Rehearsal()
    play.send(.start("start"))
    play.load(.of([.web()]))
    var asked = play.makeReady(1)
    for _ in 0..<40 where play.shutdown == nil {
      play.answer(asked, failure: "503")
      asked = play.pass(.seconds(1))
    }
    #expect(play.verdicts["start"] == [.refused(.disproved(Names.web, "503"), serving: nil)])
    #expect(play.shutdown?.cause == .failure)
  }

  @Test func oneEngineThatIsGivenUpDoesNotKeepTheOthersFromServing() {
    var play = Rehearsal()
    play.send(.start("start"))
    play.load(.of([.web(), EnginePlan(name: Names.store, workers: 1, restart: RestartPolicy(giveUpAfter: 1))]))
    play.end(play.worker(Names.store, of: 1), .exited(1))
    play.answer(play.makeReady(1))
    #expect(play.core.serving == 1)
    #expect(play.core.generations[1]?.engine(Names.store)?.hasFailed == true)
  }

  @Test func withNothingStartedItEndsWithAFailure() {
    var play = Rehearsal()
    play.send(.start("start"))
    play.load(.of([.web(restart: RestartPolicy(giveUpAfter: 1))]))
    play.end(play.worker(Names.web, of: 1), .exited(1))
    #expect(play.verdicts["start"] == [.refused(.nothingStarted, serving: nil)])
    #expect(play.send(.stageWorkDone(.database)).contains(.exit(.failed)))
  }

  @Test func refusedSettingsAndTakenPortsEndWithAFailure() {
    var play = Rehearsal()
    play.send(.start("start"))
    play.send(.settingsRefused("start", "line 3"))
    #expect(play.verdicts["start"] == [.refused(.settings("line 3"), serving: nil)])
    #expect(play.shutdown?.cause == .failure)

    play = Rehearsal()
    play.send(.start("start"))
    play.send(.settingsLoaded("start", GenerationPlan.of([.web()]).numbered(1)))
    play.send(.listenerRefused(.http(1), "taken"))
    #expect(play.verdicts["start"] == [.refused(.listener(.http(1), "taken"), serving: nil)])
    #expect(play.said.spawned.isEmpty)
  }

  @Test func aSecondStartChangesNothing() {
    var play = Rehearsal()
    play.serve(.of([.web()]))
    #expect(play.send(.start("again")) == [.finish("again", .busy(nil))])
  }

  @Test func enginesStartInTheOrderOfAfter() {
    var play = Rehearsal()
    play.send(.start("start"))
    play.load(.of([.robots(), .web()]))
    #expect(play.said.spawned.map(\.label) == ["web.1"])
    play.send(.ready(play.worker(Names.web, of: 1)))
    #expect(play.said.spawned.map(\.label) == ["web.1", "robots.1"])
  }
}

@Suite struct Handover {
  var play = Rehearsal()

  init() { play.serve(.of([.web()])) }

  @Test mutating func theOldServesUntilTheNewIsProvedThenDrains() {
    let old = play.worker(Names.web, of: 1)
    play.offer(.of([.web()]))
    #expect(play.said.rules.last == .probes(candidate: .http(2), serving: .http(1)))
    let asked = play.makeReady(2)
    #expect(play.core.serving == 1)
    let committed = play.answer(asked)
    #expect(committed.rules == [.everyone(.http(2))])
    #expect(committed.contains(.watchQuiet(.http(1))) && committed.contains(.finish("reload", .done(2))))
    #expect(!play.said.terminated.contains(old), "its listener is not quiet yet")
    #expect(play.send(.quiet(.http(1), unfinished: 0)).terminated == [old])
    #expect(play.send(.exited(old, .exited(0))).closed.isEmpty, "its group is not empty yet")
    let ended = play.send(.emptied(old))
    #expect(ended.closed == [.http(1)] && ended.contains(.forget(1)))
    #expect(play.core.groups[SocketPlan.http.key]?.members == [.http(2)])
  }

  @Test mutating func aWorkerThatDiesAbortsItAndIsNotTriedAgain() {
    play.offer(.of([.web(workers: 2)]))
    let died = play.end(play.worker(Names.web, of: 2), .exited(3))
    #expect(died.rules == [.everyone(.http(1))])
    #expect(died.spawned.isEmpty, "a candidate that is given up is not tried again")
    #expect(died.terminated == [play.worker(Names.web, of: 2, slot: 2)])
    #expect(
      play.verdicts["reload"] == [
        .refused(.worker(play.worker(Names.web, of: 2), .exited(.exited(3))), serving: 1)
      ])
    #expect(play.endAll(2).closed == [.http(2)])
    #expect(play.core.serving == 1 && play.core.nextDeadline == nil)
  }

  @Test mutating func aWorkerThatCannotBeSpawnedAbortsIt() {
    play.offer(.of([.web()]))
    let failed = play.send(.spawnFailed(play.worker(Names.web, of: 2), "ENOENT"))
    #expect(failed.spawned.isEmpty && failed.terminated.isEmpty && failed.killed.isEmpty)
    #expect(failed.contains(.forget(2)), "nothing of it is left at once")
    #expect(play.verdicts["reload"]?.count == 1)
  }

  @Test mutating func aWorkerThatIsNeverReadyAbortsIt() {
    play.offer(.of([.web()]))
    let late = play.pass(.seconds(30))
    #expect(late.killed == [play.worker(Names.web, of: 2)])
    #expect(
      play.verdicts["reload"] == [
        .refused(.worker(play.worker(Names.web, of: 2), .notReady(within: .seconds(30))), serving: 1)
      ])
  }

  @Test mutating func aWrongAnswerAbortsIt() {
    play.offer(.of([.web(passes: 2)]))
    let asked = play.makeReady(2)
    let refused =
      play.answer(Array(asked.dropLast()), failure: nil) + play.answer([asked[asked.count - 1]], failure: "500")
    #expect(refused.rules == [.everyone(.http(1))])
    #expect(play.verdicts["reload"] == [.refused(.disproved(Names.web, "500"), serving: 1)])
  }

  @Test mutating func refusedSettingsChangeNothing() {
    play.send(.reload("reload"))
    let refused = play.send(.settingsRefused("reload", "line 3"))
    #expect(refused.contains(.finish("reload", .refused(.settings("line 3"), serving: 1))))
    #expect(refused.contains(.tell(.ready)) && play.core.phase == .steady)
  }

  @Test mutating func aListenerThatIsRefusedAbortsItAndClosesTheOthers() {
    play.send(.reload("reload"))
    play.send(.settingsLoaded("reload", GenerationPlan.of([.web()], sockets: [.admin, .http]).numbered(2)))
    play.send(.listenerOpened(.admin(2)))
    let refused = play.send(.listenerRefused(.http(3), "EMFILE"))
    #expect(refused.closed == [.admin(2)] && refused.contains(.forget(2)) && refused.spawned.isEmpty)
    #expect(play.core.groups[SocketPlan.http.key]?.members == [.http(1)])
    #expect(play.core.groups[SocketPlan.admin.key] == nil)
    #expect(play.core.phase == .steady)
  }

  @Test mutating func aListenerThatMustBeSharedIsShared() {
    play.send(.reload("reload"))
    play.send(.settingsLoaded("reload", GenerationPlan.of([.web()]).numbered(2)))
    play.send(.listenerMustBeShared(.http(2)))
    #expect(play.core.generations[2]?.bindings == [Names.http: .http(1)])
    play.answer(play.makeReady(2))
    #expect(play.core.serving == 2)
    play.endAll(1)
    #expect(play.said.closed.isEmpty && play.core.generations[1] == nil)
  }

  @Test mutating func aFirstListenerThatMustBeSharedIsRefused() {
    play.send(.reload("reload"))
    play.send(.settingsLoaded("reload", GenerationPlan.of([.web()], sockets: [.http, .admin]).numbered(2)))
    play.send(.listenerOpened(.http(2)))
    play.send(.listenerMustBeShared(.admin(3)))
    #expect(play.verdicts["reload"]?.count == 1, "it has an end")
  }

  @Test mutating func aListenerThatLeavesWhileItIsTriedAbortsIt() {
    play.offer(.of([.web()]))
    play.send(.listenerLeft(.http(2)))
    #expect(play.verdicts["reload"] == [.refused(.listenerLeft(.http(2)), serving: 1)])
    #expect(play.said.rules.last == .everyone(.http(1)))
  }

  @Test mutating func aServingListenerThatLeavesListensAgain() {
    play.send(.listenerLeft(.http(1)))
    #expect(play.said.contains(.relisten(.http(1))))
    #expect(play.said.rules.last == .everyone(.http(1)))
  }

  @Test mutating func nobodyWaitsForAListenerThatLeft() {
    play.offer(.of([.web()]))
    play.answer(play.makeReady(2))
    let left = play.send(.listenerLeft(.http(1)))
    #expect(left.terminated == [play.worker(Names.web, of: 1)])
  }

  @Test mutating func reloadsThatComeMeanwhileAreAnsweredByOneMore() {
    play.offer(.of([.web()]))
    for name in ["a", "b", "c"] { #expect(play.send(.reload(OperationID(name))).isEmpty) }
    let committed = play.answer(play.makeReady(2))
    #expect(committed.count { $0.isLoad } == 1)
    play.load(.of([.web()]))
    play.answer(play.makeReady(3))
    #expect(play.verdicts["reload"] == [.done(2)])
    for name in ["a", "b", "c"] { #expect(play.verdicts[OperationID(name)] == [.done(3)]) }
  }

  @Test mutating func tooManyReloadsAreToldToTryAgain() {
    play.offer(.of([.web()]))
    for number in 0..<Supervisor.maxWaitingReloads { play.send(.reload(OperationID("\(number)"))) }
    #expect(play.send(.reload("one more")) == [.finish("one more", .busy(nil))])
  }

  @Test mutating func aSocketThatIsAddedIsOpenedAndOneThatIsRemovedIsClosedWithItsGeneration() {
    play.offer(.of([.web(sockets: [Names.admin])], sockets: [.admin]))
    #expect(play.core.groups.count == 2)
    let committed = play.answer(play.makeReady(2))
    #expect(
      committed.terminated == [play.worker(Names.web, of: 1)], "clients are not steered away: nothing to wait for")
    #expect(play.endAll(1).closed == [.http(1)])
    #expect(Array(play.core.groups.keys) == [SocketPlan.admin.key])
  }

  @Test mutating func aSocketThatIsRenamedKeepsItsGroup() {
    let renamed = SocketPlan(name: SocketName(unchecked: "public"), key: SocketPlan.http.key, steering: .program)
    play.offer(.of([.web(sockets: [renamed.name])], sockets: [renamed]))
    play.answer(play.makeReady(2))
    #expect(play.core.groups[SocketPlan.http.key]?.members == [.http(1), .http(2)])
  }

  @Test mutating func aSocketThatComesBackWhileItsLastUserDrainsIsNotLost() {
    play.offer(.of([.web(sockets: [Names.admin])], sockets: [.admin]))
    play.answer(play.makeReady(2))
    play.offer(.of([.web()], sockets: [.http]), "back")
    #expect(play.core.generations[3]?.bindings == [Names.http: .http(3)])
    // The draining generation ends while the candidate is being tried.
    play.endAll(1)
    #expect(play.core.groups[SocketPlan.http.key]?.members == [.http(3)])
    play.answer(play.makeReady(3))
    #expect(play.core.serving == 3 && play.core.groups[SocketPlan.http.key]?.serving == .http(3))
  }

  @Test mutating func aStopWins() {
    play.offer(.of([.web()]))
    play.send(.reload("waiting"))
    let stopped = play.send(.stop(.stop))
    #expect(stopped.contains(.finish("reload", .refused(.stopped, serving: 1))))
    #expect(stopped.contains(.finish("waiting", .refused(.stopped, serving: 1))))
    #expect(play.send(.reload("late")) == [.finish("late", .refused(.stopped, serving: 1))])
  }

  @Test mutating func lateSettingsOfAStoppedServiceAreForgotten() {
    play.send(.reload("reload"))
    play.send(.stop(.restart))
    #expect(play.send(.settingsLoaded("reload", GenerationPlan.of([.web()]).numbered(2))) == [.forget(2)])
  }
}

@Suite struct Trial {
  var play = Rehearsal()
  let plan = GenerationPlan.of(
    [.web()], trial: TrialPlan(shares: [Share(clamping: 500)], duration: .seconds(3)))

  init() {
    play.serve(plan)
    play.offer(plan)
    play.answer(play.makeReady(2))
  }

  @Test mutating func aShareOfTheClientsMeetsItThenAll() {
    #expect(play.said.rules.last == .share(Share(clamping: 500), candidate: .http(2), serving: .http(1)))
    for _ in 0..<3 {
      #expect(play.core.serving == 1)
      play.answer(play.pass(.seconds(1)))
    }
    #expect(play.core.serving == 2 && play.said.rules.last == .everyone(.http(2)))
  }

  @Test mutating func itEndsOnlyAfterARoundThatBeganAtItsEnd() {
    let asked = play.pass(.seconds(1))
    play.pass(.seconds(10))
    #expect(play.core.serving == 1, "the answer is awaited")
    play.answer(asked)
    #expect(play.core.serving == 2)
  }

  @Test mutating func aFailureSteersBackAtOnceAndWaitsForQuiet() {
    let worker = play.worker(Names.web, of: 2)
    let refused = play.answer(play.pass(.seconds(1)), failure: "500")
    #expect(refused.rules == [.everyone(.http(1))] && refused.contains(.watchQuiet(.http(2))))
    #expect(refused.terminated.isEmpty, "clients may wait in its queue")
    #expect(play.send(.quiet(.http(2), unfinished: 0)).terminated == [worker])
  }

  @Test mutating func aCrashSteersBackAtOnce() {
    #expect(play.send(.exited(play.worker(Names.web, of: 2), .signalled(11))).rules == [.everyone(.http(1))])
    #expect(play.verdicts["reload"]?.count == 1)
  }

  @Test mutating func moreOfThemStepByStepAndTheCheckIsAskedInEachRound() {
    play = Self.onTrial(of: [100, 2_500], isChecked: true)
    #expect(play.said.rules.last == .share(Share(clamping: 100), candidate: .http(2), serving: .http(1)))
    for share in [100, 100, 100, 2_500, 2_500] as [UInt32] {
      let asked = play.pass(.seconds(1))
      #expect(asked.contains { if case .checkTrial(2, _) = $0 { true } else { false } })
      #expect(play.said.rules.last == .share(Share(clamping: share), candidate: .http(2), serving: .http(1)))
      play.answer(asked)
    }
    #expect(play.core.serving == 1)
    play.answer(play.pass(.seconds(1)))
    #expect(play.core.serving == 2 && play.said.rules.last == .everyone(.http(2)))
  }

  @Test mutating func aCheckThatSaysNoSteersBackAtOnceWhateverElseIsAsked() {
    play = Self.onTrial(of: [100, 2_500], isChecked: true)
    let refused = play.check(play.pass(.seconds(1)), failure: "exit status 1")
    #expect(refused.rules == [.everyone(.http(1))])
    #expect(refused.contains(note: .handoverAborted(2, .failedCheck("exit status 1"), "reload")))
  }

  @Test mutating func aLateAnswerOfTheCheckIsNoAnswer() {
    play = Self.onTrial(of: [100], isChecked: true)
    play.answer(play.pass(.seconds(1)))
    play.pass(.seconds(1))
    #expect(play.send(.trialChecked(2, round: 1, failure: "late")).isEmpty)
    #expect(play.send(.trialChecked(1, round: 2, failure: "of another")).isEmpty)
    #expect(play.core.serving == 1 && play.step.map { if case .trial = $0 { true } else { false } } == true)
  }

  private static func onTrial(of shares: [UInt32], isChecked: Bool) -> Rehearsal {
    let plan = GenerationPlan.of(
      [.web()],
      trial: TrialPlan(shares: shares.map { Share(clamping: $0) }, duration: .seconds(3), isChecked: isChecked))
    var play = Rehearsal()
    play.serve(plan)
    play.offer(plan)
    play.answer(play.makeReady(2))
    return play
  }

  @Test mutating func aCrashOfTheServingGenerationDoesNotEndTheTrial() {
    let again = play.end(play.worker(Names.web, of: 1), .signalled(11))
    #expect(again.spawned.map(\.generation) == [1])
    #expect(play.verdicts["reload"] == nil)
  }
}

extension Action {
  var isNote: Bool {
    if case .note = self { return true }
    return false
  }
}
