import Leases
import LinuxSystem
import Supervision
import Vocabulary

/// What served when an earlier life ended without notice, until something serves again.
enum Carried {
  case nothing
  /// The first start is to be from it.
  case due(ResolvedGeneration)
  /// It was started from once; what that comes to is as for any other.
  case started(ResolvedGeneration)
  /// The host refused that start a listener, which says nothing of the generation: the next life starts from it again.
  case refused(ResolvedGeneration)

  var generation: ResolvedGeneration? {
    switch self {
    case .nothing: nil
    case .due(let generation), .started(let generation), .refused(let generation): generation
    }
  }
}

/// A life that ended without notice, and the one after it.
extension Runtime {
  /// From now on each decision is written down before it is acted on, and the first start is from what an earlier life
  /// left. To be called before ``start(completion:)``.
  package func keep(_ memory: CrashMemory?, left: CrashMemory.Left) {
    self.memory = memory
    memory?.report = { [unowned self] in history.add($0) }
    switch left {
    case .nothing: break
    case .unusable(let why):
      history.add(
        Happening(
          .crashMemoryTrouble, "what the last life of batond left cannot be used: \(why); the settings are read anew"))
    case .record(let record):
      recordedGroups = record.facts.groups
      leaseOwner = record.facts.leaseOwner
      leaseWaits = record.facts.leaseWaits
      cuts = record.facts.cuts
      guard let resolved = record.resolved?.scaled(record.facts.scaled) else { return }
      core = Supervisor(
        firstGeneration: record.facts.nextGeneration, firstListener: record.facts.nextListener, seed: core.random.state)
      carried = .due(resolved)
      uncountedEnd = UncountedEnd(record, resolved)
      tell(record, resolved)
    }
  }

  /// Nobody keeps what we give to the manager: said once, and in each status.
  package func storeIsMissing() {
    isStoreMissing = true
    history.add(Happening(.crashMemoryTrouble, Self.missingStore))
  }

  /// What weakens a promise right now, one sentence each.
  package var warnings: [String] { (isStoreMissing ? [Self.missingStore] : []) + settingsWarnings }

  private static let missingStore =
    "systemd keeps no descriptors for this unit (FileDescriptorStoreMax=): after a crash of batond clients are refused "
    + "until it is back"

  private func tell(_ record: CrashRecord, _ resolved: ResolvedGeneration) {
    var text = "batond came back after it ended without notice: generation \(resolved.id) is started again"
    if record.facts.isRefused {
      text = "the start after batond ended without notice was refused: generation \(resolved.id) is started once more"
    }
    let workers = record.facts.workers
    if !workers.isEmpty {
      let names = workers.prefix(Self.mostNamed).map { "\($0.label) of generation \($0.generation)" }
      let more = workers.count > names.count ? " and \(workers.count - names.count) more" : ""
      text += "; what \(workers.count) workers were answering was cut: \(names.joined(separator: ", "))\(more)"
    }
    if let candidate = record.facts.candidate, candidate != resolved.id, let step = record.facts.step {
      let operation = record.facts.operation.map { " of \($0)" } ?? ""
      text += "; the handover\(operation) to generation \(candidate) (\(step)) is given up"
    }
    var happening = Happening(.recovered, text)
    happening.operation = record.facts.operation
    happening.from = "\(resolved.id)"
    happening.release = resolved.release
    history.add(happening)
  }

  private static var mostNamed: Int { 8 }

  func takeCarried(as id: GenerationID) -> ResolvedGeneration? {
    guard case .due(let generation) = carried else { return nil }
    carried = .started(generation)
    return generation.repeated(as: id)
  }

  /// Where nothing has been started yet: what systemd kept, of which several of one address are what a crash left.
  func recoverListeners(for generation: ResolvedGeneration) {
    guard case .changing(let change) = core.phase, change.kind == .first else { return }
    let last = listeners.lastNumber
    let groups = listeners.recover(generation, recorded: recordedGroups)
    recordedGroups = []
    send(.listenersRecovered(groups, last: last))
  }

  /// Before `actions` are done.
  func remember(_ actions: [Action]) {
    guard memory != nil, actions.contains(where: \.concernsCrashes) else { return }
    carried = next(carried, actions)
    writeDown()
  }

  private func next(_ carried: Carried, _ actions: [Action]) -> Carried {
    guard core.serving == nil else { return .nothing }
    guard core.isStopping else { return carried }
    switch carried {
    case .nothing, .due: return .nothing
    case .started(let generation): return actions.contains(where: \.refusesListener) ? .refused(generation) : .nothing
    case .refused: return carried
    }
  }

  /// Also what is no decision.
  func writeDown() {
    let (owner, waits) = core.leases.isEmpty ? (leaseOwner, leaseWaits) : (leases.owner.text, leases.waits)
    memory?.keep(core, carried: carried.generation, leaseOwner: owner, leaseWaits: waits, cuts: cuts) {
      [unowned self] in generations[$0]
    }
  }
}
