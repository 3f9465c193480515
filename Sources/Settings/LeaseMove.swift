import Vocabulary

/// Settings that would keep leases elsewhere, or for another time, than a service that runs keeps them. No host can take
/// that over by itself: see docs/decisions/0016.
package struct LeaseMove: Hashable, Sendable {
  /// What is not as it was.
  package let what: String

  /// nil where leases stay what and where they are. Who asks for them may be another, with another password.
  package init?(from old: Settings.Leases, to new: Settings.Leases) {
    self.init(isElsewhere: !old.store.isSamePlace(as: new.store), old.store.shown, old.timeToLive, to: new)
  }

  /// As far as a service that runs shows where it keeps them.
  package init?(fromStore shown: String, ttl: Duration?, to new: Settings.Leases) {
    self.init(isElsewhere: shown != new.store.shown, shown, ttl, to: new)
  }

  private init?(isElsewhere: Bool, _ store: String, _ ttl: Duration?, to new: Settings.Leases) {
    var changes: [String] = []
    if isElsewhere { changes.append("leases lie in \(store), not \(new.store.shown)") }
    if let ttl, ttl != new.timeToLive { changes.append("ttl is \(ttl.text), not \(new.timeToLive.text)") }
    if changes.isEmpty { return nil }
    what = changes.joined(separator: ", and ")
  }

  package var text: String {
    "\(what), for as long as this service runs: stop it on every host and start it with the new settings, or put the old "
      + "ones back; a reload takes over neither, since two hosts with two stores would both run what one may run"
  }
}
