package import Vocabulary

/// The fencing token: a grant's number, higher than that of every earlier grant of the same lease. Whoever takes the work
/// compares it and refuses what comes with a lower one than it has seen.
package struct LeaseToken: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let number: UInt64
  package init(_ number: UInt64) { self.number = number }
  package var description: String { "\(number)" }
  package static func < (left: Self, right: Self) -> Bool { left.number < right.number }
}

/// One start of one batond or of one `baton lock run`: random, so that nobody ever has the one of another, be it after a
/// reboot or in a container where everybody is process 1.
package struct OwnerID: Hashable, Sendable, CustomStringConvertible {
  package let text: String
  package init(_ text: String) { self.text = text }
  package var description: String { text }
}

/// Who has a lease, as the store says it.
package struct Holder: Hashable, Sendable {
  package let owner: OwnerID
  /// For people: `HOST SERVICE`.
  package let label: String
  package let token: LeaseToken
  /// Until the store lets it expire.
  package let remaining: Duration

  package init(owner: OwnerID, label: String, token: LeaseToken, remaining: Duration) {
    self.owner = owner
    self.label = label
    self.token = token
    self.remaining = remaining
  }
}

/// The right to work, as far as it is proven.
package struct Grant: Hashable, Sendable {
  package let lease: LeaseName
  package let token: LeaseToken
  /// The store cannot have given it to another before then.
  package let provenUntil: BootInstant

  package init(lease: LeaseName, token: LeaseToken, provenUntil: BootInstant) {
    self.lease = lease
    self.token = token
    self.provenUntil = provenUntil
  }
}

/// A lease that is wanted and does not come.
package struct Wait: Hashable, Sendable {
  package let lease: LeaseName
  package let since: BootInstant
  /// That it lasts for long has been said.
  package let isTold: Bool

  package init(lease: LeaseName, since: BootInstant, isTold: Bool) {
    self.lease = lease
    self.since = since
    self.isTold = isTold
  }
}
