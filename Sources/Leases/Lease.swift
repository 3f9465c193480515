import Vocabulary

/// One lease as this host stands to it.
///
/// *apart* → *asking* → *held* → (*leaving* →) *returning* → *apart*. An engine may run in *held* and *leaving* alone.
struct Lease: Hashable, Sendable {
  var isWanted = false
  var standing: Standing
  /// Of all grants ever heard of. A store that answers with less has lost its memory.
  var highestToken = LeaseToken(0)
  /// The last one that people were told of.
  var toldHolder: OwnerID?
  /// A question for it was never answered: the store may have granted it.
  var isUncertain = false
  /// Since when it is wanted and does not come; nil while it is had, or nobody wants it.
  var waitsSince: BootInstant?
  /// That it waits for long has been said.
  var isLongWaitTold = false

  enum Standing: Hashable, Sendable {
    /// Not this host's; if it is wanted it is asked for at that instant.
    case apart(tryAt: BootInstant)
    case asking(ExchangeID, sentAt: BootInstant)
    case held(Tenure)
    /// Its engine was told to end before anybody asked for it.
    case leaving(Tenure, Departure)
    /// Its engine is gone, and the store is being told.
    case returning(Return)
  }

  struct Tenure: Hashable, Sendable {
    let token: LeaseToken
    /// When the request that was granted last was sent, and the lease's time after it.
    var provenUntil: BootInstant

    mutating func prove(sentAt: BootInstant, _ timing: LeaseTiming) {
      provenUntil = max(provenUntil, sentAt + timing.timeToLive)
    }

    func grant(_ name: LeaseName) -> Grant { Grant(lease: name, token: token, provenUntil: provenUntil) }
  }

  struct Departure: Hashable, Sendable {
    var killAt: BootInstant
    var isKilled = false
    /// The store has not said that it is another's: renewed until the engine is gone, so that nobody starts beside it.
    var isStillOurs: Bool
  }

  struct Return: Hashable, Sendable {
    var exchange: ExchangeID?
    /// When it is sent, or sent again.
    var sendAt: BootInstant
    /// The store lets it expire by itself then.
    let until: BootInstant
  }

  /// What a heartbeat has to renew.
  var tenure: Tenure? {
    switch standing {
    case .held(let tenure): tenure
    case .leaving(let tenure, let departure): departure.isStillOurs ? tenure : nil
    case .apart, .asking, .returning: nil
    }
  }

  /// Nothing runs, is asked or is owed.
  var isSettled: Bool { if case .apart = standing { !isWanted && !isUncertain } else { false } }

  private var isWaiting: Bool {
    switch standing {
    case .apart, .asking: isWanted
    case .held, .leaving, .returning: false
    }
  }

  /// - Returns: whether a person is to be told, once for each wait, that it does not come.
  mutating func countWait(_ now: BootInstant) -> Bool {
    guard isWaiting else {
      (waitsSince, isLongWaitTold) = (nil, false)
      return false
    }
    let since = waitsSince ?? now
    waitsSince = since
    guard !isLongWaitTold, since + LeaseTiming.longWait <= now else { return false }
    isLongWaitTold = true
    return true
  }

  /// When that is to be told.
  var longWaitAt: BootInstant? { isLongWaitTold ? nil : waitsSince.map { $0 + LeaseTiming.longWait } }

  func deadline(_ timing: LeaseTiming) -> BootInstant? {
    switch standing {
    case .apart(let tryAt): isWanted ? tryAt : nil
    case .asking(_, let sentAt): sentAt + timing.retry
    case .held(let tenure): tenure.provenUntil - timing.margin
    case .leaving(_, let departure): departure.isKilled ? nil : departure.killAt
    case .returning(let back): min(back.sendAt, back.until)
    }
  }
}
