import Testing
import Vocabulary

@testable import Supervision

@Suite struct ExclusiveEngines {
  var play = Rehearsal()
  let plan = GenerationPlan.of([.web(), .robots()])

  init() { play.serve(plan) }

  @Test mutating func theOldOneEndsBeforeTheNewOneStarts() throws {
    let old = play.worker(Names.robots, of: 1)
    play.offer(plan)
    let proved = play.answer(play.makeReady(2))
    #expect(proved.terminated == [old] && proved.spawned.isEmpty)
    #expect(play.send(.exited(old, .exited(0))).spawned.isEmpty, "its group is not empty yet")
    let gone = play.send(.emptied(old))
    #expect(gone.spawned.map(\.label) == ["robots.1"])
    #expect(play.core.serving == 1)
    play.send(.ready(try #require(gone.spawned.first)))
    #expect(play.core.serving == 2)
  }

  @Test mutating func theOldOneComesBackWhenTheNewOneFails() throws {
    play.offer(plan)
    play.answer(play.makeReady(2))
    let new = try #require(play.end(play.worker(Names.robots, of: 1)).spawned.first)
    let died = play.send(.exited(new, .exited(1)))
    #expect(died.spawned.isEmpty && died.verdicts.isEmpty, "the new one is not gone yet")
    let gone = play.send(.emptied(new))
    #expect(gone.spawned.map(\.generation) == [1] && gone.spawned.map(\.engine) == [Names.robots])
    #expect(play.verdicts["reload"] == [.refused(.worker(new, .exited(.exited(1))), serving: 1)])
  }

  @Test mutating func theOldOneComesBackEvenIfItWasStillEnding() {
    play.offer(plan)
    play.answer(play.makeReady(2))
    let old = play.worker(Names.robots, of: 1)
    play.send(.exited(play.worker(Names.web, of: 2), .exited(1)))
    #expect(play.verdicts.isEmpty == false || play.step != nil)
    #expect(play.end(old).spawned.map(\.engine) == [Names.robots])
    #expect(play.core.phase == .steady && play.core.serving == 1)
  }

  @Test mutating func anEngineThatBecomesExclusiveOrNoLongerIsDoesNotOverlapEither() throws {
    let overlapping = GenerationPlan.of([.web(), EnginePlan(name: Names.robots, workers: 1, after: [Names.web])])
    play.offer(overlapping)
    #expect(play.said.spawned.count { $0.engine == Names.robots } == 1)
    play.answer(play.makeReady(2))
    let new = try #require(play.end(play.worker(Names.robots, of: 1)).spawned.first)
    play.send(.ready(new))
    #expect(play.core.serving == 2)
    play.endAll(1)
    play.send(.quiet(.http(1), unfinished: 0))
    play.offer(plan, "back")
    play.answer(play.makeReady(3))
    #expect(play.said.terminated.contains(new))
    #expect(!play.said.spawned.contains { $0.engine == Names.robots && $0.generation == 3 })
  }

  @Test mutating func itKeepsItsListener() {
    let shared = GenerationPlan.of([
      EnginePlan(name: Names.robots, workers: 1, sockets: [Names.http], handover: .exclusive)
    ])
    play = Rehearsal()
    play.serve(shared)
    play.offer(shared)
    #expect(play.core.generations[2]?.bindings == [Names.http: .http(1)] && play.said.opened == [.http(1)])
  }

  @Test mutating func aRestartWaitsForADrainingGenerationThatRunsOne() {
    // Generation 2 has no robots: those of generation 1 drain with it.
    play.offer(.of([.web()]))
    play.answer(play.makeReady(2))
    play.send(.restart("restart"))
    play.load(plan)
    play.endAll(2)
    #expect(play.step == .ending)
    #expect(!play.said.spawned.contains { $0.generation == 3 })
    play.send(.quiet(.http(1), unfinished: 0))
    play.end(play.worker(Names.robots, of: 1))
    #expect(play.said.spawned.contains { $0.generation == 3 } || play.step != .ending)
  }
}

@Suite struct Restart {
  var play = Rehearsal()

  init() { play.serve(.of([.web(sockets: [Names.http, Names.admin])], sockets: [.http, .admin])) }

  @Test mutating func endsTheOldWorkersThenStartsNewOnesBehindTheSameListeners() {
    let old = play.worker(Names.web, of: 1)
    play.send(.restart("restart"))
    let loaded = play.load(.of([.web()], sockets: [.http, .admin]))
    #expect(loaded.terminated == [old] && loaded.spawned.isEmpty)
    let gone = play.end(old)
    #expect(gone.opened.isEmpty && gone.closed.isEmpty && gone.spawned.map(\.generation) == [2])
    play.answer(play.makeReady(2))
    #expect(play.verdicts["restart"] == [.done(2)])
  }

  @Test mutating func withFewerSocketsClosesTheRest() {
    play.send(.restart("restart"))
    play.load(.of([.web()], sockets: [.http]))
    #expect(play.endAll(1).closed == [.admin(2)])
  }

  @Test mutating func closesWhatMayStandInTheWayBeforeItOpens() {
    let other = SocketPlan(name: Names.admin, key: SocketKey("tcp:0.0.0.0:81"), steering: .program)
    play.send(.restart("restart"))
    play.load(.of([.web()], sockets: [.http, other]))
    let gone = play.endAll(1)
    let close = gone.firstIndex(of: .close(.admin(2)))
    let open = gone.firstIndex { [$0].opened.count == 1 }
    #expect(close != nil && open != nil)
    if let close, let open { #expect(close < open) }
  }

  @Test mutating func refusedSettingsDoNotInterrupt() {
    play.send(.restart("restart"))
    play.send(.settingsRefused("restart", "line 3"))
    #expect(play.said.terminated.isEmpty && play.core.phase == .steady)
  }

  @Test mutating func isBusyDuringAnotherChange() {
    play.offer(.of([.web()]))
    #expect(play.send(.restart("restart")) == [.finish("restart", .busy("reload"))])
  }
}
