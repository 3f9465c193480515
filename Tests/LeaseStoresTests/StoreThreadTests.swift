import Leases
import LinuxSystem
import Synchronization
import Testing
import Vocabulary

@testable import LeaseStores

@Suite struct StoreThreadTests {
  private final class Counting: LeaseStore {
    let asked: Shared
    init(_ asked: Shared) { self.asked = asked }
    var news: Descriptor? { nil }
    func takeNews() -> [LeaseName]? { [] }
    func records() -> [LeaseRecord] { [] }
    func free(_ name: LeaseName) -> LeaseRecord? { nil }
    func forget(_ name: LeaseName) -> Bool { false }
    func ask(_ exchange: ExchangeID, _ request: StoreRequest) -> StoreAnswer {
      asked.numbers.withLock { $0.append(exchange.number) }
      return .released
    }
  }

  private final class Shared: Sendable {
    let numbers = Mutex<[UInt64]>([])
  }

  /// Behind a store that hung they would come when the one who asked has given up, and begun anew.
  @Test func whatNobodyWaitsForAnyMoreIsNotAsked() throws {
    let (loop, asked) = (try EventLoop(), Shared())
    let thread = try StoreThread { () throws(StoreError) in Counting(asked) }
    var answers: [Result<StoreAnswer, StoreError>] = []
    let request = StoreRequest.release(LeaseName(unchecked: "robots"))
    thread.ask(ExchangeID(1), request, until: .now() - .milliseconds(1), reply: loop.reply { answers.append($0) })
    thread.ask(ExchangeID(2), request, until: .now() + .seconds(60), reply: loop.reply { answers.append($0) })
    let limit = Instant.monotonicNow() + .seconds(20)
    loop.schedule(after: .seconds(20)) {}
    while answers.isEmpty, .monotonicNow() < limit { try loop.turn(waiting: true) }
    #expect(asked.numbers.withLock { $0 } == [2] && answers == [.success(.released)])
    thread.close()
  }
}
