import TestPages
import Testing
import Vocabulary

@testable import Leases

/// docs/states/lease.md says what the code does: it is made by letting it run.
@Suite struct StatePages {
  @Test func lease() {
    let table = Seen()
    for seed in 1...40 as ClosedRange<UInt64> {
      var world = ModelWorld(hosts: 3, seed: seed)
      world.seen = { before, event, after in
        guard let after, let event = event.name else { return }
        table.table.saw(before?.name ?? "apart", event, after.name)
      }
      world.run(for: .seconds(600))
    }
    let page = table.table.page(
      title: "Lease",
      about: """
        One lease as one host stands to it. *apart*: another has it, or nobody; *asking*: the store is being asked for it;
        *held*: the engine may run; *leaving*: the engine was told to end before anybody asked for it, and is cut if it
        does not; *returning*: the engine is gone and the store is being told. An engine runs in *held* and *leaving* alone.
        Made from what three hosts lived through with a store that fails.
        """,
      order: ["apart", "asking", "held", "leaving", "returning"])
    if Page.isUpdating { #expect(Page.write("lease", page), "cannot write \(Page.path("lease"))") }
    #expect(
      Page.read("lease") == page,
      "docs/states/lease.md is not what the code does: BATON_UPDATE_DOCS=1 swift test --disable-xctest --filter StatePages"
    )
  }

  private final class Seen { var table = StateTable() }
}

extension Lease.Standing {
  fileprivate var name: String {
    switch self {
    case .apart: "apart"
    case .asking: "asking"
    case .held: "held"
    case .leaving: "leaving"
    case .returning: "returning"
    }
  }
}

extension LeaseEvent {
  fileprivate var name: String? {
    switch self {
    case .wanted: "wanted"
    case .unwanted: "not wanted"
    case .vacated: "engine gone"
    case .answered(_, .granted): "granted"
    case .answered(_, .heldBy): "held by another"
    case .answered(_, .beaten(let renewals)):
      switch renewals[ModelWorld.name] {
      case .renewed: "renewed"
      case .lost: "lost"
      case nil: nil
      }
    case .answered(_, .released): "released"
    case .answered(_, .unregistered): nil
    case .failed: "store failed"
    case .notified: "notified"
    case .retire, .close: "service goes"
    case .tick: "time passed"
    }
  }
}
