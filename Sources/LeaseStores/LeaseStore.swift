package import Leases
package import LinuxSystem
package import Vocabulary

/// Where leases lie. One rule for all stores: every request is one atomic act, time is the store's own, tokens only rise, and
/// asking twice is as good as once. The same tests run against each of them.
///
/// Belongs to one thread, and may block it. Questions are asked in the name of the ``Claimant`` it was made for.
package protocol LeaseStore: AnyObject {
  /// - Throws: when it cannot be known whether it was done.
  func ask(_ exchange: ExchangeID, _ request: StoreRequest) throws(StoreError) -> StoreAnswer
  /// For people: every lease that is known here, by name.
  func records() throws(StoreError) -> [LeaseRecord]
  /// For people: takes it from whoever has it, and raises its token, so that the next grant's is above what the holder has.
  /// The holder learns it at its next heartbeat, and what it still does is refused by its token.
  /// - Returns: what was there before; nil when nobody had it.
  func free(_ name: LeaseName) throws(StoreError) -> LeaseRecord?
  /// Forgets a lease that nobody has; the next token is above its last one all the same.
  /// - Returns: false when somebody has it, or it is not known.
  func forget(_ name: LeaseName) throws(StoreError) -> Bool
  /// Readable when a lease may have become free; nil where nothing tells so, or nothing does yet.
  var news: Descriptor? { get }
  /// Takes what made ``news`` readable: the leases it is about, nil when that cannot be told. Never what was asked here.
  func takeNews() -> [LeaseName]?
}

/// Who asks: the random owner, and what people call it.
package struct Claimant: Hashable, Sendable {
  package let owner: OwnerID
  package let label: String
  package let timeToLive: Duration

  package init(owner: OwnerID = .random(), label: String, timeToLive: Duration) {
    self.owner = owner
    self.label = label
    self.timeToLive = timeToLive
  }
}

extension OwnerID {
  /// 128 bits of the kernel's.
  package static func random() -> OwnerID {
    var source = SystemRandomNumberGenerator()
    let parts = [source.next(), source.next()].map { (half: UInt64) in
      let digits = String(half, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
    return OwnerID(parts.joined())
  }
}

package struct LeaseRecord: Hashable, Sendable {
  package let name: LeaseName
  /// Of the last grant.
  package let token: LeaseToken
  /// nil: it is free, or what was granted has expired.
  package let holder: Holder?
  /// Who had it last, for people; empty when nobody is known.
  package let last: String

  package init(name: LeaseName, token: LeaseToken, holder: Holder?, last: String) {
    self.name = name
    self.token = token
    self.holder = holder
    self.last = last
  }
}

/// A store that could not be asked, in words for a person. Holds no secret.
package struct StoreError: Error, Hashable, Sendable, CustomStringConvertible {
  /// As a person named it, without what is secret in it.
  package let store: String
  package let why: String
  /// What to do about it.
  package let next: String?

  package init(_ store: String, _ why: String, next: String? = nil) {
    self.store = store
    self.why = why
    self.next = next
  }
  package var description: String { "\(store): \(why)" }
}
