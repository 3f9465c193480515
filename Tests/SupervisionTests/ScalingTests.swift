import Testing
import Vocabulary

@testable import Supervision

/// Numbers of workers that somebody asked for.
@Suite struct ScalingToNothing {
  var play = Rehearsal()

  init() { play.serve(.of([.web(workers: 2), .robots()])) }

  @Test mutating func isANumberLikeAnyOther() {
    play.send(.scale(Names.web, to: 0, "scale"))
    #expect(play.core.scaledEngines == [Names.web: 0], "from the moment it is decided")
    for slot in [1, 2] { play.end(play.worker(Names.web, of: 1, slot: slot)) }
    #expect(play.verdicts["scale"] == [.done(1)])
    #expect(play.core.scaledEngines == [Names.web: 0])
  }

  /// Started from what a life left in which it had no worker: nobody is asked through its socket, and it can be scaled.
  @Test mutating func holdsInTheNextLife() {
    play = Rehearsal()
    play.serve(.of([.web(workers: 0), .robots()]))
    #expect(play.workers(of: 1).map(\.id.engine) == [Names.robots] && play.core.scaledEngines.isEmpty)
    play.send(.scale(Names.web, to: 2, "scale"))
    play.makeReady(1)
    #expect(play.verdicts["scale"] == [.done(1)] && play.core.scaledEngines == [Names.web: 2])
  }

  @Test mutating func holdsWhereNoEngineHasAWorker() {
    play = Rehearsal()
    play.serve(.of([.web(workers: 0)]))
    #expect(play.workers(of: 1).isEmpty)
    play.offer(.of([.web()]))
    play.answer(play.makeReady(2))
    #expect(play.core.serving == 2 && play.core.scaledEngines.isEmpty)
  }
}
