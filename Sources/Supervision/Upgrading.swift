package import Vocabulary

/// The decisions about putting another image of this program in place of this one: a value that takes events and gives
/// actions, as ``Supervisor`` is for the service.
///
/// First the other image is asked whether it can go on from the state as it is; then what has happened is written down;
/// then this image ends. Each of these begins only while nothing else is under way: a handover, a scaling or a deploy that
/// was begun comes to its end before, and what comes later waits until after, or for the new image. Until the last step
/// every failure leaves this image at work, with whatever waited.
package struct Upgrading: Hashable, Sendable {
  package struct Run: Hashable, Sendable {
    package let operation: OperationID
    package let since: Instant
    /// A reload waits for it: nothing else may come before.
    package let isForReload: Bool
  }

  package enum Act: String, Hashable, Sendable, CaseIterable { case check, record, replace }

  package enum Phase: Hashable, Sendable {
    /// Exits: `settling`.
    case none
    /// The act waits until nothing else is under way. Exits: `checking`, `recording`, `replacing`, `none` (too long, a
    /// stop).
    case settling(Run, before: Act, lookAt: Instant?)
    /// The other image is asked; others go on meanwhile. Exits: `settling`, `none`.
    case checking(Run)
    /// What has happened is written down. Exits: `settling`, `none`.
    case recording(Run)
    /// This image ends. Exits: `none` (it could not).
    case replacing(Run)
  }

  package enum Event: Hashable, Sendable {
    case asked(OperationID, isForReload: Bool)
    /// Answer to `look`: what is under way, in words; nil: nothing.
    case looked(String?)
    case checked(failure: String?)
    case recorded
    /// The act could not be done at all.
    case failed(String)
    /// Somebody asked us to end, or it has begun.
    case stopping
    case tick
  }

  package enum Action: Hashable, Sendable {
    /// Nothing new is begun from here on. Again for the same: no change.
    case pause(OperationID)
    case resume
    /// Answer: `looked`, as it is at that very moment.
    case look
    /// Answer: `checked` or `failed`.
    case check
    /// Nobody waits for its answer any more.
    case cancelCheck
    /// Answer: `recorded`.
    case record
    /// Does not come back; else the answer is `failed`.
    case replace
    /// What is waited for, told once.
    case waits(for: String)
    /// The end of the operation: this image goes on.
    case refuse(Run, why: String)
    /// The end of the operation, as nothing was tried: something else is under way.
    case busy(OperationID, with: String)
  }

  package private(set) var phase: Phase = .none
  private var waitsFor: String?
  package private(set) var isStopping = false

  /// The longest that something under way is waited for; a reload may hold for as long.
  package static let patience = Duration.seconds(3_600)
  package static let interval = Duration.milliseconds(10)

  package init() {}

  package var run: Run? {
    switch phase {
    case .none: nil
    case .settling(let run, _, _), .checking(let run), .recording(let run), .replacing(let run): run
    }
  }

  /// When `tick` is due.
  package var nextDeadline: Instant? {
    if case .settling(_, _, let lookAt) = phase { return lookAt }
    return nil
  }

  package mutating func handle(_ event: Event, at now: Instant) -> [Action] {
    switch event {
    case .asked(let operation, let isForReload): return asked(operation, isForReload, at: now)
    case .looked(let unrest): return looked(unrest, at: now)
    case .checked(let failure):
      guard case .checking(let run) = phase else { return [] }
      // It has its turn before every reload that has not begun.
      return failure.map { refuse(run, $0) } ?? [.pause(run.operation)] + settle(run, before: .record)
    case .recorded:
      guard case .recording(let run) = phase else { return [] }
      return settle(run, before: .replace)
    case .failed(let why):
      switch phase {
      case .checking(let run), .recording(let run), .replacing(let run): return refuse(run, why)
      case .none, .settling: return []
      }
    case .stopping:
      isStopping = true
      return run.map { refuse($0, Self.stopped) } ?? []
    case .tick:
      guard case .settling(let run, let act, let lookAt?) = phase, lookAt <= now else { return [] }
      return settle(run, before: act)
    }
  }

  private mutating func asked(_ operation: OperationID, _ isForReload: Bool, at now: Instant) -> [Action] {
    if let run { return [.busy(operation, with: "\(run.operation)")] }
    let run = Run(operation: operation, since: now, isForReload: isForReload)
    guard !isStopping else { return [.refuse(run, why: Self.stopped)] }
    return [.pause(operation)] + settle(run, before: .check)
  }

  private static let stopped = "the service is being stopped"

  private mutating func settle(_ run: Run, before act: Act) -> [Action] {
    phase = .settling(run, before: act, lookAt: nil)
    return [.look]
  }

  private mutating func looked(_ unrest: String?, at now: Instant) -> [Action] {
    guard case .settling(let run, let act, nil) = phase else { return [] }
    guard let unrest else { return begin(act, run) }
    guard now < run.since + Self.patience else {
      end()
      return [.busy(run.operation, with: unrest), .resume]
    }
    phase = .settling(run, before: act, lookAt: now + Self.interval)
    defer { waitsFor = unrest }
    return waitsFor == unrest ? [] : [.waits(for: unrest)]
  }

  private mutating func begin(_ act: Act, _ run: Run) -> [Action] {
    switch act {
    case .check:
      phase = .checking(run)
      // The state is that of a rest. What begins until the answer is here comes to its end before the next act.
      return run.isForReload ? [.check] : [.check, .resume]
    case .record:
      phase = .recording(run)
      return [.record]
    case .replace:
      phase = .replacing(run)
      return [.replace]
    }
  }

  private mutating func refuse(_ run: Run, _ why: String) -> [Action] {
    var actions: [Action] = []
    if case .checking = phase { actions.append(.cancelCheck) }
    end()
    return actions + [.refuse(run, why: why), .resume]
  }

  private mutating func end() {
    phase = .none
    waitsFor = nil
  }
}
