import TestPages
import Testing
import Vocabulary

@testable import Supervision

/// Whole lives of a service around a core, each from a seed: BATON_SEED=N repeats one, BATON_SEEDS=N makes N of them.
@Suite struct Lives {
  @Test func everyLifeKeepsThePromises() {
    let seeds = Surroundings.number("BATON_SEED").map { [$0] } ?? Array(1...(Surroundings.number("BATON_SEEDS") ?? 250))
    var reached: Set<String> = []
    var steps = 0
    for seed in seeds {
      var host = FakeHost(seed: seed)
      do {
        try host.live()
      } catch {
        Issue.record("seed \(seed): \(error.text)")
        break
      }
      steps += host.steps
      reached.formUnion(host.reached)
    }
    print("lives: \(seeds.count) seeds, \(steps) steps, reached \(reached.sorted().joined(separator: " · "))")
    if seeds.count >= 200 { #expect(reached.isSuperset(of: Self.everyStep), "\(Self.everyStep.subtracting(reached))") }
  }

  /// A model that never gets somewhere proves nothing about it.
  private static let everyStep: Set<String> = [
    "first: proving", "handover: loading", "handover: starting", "handover: proving", "handover: holding",
    "handover: trial",
    "handover: swapping, endingOld", "handover: swapping, startingNew", "handover: restoring", "restart: ending",
    "intake: quieting", "engines: ending", "engines: clearing", "database: ending", "database: running",
    "database: closing", "redis: ending", "redis: running", "ended",
  ]
}
