package import Leases
internal import LinuxSystem
internal import Settings
package import Vocabulary

/// What people see of the leases of a service.
extension ServiceLeases {
  /// How this host stands to one lease, for people.
  package struct View: Hashable, Sendable {
    package enum State: String, Hashable, Sendable { case held, waiting, ending }
    package let name: LeaseName
    package let state: State
    /// Since when that is so.
    package let since: Instant
    package let token: LeaseToken?
    package let provenUntil: BootInstant?
    /// Who has it, as the store said it last, and when it did.
    package let holder: Holder?
    package let heardAt: BootInstant
  }

  package var views: [View] {
    entries.sorted { $0.key < $1.key }.map { name, entry in
      View(
        name: name, state: entry.state, since: entry.since, token: entry.grant?.token,
        provenUntil: entry.grant?.provenUntil, holder: entry.holder, heardAt: entry.heardAt)
    }
  }

  /// Whether the other host that has it renewed it when that was due; nil where the store was not heard since. All hosts
  /// count with the same time to live.
  package func isHolderAlive(_ view: View) -> Bool? {
    guard let holder = view.holder, let timing = settings?.timing else { return nil }
    let silence = BootInstant.now() - view.heardAt
    if holder.remaining <= silence { return false }
    // Looked at again at least that often.
    guard silence <= timing.poll * 5 / 4 + timing.retry else { return nil }
    return timing.timeToLive - holder.remaining <= timing.renewEvery + timing.retry * 2
  }

  /// For the status line; empty where all is well or nothing is under a lease.
  var line: String {
    var parts = entries.sorted { $0.key < $1.key }.map { name, entry in
      switch entry.state {
      case .held: return "lease \(name) held"
      case .waiting:
        let long = entry.hasWaitedLong ? " for more than \(LeaseTiming.longWait.text)" : ""
        return "waits for lease \(name)\(long)" + (entry.holder.map { ", held by \($0.label)" } ?? "")
      case .ending:
        let holder = entry.isLost ? entry.holder : nil
        return holder.map { "lease \(name) is held by \($0.label) while its engines end here" }
          ?? "lease \(name) is ending"
      }
    }
    if let trouble { parts.append("the store of leases cannot be asked: \(trouble.why)") }
    return parts.joined(separator: "; ")
  }
}
