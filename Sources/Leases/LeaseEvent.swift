package import Vocabulary

/// What the runtime observed. It reads what the store said before it says that time has passed.
package enum LeaseEvent: Hashable, Sendable {
  /// An engine under that lease is to run.
  case wanted(LeaseName)
  /// No longer; its engine is being ended by who said so, and ``vacated(_:)`` follows if there was one.
  case unwanted(LeaseName)
  /// Nothing runs under it, and nothing will be started without a new permission.
  case vacated(LeaseName)
  case answered(ExchangeID, StoreAnswer)
  case failed(ExchangeID, String)
  /// The store says that something happened to that lease.
  case notified(LeaseName)
  /// The service goes: no lease is acquired any more.
  case retire
  /// And now the registration goes, as soon as every lease has been given back.
  case close
  /// The instant of ``LeaseKeeper/nextDeadline`` has come.
  case tick
}

package enum LeaseAction: Hashable, Sendable {
  case ask(ExchangeID, StoreRequest)
  /// Start the engine: with this token, until further notice.
  case permit(Grant)
  /// The engine may be told how much longer its grant is proven.
  case extend(Grant)
  /// End the engine: TERM now.
  case withdraw(LeaseName, Withdrawal)
  /// End it now, whatever it does: KILL.
  case kill(LeaseName)
  case announce(LeaseNews)
  /// Everything has been given back and the registration is gone, as far as the store could be reached.
  case closed
}

/// Why an engine has to end before anybody asked for it.
package enum Withdrawal: Hashable, Sendable {
  /// The store gave it to another, or says that it is nobody's.
  case lost(Holder?)
  /// The store has not confirmed it for so long that another may soon have it.
  case unproven
}

/// What people are told, once for each change.
package enum LeaseNews: Hashable, Sendable {
  case granted(LeaseName, LeaseToken)
  /// Another has it; told again when it is another one.
  case waits(LeaseName, for: Holder)
  /// It has not come for ``LeaseTiming/longWait``, whoever has it.
  case waitsLong(LeaseName)
  case withdrawn(LeaseName, Withdrawal)
  case returned(LeaseName)
  /// It could not be given back: the store lets it expire.
  case leftToExpire(LeaseName)
  case storeFailed(String)
  case storeAnswersAgain
}
