import Testing
import Vocabulary

@testable import Supervision

/// Two queues of one address came back after a crash: both are served, also by an engine that never runs twice.
@Suite struct RecoveredQueues {
  var play = Rehearsal()
  static let exclusive = EnginePlan(name: Names.robots, workers: 1, sockets: [Names.http], handover: .exclusive)

  /// Up to the repetition that the second queue makes necessary.
  private mutating func recover(_ engines: [EnginePlan], waiting: Int = 2) {
    play.send(.start("start"))
    play.send(.listenersRecovered([.recovered(serving: .http(2))], last: 2))
    play.load(.of(engines))
    play.answer(play.makeReady(1))
    #expect(play.core.serving == 1 && play.said.contains(.watchQuiet(.http(1))))
    play.send(.quiet(.http(1), unfinished: waiting))
  }

  private mutating func repeatSettings(_ engines: [EnginePlan]) -> [Action] {
    guard case .repeatSettings(let operation, 1, let id)? = play.said.last(where: \.isRepeat) else { return [] }
    return play.send(.settingsLoaded(operation, GenerationPlan.of(engines).numbered(id)))
  }

  @Test mutating func anExclusiveEngineEmptiesOneAndGoesOnToTheOther() {
    recover([Self.exclusive])
    let left = repeatSettings([Self.exclusive])
    #expect(play.core.generations[2]?.bindings == [Names.http: .http(1)])
    #expect(left.rules.last == .everyone(.http(1)), "who comes now waits where it will be")
    #expect(left.contains(.watchQuiet(.http(2))) && left.terminated.isEmpty, "it takes first what is there")
    #expect(play.send(.quiet(.http(2), unfinished: 1)) == [.watchQuiet(.http(2))], "it has not taken all yet")
    let old = play.worker(Names.robots, of: 1)
    #expect(play.send(.quiet(.http(2), unfinished: 0)).terminated == [old])
    #expect(play.end(old).spawned.map(\.generation) == [2])
    play.makeReady(2)
    #expect(play.core.serving == 2 && !play.hasGivenUp)
    play.send(.quiet(.http(2), unfinished: 0))
    #expect(play.core.groups[SocketPlan.http.key]?.members == [.http(1)])
  }

  @Test mutating func itIsNotWaitedForEverUntilOneIsEmpty() {
    recover([Self.exclusive])
    _ = repeatSettings([Self.exclusive])
    play.now = play.now + .seconds(60)
    #expect(play.send(.quiet(.http(2), unfinished: 1)).terminated == [play.worker(Names.robots, of: 1)])
  }

  @Test mutating func whatCannotBeServedIsGivenUpByName() {
    recover([Self.exclusive])
    _ = repeatSettings([Self.exclusive])
    play.send(.quiet(.http(2), unfinished: 0))
    let new = play.end(play.worker(Names.robots, of: 1)).spawned
    play.send(.spawnFailed(new[0], "ENOENT"))
    play.makeReady(1)
    #expect(play.core.serving == 1 && play.core.groups[SocketPlan.http.key]?.rule == .everyone(.http(2)))
    #expect(play.said.contains(note: .queueGivenUp(.http(1))) && play.said.closed == [.http(1)])
  }

  /// Its lease is not here: what waits in either queue waits on, and both are served when it comes.
  @Test mutating func anEngineThatStandsByIsWaitedFor() {
    let leased = EnginePlan(name: Names.robots, workers: 1, sockets: [Names.http], lease: Names.lease)
    recover([leased])
    #expect(!play.hasRepeated && !play.hasGivenUp)
    play.send(.permitted(Names.lease))
    #expect(play.hasRepeated)
  }

  @Test mutating func anEngineWithoutWorkersIsWaitedFor() {
    recover([.web(workers: 0)])
    #expect(!play.hasRepeated && !play.hasGivenUp)
    play.send(.scale(Names.web, to: 1, "scale"))
    #expect(!play.hasRepeated)
    play.makeReady(1)
    #expect(play.hasRepeated)
  }
}

extension Action {
  fileprivate var isRepeat: Bool {
    if case .repeatSettings = self { return true }
    return false
  }
}

extension Rehearsal {
  fileprivate var hasRepeated: Bool { said.contains { $0.isRepeat } }

  fileprivate var hasGivenUp: Bool {
    said.contains { if case .note(.queueGivenUp) = $0 { true } else { false } }
  }
}
