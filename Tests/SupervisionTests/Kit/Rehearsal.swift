import Testing
import Vocabulary

@testable import Supervision

/// A core, a clock, and what the core has said so far. The tests tell it what happens, one thing at a time.
struct Rehearsal {
  var core = Supervisor(seed: 7)
  var now = Instant.zero
  private(set) var said: [Action] = []

  // MARK: Driving

  @discardableResult
  mutating func send(_ event: Event) -> [Action] {
    let actions = core.handle(event, at: now)
    said += actions
    return actions
  }

  /// Lets time pass; the core is woken whenever it asked for it.
  @discardableResult
  mutating func pass(_ duration: Duration) -> [Action] {
    let end = now + duration
    var actions: [Action] = []
    var wakeUps = 0
    while let deadline = core.nextDeadline, deadline <= end, wakeUps < 10_000 {
      now = max(now, deadline)
      actions += send(.tick)
      wakeUps += 1
    }
    #expect(wakeUps < 10_000, "woken again and again at \(now)")
    now = end
    return actions
  }

  /// Answers the question for settings with `plan`, and what it opens.
  @discardableResult
  mutating func load(_ plan: GenerationPlan) -> [Action] {
    guard case .loadSettings(let operation, let id)? = said.last(where: \.isLoad) else {
      Issue.record("nobody asked for settings")
      return []
    }
    var actions = send(.settingsLoaded(operation, plan.numbered(id)))
    for case .open(let listener, _, _) in actions { actions += send(.listenerOpened(listener)) }
    return actions
  }

  /// Each worker of a generation that is starting becomes ready.
  @discardableResult
  mutating func makeReady(_ id: GenerationID) -> [Action] {
    var actions: [Action] = []
    while let next = workers(of: id).first(where: \.isStarting) { actions += send(.ready(next.id)) }
    return actions
  }

  /// Answers every question that `actions` put to a candidate.
  @discardableResult
  mutating func answer(_ actions: [Action], failure: String? = nil) -> [Action] {
    var answers: [Action] = []
    for case .prove(let id, let engine, let number) in actions {
      answers += send(.proofAnswered(id, engine, number: number, failure: failure))
    }
    return answers + check(actions)
  }

  /// Answers what `actions` ask the settings' own check.
  @discardableResult
  mutating func check(_ actions: [Action], failure: String? = nil) -> [Action] {
    var answers: [Action] = []
    for case .checkTrial(let id, let round) in actions {
      answers += send(.trialChecked(id, round: round, failure: failure))
    }
    return answers
  }

  /// A worker ends and nothing is left of it.
  @discardableResult
  mutating func end(_ id: WorkerID, _ reason: ExitReason = .exited(0)) -> [Action] {
    send(.exited(id, reason)) + send(.emptied(id))
  }

  @discardableResult
  mutating func endAll(_ id: GenerationID) -> [Action] {
    workers(of: id).filter { !$0.isGone }.flatMap { end($0.id) }
  }

  /// From nothing to a service that answers.
  mutating func serve(_ plan: GenerationPlan) {
    send(.start("start"))
    load(plan)
    let id = GenerationID(core.nextGeneration.number - 1)
    answer(makeReady(id))
    #expect(core.serving == id && core.phase == .steady)
  }

  /// A reload that goes well up to the moment where the candidate's workers start.
  @discardableResult
  mutating func offer(_ plan: GenerationPlan, _ operation: OperationID = "reload") -> GenerationID {
    send(.reload(operation))
    load(plan)
    return GenerationID(core.nextGeneration.number - 1)
  }

  // MARK: Looking

  func workers(of id: GenerationID) -> [Worker] { core.generations[id]?.engines.flatMap(\.workers) ?? [] }

  func worker(_ engine: EngineName, of id: GenerationID, slot: Int = 1) -> WorkerID {
    core.generations[id]?.engine(engine)?.workers.first { $0.id.slot == slot }?.id
      ?? WorkerID(generation: id, engine: engine, slot: slot, run: 0)
  }

  var verdicts: [OperationID: [Verdict]] { said.verdicts }

  var step: Change.Step? {
    if case .changing(let change) = core.phase { return change.step }
    return nil
  }

  var shutdown: Shutdown? {
    if case .stopping(let shutdown) = core.phase { return shutdown }
    return nil
  }
}

extension Worker {
  var isStarting: Bool {
    if case .starting = state { return true }
    return false
  }
}

extension Action {
  var isLoad: Bool {
    if case .loadSettings = self { return true }
    return false
  }
}

extension [Action] {
  var spawned: [WorkerID] {
    compactMap {
      if case .spawn(let id) = $0 { return id }
      return nil
    }
  }

  var terminated: [WorkerID] {
    compactMap {
      if case .terminate(let id) = $0 { return id }
      return nil
    }
  }

  var killed: [WorkerID] {
    compactMap {
      if case .kill(let id) = $0 { return id }
      return nil
    }
  }

  var opened: [ListenerID] {
    compactMap {
      if case .open(let id, _, _) = $0 { return id }
      return nil
    }
  }

  var closed: [ListenerID] {
    compactMap {
      if case .close(let id) = $0 { return id }
      return nil
    }
  }

  var rules: [SteeringRule] {
    compactMap {
      if case .attach(_, _, let rule) = $0 { return rule }
      return nil
    }
  }

  var verdicts: [OperationID: [Verdict]] {
    reduce(into: [:]) { all, action in
      if case .finish(let operation, let verdict) = action { all[operation, default: []].append(verdict) }
    }
  }

  func contains(note: Note) -> Bool { contains(.note(note)) }
}
