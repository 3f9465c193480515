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

  /// `margin` is a quarter of `timeToLive`, at most 30 s, unless said. It is at least a tenth, or 30 s, and at most a half:
  /// what is outside is brought in.
  package init(timeToLive: Duration = .seconds(30), margin: Duration? = nil, poll: Duration = .seconds(5)) {
    self.timeToLive = timeToLive
    let most = Duration.seconds(30)
    let wish = margin ?? min(timeToLive / 4, most)
    self.margin = min(max(wish, min(timeToLive / 10, most)), timeToLive / 2)
    self.poll = poll
  }

  /// KILL comes that long before the end: time for the kernel to end a group, and for clocks of different speed.
  package var killMargin: Duration { margin / 5 * 2 }
  /// What an engine has between TERM and KILL when its lease goes.
  package var grace: Duration { margin - killMargin }
  /// Two renewals may be lost before the third would come too late. However long it lasts, the holder learns soon that it
  /// was taken away.
  package var renewEvery: Duration { min(timeToLive / 3, .seconds(10)) }
  /// A holder that stands still does not end its work: whoever watches it must end both within this, counted from when a
  /// renewal was just due.
  package var watchdogLimit: Duration { timeToLive - renewEvery - killMargin }
  /// After a failure, and how long an answer is waited for: disks and networks may need a quarter of a second at times.
  package var retry: Duration { min(max(timeToLive / 12, min(timeToLive / 4, .milliseconds(250))), .seconds(5)) }
  /// How long a connection may take to be made: to a store far away that takes many answers. One that hangs leaves time for
  /// another after it.
  package var connecting: Duration { max(retry, min(retry * 3, timeToLive / 4)) }

  /// After this a person is told that a lease does not come.
  package static let longWait = Duration.seconds(300)
}
