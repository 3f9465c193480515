import LeaseStores
import LinuxSystem
import Settings
import Vocabulary

/// Where the leases of a service lie, as its settings say.
enum LeasePlace {
  /// One for all services of this user on this host, and for `baton lock`.
  static func file(beside state: String) -> String {
    let parent = state.split(separator: "/").dropLast()
    return parent.reduce("") { "\($0)/\($1)" } + "/leases.db"
  }

  /// Runs on a thread of its own, and may block it.
  static func open(
    _ store: Settings.Leases.Store, file: String, _ claimant: Claimant, _ patience: Duration
  ) throws(StoreError) -> any LeaseStore {
    switch store {
    case .local: try LocalLeaseStore(path: file, claimant: claimant, listens: true)
    case .redis(let url): RedisLeaseStore(try RedisAddress(url), claimant: claimant, listens: true, patience: patience)
    case .postgres(let url): try DatabaseLeases(url, claimant, patience)
    }
  }
}
