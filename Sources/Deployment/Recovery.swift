package import Vocabulary

/// What the world says, whatever was recorded.
package struct Reality: Hashable, Sendable {
  package enum Running: Hashable, Sendable {
    case release(ReleaseID)
    /// The unit does not run.
    case nothing
    /// It runs, and nobody can tell what.
    case unknown
  }
  /// What `current` names.
  package var current: ReleaseID?
  package var running: Running

  package init(current: ReleaseID?, running: Running) {
    self.current = current
    self.running = running
  }
}

/// When an operation is taken up again.
package enum Moment: String, Hashable, Sendable, CaseIterable {
  /// By the next command.
  case now
  /// By the boot unit, before the units that are deployed.
  case boot
  /// Because its detached bake is due.
  case bake
}

/// Decides from the records of an operation, and from reality, how it is brought to its end.
///
/// - Before activation was intended: everything is undone.
/// - After the health check: it is finished.
/// - In between: undone, unless the supervisor has proved the new release and runs it.
package enum Recovery {
  /// The machine where it goes on, with its first actions; nil when the operation has ended and nothing is left of it.
  package static func resume(
    _ entries: [Entry], reality: Reality, moment: Moment, at now: Instant
  ) -> (machine: Deploy, actions: [DeployAction])? {
    guard let past = Past(entries) else { return nil }
    if let ended = past.ended {
      guard ended == .stuck || (ended == .baking && moment == .bake) else { return nil }
    }
    var machine = past.machine
    machine.isBooting = moment == .boot
    machine.bakesNow = moment == .bake
    let actions = decide(past, &machine, reality, now)
    return (machine, actions)
  }

  /// Whether somebody has to take this operation up, before any other may begin.
  package static func isHalfDone(_ entries: [Entry]) -> Bool {
    guard let past = Past(entries) else { return false }
    return past.ended.map { $0 == .stuck } ?? true
  }

  /// As ``isHalfDone(_:)``, and it had the lock: what it did may stand in the way of others.
  package static func holdsOthers(_ entries: [Entry]) -> Bool { sequence(entries) > 0 && isHalfDone(entries) }

  /// Its place among all operations; 0 before it had the lock.
  package static func sequence(_ entries: [Entry]) -> Int64 { Past(entries)?.machine.facts.sequence ?? 0 }

  /// Whether its bake is still to be made.
  package static func isBaking(_ entries: [Entry]) -> Bool { Past(entries)?.ended == .baking }

  private static func decide(
    _ past: Past, _ machine: inout Deploy, _ reality: Reality, _ now: Instant
  ) -> [DeployAction] {
    if machine.turn != nil { return machine.undoNext() }
    let interrupted = cutOff(past.last)
    guard machine.begun.contains(.activate) else { return machine.turnBack(nil, interrupted) }
    let new = machine.facts.release
    let isCurrent = new != nil && reality.current == new
    if !machine.isMarked, !isCurrent, reality.current != machine.facts.previous {
      // Somebody else has moved it: not ours to move it again.
      let found = reality.current.map { "`current` names \($0)" } ?? "`current` names no release"
      return machine.giveUp(StepFailure(.stuck, "\(found), which is neither the old release nor the new one"))
    }
    if machine.isMarked { return isCurrent ? machine.advance(after: past.lastDone, now) : machine.end(.good) }
    if past.done.contains(.healthCheck)
      || (past.done.contains(.activate) && !machine.intent.steps.contains(.healthCheck))
    {
      if isCurrent { return machine.advance(after: past.lastDone, now) }
    } else if machine.intent.isSteered, let new, reality.running == .release(new) {
      // The supervisor commits only to what it has proved. The rest of the activation is done again.
      return past.done.contains(.activate) && isCurrent
        ? machine.advance(after: .activate, now) : machine.intend(.activate)
    }
    return machine.turnBack(nil, interrupted)
  }

  /// The records, read.
  private struct Past {
    var machine: Deploy
    var done: Set<Step> = []
    var last: Step?
    var ended: Outcome?

    var lastDone: Step? { done.max() }

    init?(_ entries: [Entry]) {
      guard case .began(let intent)? = entries.first else { return nil }
      machine = Deploy(intent)
      for entry in entries.dropFirst() { read(entry) }
    }

    private mutating func read(_ entry: Entry) {
      switch entry {
      case .began, .resumed: break
      case .intends(let step):
        ended = nil
        last = step
        if !machine.begun.contains(step) { machine.begun.append(step) }
        if step > .lock { machine.hasActed = true }
      case .knows(let facts): machine.facts = facts
      case .did(let step, let facts):
        done.insert(step)
        machine.facts = facts
        if step == .markGood { machine.isMarked = true }
      case .turned(let step, let failure, let facts):
        machine.turn = Deploy.Turn(step: step, failure: failure)
        machine.facts = facts
        // The record of the mark was not known to be on the disk when this was decided.
        machine.isMarked = false
      case .undid(let step):
        goesBack()
        machine.begun.removeAll { $0 == step }
        done.remove(step)
      case .couldNotUndo: goesBack()
      case .ended(let outcome): ended = outcome
      }
    }

    /// The decision itself may be missing: going back does not wait for its record.
    private mutating func goesBack() {
      machine.isMarked = false
      machine.turn = machine.turn ?? Deploy.Turn(step: nil, failure: Recovery.cutOff(nil))
    }
  }

  private static func cutOff(_ step: Step?) -> StepFailure {
    StepFailure(.failed, "the operation was cut off\(step.map { " in \($0.rawValue)" } ?? "")")
  }
}
