import Testing
import Vocabulary

@testable import Deployment

@Suite struct BakeWatchTests {
  private let policy = BakePolicy(
    duration: .seconds(10), interval: .seconds(1), maxRestarts: 0, maxErrors: 2, maxMemory: ByteCount(1_000),
    maxCPU: Share(clamping: 5_000), breaches: 3)

  private func look(_ change: (inout BakeLook) -> Void = { _ in }) -> BakeLook {
    var look = BakeLook()
    look.runs = true
    look.restarts = 0
    look.errors = 0
    look.failedEngines = []
    look.memory = ByteCount(500)
    look.cpu = Share(clamping: 100)
    look.health = .good
    change(&look)
    return look
  }

  private func at(_ seconds: Int) -> Instant { .zero + .seconds(seconds) }

  @Test func itPassesWhenItsTimeIsOver() {
    var watch = BakeWatch(policy, startedAt: .zero)
    for second in 0..<10 { #expect(watch.saw(look(), at: at(second)) == .look(at: at(second + 1))) }
    #expect(watch.saw(look(), at: at(10)) == .passed)
  }

  @Test func whatIsGoneOrCountedIsABreachAtOnce() {
    let bad: [(BakeLook, String)] = [
      (
        look {
          $0.runs = false; $0.state = "release A serves"
        }, "it runs no longer: release A serves"
      ),
      (look { $0.restarts = 1 }, "1 restarts since activation, limit 0"),
      (look { $0.errors = 3 }, "3 journal entries of priority error since activation, limit 2"),
      (look { $0.failedEngines = ["web"] }, "engines that were given up: web"),
    ]
    for (look, text) in bad {
      var watch = BakeWatch(policy, startedAt: .zero)
      #expect(watch.saw(look, at: at(1)) == .breached([text]))
    }
  }

  @Test func whatComesAndGoesIsABreachAfterSoManyLooks() {
    for bad in [
      look { $0.health = .bad("503") }, look { $0.memory = ByteCount(2_000) },
      look { $0.cpu = Share(clamping: 9_000) },
    ] {
      var watch = BakeWatch(policy, startedAt: .zero)
      #expect(watch.saw(bad, at: at(0)) == .look(at: at(1)))
      #expect(watch.saw(bad, at: at(1)) == .look(at: at(2)))
      guard case .breached = watch.saw(bad, at: at(2)) else {
        Issue.record("three bad looks in a row are a breach")
        return
      }
    }
  }

  @Test func noDataIsNotGood() {
    let blind: [BakeLook] = [
      look { $0.runs = nil }, look { $0.restarts = nil }, look { $0.errors = nil }, look { $0.failedEngines = nil },
      look { $0.memory = nil }, look { $0.health = nil },
    ]
    for look in blind {
      var watch = BakeWatch(policy, startedAt: .zero)
      var last: BakeWatch.Next = .passed
      for second in 0..<3 { last = watch.saw(look, at: at(second)) }
      guard case .breached = last else {
        Issue.record("\(look) passes")
        continue
      }
    }
    // The first look has nothing to compare the CPU time with.
    var watch = BakeWatch(policy, startedAt: .zero)
    _ = watch.saw(look { $0.cpu = nil }, at: at(0))
    #expect(watch.bad.isEmpty)
  }

  @Test func oneGoodLookTakesBackOneBad() {
    var watch = BakeWatch(policy, startedAt: .zero)
    let bad = look { $0.health = .bad("503") }
    // Two of three are bad: it adds up.
    var last: BakeWatch.Next = .passed
    for (second, isBad) in [true, true, false, true, true].enumerated() {
      last = watch.saw(isBad ? bad : look(), at: at(second))
    }
    #expect(last == .breached(["503"]))
  }

  @Test func aDoubtAtTheEndIsClearedUpFirst() {
    var watch = BakeWatch(policy, startedAt: .zero)
    #expect(watch.saw(look { $0.health = .bad("503") }, at: at(10)) == .look(at: at(11)))
    #expect(watch.saw(look(), at: at(11)) == .passed)
  }

  @Test func aServiceWithoutChecksBakes() {
    var watch = BakeWatch(policy, startedAt: .zero)
    #expect(watch.saw(look { $0.health = .unasked }, at: at(10)) == .passed)
  }
}
