import Vocabulary

@testable import Deployment

extension World {
  enum Move: Hashable, CustomStringConvertible {
    /// What was asked for is done.
    case go
    /// The record is not known to be on the disk; whether it is.
    case recordFails(isThere: Bool)
    /// The step fails when so many of its parts are done.
    case fails(after: Int, StepFailure.Kind)
    case abort, deadline
    /// The process, or the whole host, is gone when so many parts are done, or a record is there or not.
    case crash(after: Int, ofHost: Bool)
    case recover(Moment)

    var description: String {
      switch self {
      case .go: "go"
      case .recordFails(let isThere): "record fails (\(isThere ? "there" : "not there"))"
      case .fails(let parts, let kind): "fails after \(parts): \(kind)"
      case .abort: "abort"
      case .deadline: "deadline"
      case .crash(let parts, let ofHost): "\(ofHost ? "host" : "process") ends after \(parts)"
      case .recover(let moment): "recover \(moment)"
      }
    }

    var name: String {
      switch self {
      case .go: "go"
      case .recordFails: "record fails"
      case .fails: "fails"
      case .abort: "abort"
      case .deadline: "deadline"
      case .crash: "crash"
      case .recover: "recover"
      }
    }
  }

  var moves: [Move] {
    guard breach == nil else { return [] }
    guard machine != nil else {
      var all: [Move] = [.recover(isBooting ? .boot : .now)]
      // A host that was started again may also be recovered by hand, later.
      if isBooting { all.append(.recover(.now)) }
      return all
    }
    guard let owed else { return finished == .baking ? [.recover(.bake)] : [] }
    var all: [Move] = [.go]
    if budget.wishes > 0 { all.append(.abort) }
    let parts = parts(of: owed)
    if budget.faults > 0 {
      switch owed {
      case .record: all += [.recordFails(isThere: true), .recordFails(isThere: false)]
      case .run:
        for count in 0...parts.count { all += [.fails(after: count, .failed)] }
        all += [.fails(after: 0, .aborted), .fails(after: 0, .busy), .fails(after: 0, .refused)]
      case .undo, .restore:
        for count in 0...parts.count { all += [.fails(after: count, .failed)] }
        all += [.fails(after: 0, .stuck)]
      case .interrupt, .announce, .finish: break
      }
    }
    if budget.crashes > 0 {
      let last = if case .record = owed { 1 } else { parts.count }
      for count in 0...last { all += [.crash(after: count, ofHost: false), .crash(after: count, ofHost: true)] }
    }
    return all
  }

  mutating func go(_ move: Move) {
    switch move {
    case .go: complete()
    case .recordFails(let isThere):
      budget.faults -= 1
      guard case .record(let entry)? = owed else { return }
      owed = nil
      if isThere { unsure = entry }
      tell(.recordFailed(StepFailure(.failed, "EIO")))
    case .fails(let parts, let kind):
      budget.faults -= 1
      failOwed(parts, StepFailure(kind, "it failed"))
    case .abort:
      budget.wishes -= 1
      tell(.abortAsked)
    case .deadline:
      budget.wishes -= 1
      tell(.deadline)
    case .crash(let parts, let ofHost):
      budget.crashes -= 1
      crash(parts, ofHost)
    case .recover(let moment):
      recover(moment)
    }
    check()
  }

  private mutating func complete() {
    guard let action = owed else { return }
    owed = nil
    for part in parts(of: action) { part(&self) }
    switch action {
    case .record(let entry):
      unsure = nil
      append(entry)
      tell(.recorded)
    case .run(let step): tell(.done(step, facts(after: step)))
    case .undo(let step): tell(.undone(step))
    case .restore: tell(.restored)
    case .interrupt, .announce, .finish: break
    }
  }

  private mutating func failOwed(_ count: Int, _ failure: StepFailure) {
    guard let action = owed else { return }
    owed = nil
    for part in parts(of: action).prefix(count) {
      part(&self)
      check()
    }
    switch action {
    case .run(let step): tell(.failed(step, failure, facts(after: step)))
    case .undo(let step): tell(.undoFailed(step, failure))
    case .restore: tell(.restoreFailed(failure))
    case .record, .interrupt, .announce, .finish: break
    }
  }

  private mutating func crash(_ count: Int, _ ofHost: Bool) {
    if case .record(let entry)? = owed {
      if count > 0 { append(entry) } else if let unsure { append(unsure) }
    } else if let owed {
      if let unsure { append(unsure) }
      for part in parts(of: owed).prefix(count) {
        part(&self)
        check()
      }
    }
    (machine, owed, unsure) = (nil, nil, nil)
    if ofHost {
      running = .none
      isBooting = true
    }
  }

  private mutating func recover(_ moment: Moment) {
    if isBooting, moment != .boot {
      // The host is up: its unit runs what `current` names.
      isBooting = false
      running = current
    }
    finished = nil
    let release: Reality.Running =
      switch running {
      case .none: .nothing
      case .old: .release(Self.old)
      case .new: .release(Self.new)
      }
    let names: ReleaseID? =
      switch current {
      case .none: nil
      case .old: Self.old
      case .new: Self.new
      }
    let reality = Reality(current: names, running: release)
    guard let (machine, actions) = Recovery.resume(log, reality: reality, moment: moment, at: .zero) else {
      // Nothing was left; what the records say is how it ended.
      if case .ended(let outcome)? = log.last { finished = outcome } else { finished = .refused }
      self.machine = machine ?? Deploy(kind.intent)
      owed = nil
      return
    }
    self.machine = machine
    owed = nil
    take(actions)
  }

  private func facts(after step: Step) -> OperationFacts {
    var facts = machine?.facts ?? OperationFacts()
    if step == .lock {
      facts.previous = kind.isFirst ? nil : Self.old
      facts.sequence = 1
    }
    if step >= .fetch { facts.release = Self.new }
    return facts
  }

  // MARK: Steps, in parts

  typealias Part = (inout World) -> Void

  private func parts(of action: DeployAction) -> [Part] {
    switch action {
    case .run(let step): parts(of: step)
    case .undo(let step): undoParts(of: step)
    case .restore: back
    case .record, .interrupt, .announce, .finish: []
    }
  }

  private func parts(of step: Step) -> [Part] {
    switch step {
    case .fetch where !kind.isThere: return [{ $0.tree = .partial }, { $0.tree = .complete }]
    case .activate:
      if kind.intent.isSteered { return [{ $0.running = .new }, { $0.current = .new }] }
      return [{ $0.current = .new }, { $0.running = .none }, { $0.running = .new }]
    case .preflight, .lock, .backup, .fetch, .build, .verify, .migrate, .healthCheck, .bake, .markGood, .prune:
      return []
    }
  }

  private func undoParts(of step: Step) -> [Part] {
    switch step {
    case .fetch where !kind.isThere: return [{ if $0.tree != .absent { $0.tree = .partial } }, { $0.tree = .absent }]
    case .activate: return back
    case .preflight, .lock, .backup, .fetch, .build, .verify, .migrate, .healthCheck, .bake, .markGood, .prune:
      return []
    }
  }

  private var back: [Part] {
    let base = base
    guard !isBooting else { return [{ $0.current = base }] }
    guard running != base || current != base else { return [] }
    return [{ $0.current = base }, { $0.running = .none }, { $0.running = base }]
  }
}
