import Testing
import Vocabulary

@testable import Supervision

/// 500 workers, each with all its events and the question for the next deadline: what a core costs must not grow with
/// the square of them. Counted in a clock only as a bound that a quadratic copy would miss by far.
@Suite struct ManyWorkers {
  @Test func fiveHundredStartAndStop() {
    var play = Rehearsal()
    let clock = ContinuousClock()
    let took = clock.measure {
      play.send(.start("start"))
      play.load(.of([.web(workers: 500, liveness: .told(every: .seconds(10)))]))
      for slot in 1...500 { tell(.spawned(play.worker(Names.web, of: 1, slot: slot)), &play) }
      var asked: [Action] = []
      for slot in 1...500 { asked += tell(.ready(play.worker(Names.web, of: 1, slot: slot)), &play) }
      play.answer(asked)
      play.send(.stop(.restart))
      for slot in 1...500 { tell(.exited(play.worker(Names.web, of: 1, slot: slot), .exited(0)), &play) }
      for slot in 1...500 { tell(.emptied(play.worker(Names.web, of: 1, slot: slot)), &play) }
    }
    #expect(play.shutdown?.stage == .database)
    print("500 workers: \(took) for 2,000 events and as many deadlines")
    #expect(took < .seconds(20))
  }

  @discardableResult
  private func tell(_ event: Event, _ play: inout Rehearsal) -> [Action] {
    let actions = play.core.handle(event, at: play.now)
    _ = play.core.nextDeadline
    return actions
  }
}
