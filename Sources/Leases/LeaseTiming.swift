import Vocabulary

/// How long a lease lasts, and what is reserved of it for ending the work in time.
///
/// All of it counts from when the last request that the store granted was *sent*: the store's own count began later, so
/// what is over here is not yet over there.
package struct LeaseTiming: Hashable, Sendable {
  /// How long the store keeps a lease that nobody renews.
  package let timeToLive: Duration
  /// Reserved at its end for ending the engine: it gets TERM that long before.
  package let margin: Duration
  /// How long a host waits at most before it asks again for what another holds. Notifications make it sooner.
  package let poll: Duration

  /// `margin` is between a tenth and a half of `timeToLive`, a quarter unless said; what is outside is brought in.
  package init(timeToLive: Duration = .seconds(30), margin: Duration? = nil, poll: Duration = .seconds(5)) {
    self.timeToLive = timeToLive
    self.margin = min(max(margin ?? timeToLive / 4, timeToLive / 10), timeToLive / 2)
    self.poll = poll
  }

  /// KILL comes that long before the end: time for the kernel to end a group, and for clocks of different speed.
  package var killMargin: Duration { margin / 5 * 2 }
  /// What an engine has between TERM and KILL when its lease goes.
  package var grace: Duration { margin - killMargin }
  /// Two renewals may be lost before the third would come too late.
  package var renewEvery: Duration { timeToLive / 3 }
  /// After a failure, and how long an answer is waited for.
  package var retry: Duration { timeToLive / 12 }
}
