package import Vocabulary

/// One question to a store. Numbers count up: an answer that came too late is recognised here, a question that came too
/// late in the store.
package struct ExchangeID: Hashable, Sendable, CustomStringConvertible {
  package let number: UInt64
  package init(_ number: UInt64) { self.number = number }
  package var description: String { "\(number)" }
}

/// What a store is asked, always in the name of this start's owner. Each is one atomic act of the store, and doing it twice
/// is as good as once.
package enum StoreRequest: Hashable, Sendable {
  /// Grants the lease if it is free, has expired, or is this owner's already (then with the token it has), and keeps the
  /// exchange's number with it. The token of a new grant is higher than all before it and than `above`, which heals a
  /// store that lost its memory.
  case acquire(LeaseName, above: LeaseToken)
  /// One heartbeat renews the registration of this instance and every lease in it that is this owner's by that token.
  case beat([LeaseName: LeaseToken])
  /// Frees the lease if it is this owner's by an acquisition with a lower number than this exchange's, and wakes who waits
  /// for it. One that was under way for long must not free what was acquired after it.
  case release(LeaseName)
  /// Removes the registration of this instance.
  case unregister
}

package enum StoreAnswer: Hashable, Sendable {
  case granted(LeaseToken)
  case heldBy(Holder)
  /// One for each lease that was asked for.
  case beaten([LeaseName: Renewal])
  /// It is not this owner's any more, whether it was or not.
  case released
  case unregistered
}

package enum Renewal: Hashable, Sendable {
  case renewed
  /// It is another's, or nobody's.
  case lost(Holder?)
}
