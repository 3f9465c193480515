import TestPages
import Testing
import Vocabulary

@testable import Leases

/// Hosts, a store and clocks that drift, stand still and come back, by seeds (BATON_SEED, BATON_SEEDS).
@Suite struct ModelTests {
  static var seeds: [UInt64] {
    Surroundings.number("BATON_SEED").map { [$0] } ?? Array(1...(Surroundings.number("BATON_SEEDS") ?? 30))
  }

  @Test(arguments: [2, 3, 5])
  func atMostOneRunsAndSomebodyDoes(hosts: Int) {
    var handovers = 0
    var stale = 0
    for seed in Self.seeds {
      var world = ModelWorld(hosts: hosts, seed: seed)
      world.run(for: .seconds(600))
      #expect(world.violations.isEmpty, "seed \(seed), \(hosts) hosts: \(world.violations.prefix(3))")
      // Nobody waits for ever.
      world.calm()
      for host in world.hosts.indices where !world.hosts[host].isWanted { world.want(host) }
      world.run(for: .seconds(120))
      let running = world.hosts.filter { if case .running = $0.engine { true } else { false } }
      #expect(running.count == 1, "seed \(seed), \(hosts) hosts: \(running.count) run in the end")
      // And everything is given back.
      for host in world.hosts.indices { world.close(host) }
      world.run(for: .seconds(60))
      #expect(world.hosts.filter { !$0.isClosed }.isEmpty, "seed \(seed): not closed")
      #expect(world.store.registered.isEmpty, "seed \(seed): \(world.store.registered) still registered")
      #expect(world.store.entries.isEmpty, "seed \(seed): \(world.store.entries) not given back")
      #expect(world.hosts.compactMap(\.token).isEmpty, "seed \(seed): an engine is left")
      handovers += world.handovers
      stale += world.staleWrites
    }
    // The faults reach what they are to reach.
    #expect(handovers > Self.seeds.count * 3)
    #expect(stale > 0 || Self.seeds.count < 30)
  }
}
