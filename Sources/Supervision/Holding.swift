package import Vocabulary

/// What a reload asks for beyond "what the settings and `current` say now".
package struct ReloadWish: Hashable, Sendable {
  /// This release instead of the one that `current` names.
  package var release: ReleaseID?
  /// Once it is proved the candidate waits for `holdReleased`, at most so long, and no client meets it; nil: it does not
  /// wait.
  package var hold: Duration?

  package init(release: ReleaseID? = nil, hold: Duration? = nil) {
    self.release = release
    self.hold = hold
  }
}

/// How a hold ends, by the word of whoever asked for it.
package enum HoldRelease: Hashable, Sendable {
  case commit
  case abort(HoldEnd)
}

/// Why a held candidate was given up.
package enum HoldEnd: Hashable, Sendable {
  case asked
  /// Whoever could have committed is gone.
  case callerLeft
  case expired(Duration)
}

/// A reload that waits for its turn.
package struct WaitingReload: Hashable, Sendable {
  package let operation: OperationID
  package let wish: ReloadWish
}

/// A candidate that is proved waits for a word from outside before any client meets it. Until then everything about it is
/// as while it is proved: marked probes reach it, clients do not, a worker of it that fails is its end.
extension Supervisor {
  mutating func hold(_ change: Change, for limit: Duration, at now: Instant) -> [Action] {
    enter(change, .holding(until: now + limit))
    return change.operations.prefix(1).map { .note(.generationHeld(change.candidate, limit, $0)) }
  }

  mutating func advanceHolding(_ change: Change, until: Instant, at now: Instant) -> [Action] {
    until <= now ? abort(.held(.expired(change.hold ?? .zero)), at: now) : []
  }

  /// The candidate that waits for a word about this operation.
  package func held(_ operation: OperationID) -> GenerationID? {
    guard case .changing(let change) = phase, case .holding = change.step, change.operations.first == operation else {
      return nil
    }
    return change.candidate
  }

  /// A commit counts only while it waits. An abort counts from the beginning, and on until clients may rely on the
  /// candidate: in a trial only when it was asked for, since a caller that left may have said its word before.
  mutating func holdReleased(_ operation: OperationID, _ release: HoldRelease, at now: Instant) -> [Action] {
    guard case .changing(let change) = phase, change.hold != nil, change.operations.first == operation else {
      return withdraw(operation, release)
    }
    switch (release, change.step) {
    case (.commit, .holding): return tryOut(change, at: now)
    case (.commit, _): return []
    case (.abort(.callerLeft), _) where change.hasMetClients, (.abort(.expired), _) where change.hasMetClients:
      return []
    case (.abort(let end), .loading):
      // What is being read is not wanted any more.
      return conclude(change, .refused(.held(end), serving: serving)) + [.forget(change.candidate)]
    case (.abort(let end), .opening), (.abort(let end), .starting), (.abort(let end), .proving),
      (.abort(let end), .holding):
      return abort(.held(end), at: now)
    case (.abort(.asked), .trial): return abort(.held(.asked), at: now)
    case (.abort, .trial), (.abort, .swapping), (.abort, .restoring), (.abort, .ending): return []
    }
  }

  /// Nobody waits any more for a reload whose turn has not come.
  private mutating func withdraw(_ operation: OperationID, _ release: HoldRelease) -> [Action] {
    guard case .abort(let end) = release,
      let index = waitingReloads.firstIndex(where: { $0.operation == operation && $0.wish.hold != nil })
    else { return [] }
    waitingReloads.remove(at: index)
    return [.finish(operation, .refused(.held(end), serving: serving))]
  }

  /// Reloads that ask for the same are done by one; one that holds has a word of its own to wait for.
  mutating func nextWaitingReloads() -> [WaitingReload] {
    guard let first = waitingReloads.first else { return [] }
    let together = first.wish.hold == nil ? waitingReloads.prefix { $0.wish == first.wish }.count : 1
    defer { waitingReloads.removeFirst(together) }
    return Array(waitingReloads.prefix(together))
  }
}
