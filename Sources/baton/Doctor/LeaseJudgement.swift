import ControlProtocol
import JSON
import Leases
import Settings
import Vocabulary

/// What a service that runs says of its leases, judged: two holders, a store that does not answer, a wait without end.
struct LeaseJudgement {
  let leases: [StatusReport.Lease]
  var unknown: String?
  /// As they lie on disk.
  var settings: Settings?
  let now: WallTime

  var findings: [Finding] { silence + stores + moved + leases.flatMap { twoHolders($0) + longWait($0) } }

  private var moved: [Finding] {
    guard let settings, let move = Self.move(of: leases, to: settings) else { return [] }
    return [
      Finding(
        id: "lease-moved", severity: .warning, what: "the settings have changed under what runs: \(move.what)",
        why: "a reload is refused, and a host that is started anew keeps its leases elsewhere than the others",
        remedy: "stop the service on every host and start it, or put the old settings back")
    ]
  }

  /// nil where what runs keeps its leases as `settings` say, or none is kept.
  static func move(of leases: [StatusReport.Lease], to settings: Settings) -> LeaseMove? {
    guard let lease = leases.first, settings.engines.contains(where: { $0.lease != nil }) else { return nil }
    return LeaseMove(fromStore: lease.store, ttl: lease.timeToLive, to: settings.leases)
  }

  private var silence: [Finding] {
    guard let unknown else { return [] }
    return [
      Finding(
        id: "lease-unknown", severity: .warning, what: "how the leases stand cannot be seen: \(unknown)",
        why: "two holders, or a store that is silent, would not be found", remedy: "be root or of group baton")
    ]
  }

  private var stores: [Finding] {
    var seen: Set<String> = []
    return leases.compactMap { lease in
      guard let why = lease.storeError, seen.insert(lease.store).inserted else { return nil }
      return Finding(
        id: "lease-store", severity: .error, what: "the store of leases \(lease.store) cannot be asked: \(why)",
        why: "what is held here ends when it is proven no more, and nothing is started under a lease",
        remedy: "let it answer again, or correct its address in the settings; baton leases shows what is held")
    }
  }

  private func twoHolders(_ lease: StatusReport.Lease) -> [Finding] {
    guard lease.state == .ending, let holder = lease.holder else { return [] }
    return [
      Finding(
        id: "lease-two-holders", severity: .error,
        what: "lease \(lease.name) is \(holder)'s, and engines that ran under it here have not ended",
        why: "whatever they write without their token is written beside what the holder writes",
        remedy: "baton events says how it was taken; let what they write to refuse an older BATON_LEASE_TOKEN")
    ]
  }

  private func longWait(_ lease: StatusReport.Lease) -> [Finding] {
    let waited = Duration.microseconds(now.microseconds - lease.since.microseconds)
    guard lease.state == .waiting, waited >= LeaseTiming.longWait else { return [] }
    let what = "lease \(lease.name) has not come for \(Ages.text(waited))"
    guard let holder = lease.holder else {
      return [
        Finding(
          id: "lease-waits", severity: .warning, what: "\(what), and nobody is known to have it",
          why: "its engines run nowhere", remedy: "baton lock list shows what lies in the store; baton logs says more")
      ]
    }
    return [
      Finding(
        id: "lease-waits", severity: .note, what: "\(what): \(holder) has it",
        why: "its engines run there and not here", remedy: "nothing, if that host is well: baton leases there")
    ]
  }
}
