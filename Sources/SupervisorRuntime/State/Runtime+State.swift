import Glibc
package import LinuxSystem
import Supervision
package import Vocabulary

extension Runtime {
  /// Why another image of this program cannot take over now, in the words of people; nil when it can. All of it passes.
  package var unrest: String? {
    switch core.unrest {
    case .notStarted: return "the service is starting"
    case .changing(let operation): return operation.map { "\($0) is under way" } ?? "a handover is under way"
    case .scaling(let operation): return "\(operation) is under way"
    case .recycling(let engine): return "a worker of \(engine) is being replaced"
    case .reloadsWait(let operation): return "\(operation) waits for its turn"
    case .leaving(let lease): return "what ran under lease \(lease) is ending"
    case .quieting(let listener): return "the old listener on \(listener.key) is not quiet yet"
    case .stopping: return "the service is being stopped"
    case nil: break
    }
    if questions.isSaving { return "a worker is saving its state" }
    return manager.isHeard ? nil : "systemd does not take messages"
  }

  /// What of us outlives this program image; only while ``unrest`` is nil.
  package func save(control: SavedControl, upgrade: SavedUpgrade, recordedThrough: UInt64) -> SavedState {
    SavedState(
      writer: wiring.version, service: wiring.service, pid: getpid(), startedAt: startedAt, core: core,
      generations: generations.sorted { $0.key < $1.key }.map(\.value).filter { core.generations[$0.id] != nil },
      settingsWarnings: settingsWarnings, lastOutcome: lastOutcome,
      lastChange: lastChange.map { SavedChange(from: $0.from, to: $0.to) }, changeStartedAt: changeStartedAt,
      workers: workers.saved, listeners: listeners.saved,
      history: SavedHistory(
        nextNumber: history.nextNumber, unrecorded: history.recent.filter { $0.number > recordedThrough }),
      commands: questions.commands,
      reloads: core.waitingReloads.compactMap { waiting in
        operations.startedAt(waiting.operation).map {
          SavedReload(operation: waiting.operation, wish: waiting.wish, askedAt: $0)
        }
      }, control: control, upgrade: upgrade, crashMemory: memory?.descriptor, cuts: cuts,
      isStoreMissing: isStoreMissing, leases: leases.saved)
  }

  /// Goes on where another image of this program stopped. To be called once, instead of ``start(completion:)``.
  ///
  /// - Throws: when a descriptor or a process of the state is not there. Then nothing may be relied on.
  package func resume(_ state: SavedState) throws(SystemError) {
    core = state.core
    generations = Dictionary(uniqueKeysWithValues: state.generations.map { ($0.id, $0) })
    startedAt = state.startedAt
    lastOutcome = state.lastOutcome
    lastChange = state.lastChange.map { ($0.from, $0.to) }
    changeStartedAt = state.changeStartedAt
    settingsWarnings = state.settingsWarnings
    cuts = state.cuts
    isStoreMissing = state.isStoreMissing
    history.resume(state.history)
    // Not reaped yet, so that their numbers are still theirs.
    for group in state.commands { _ = kill(-group, SIGKILL) }
    try listeners.resume(state.listeners)
    try workers.resume(state.workers)
    if let serving = core.serving.flatMap({ generations[$0] }) { generationChanged(serving) }
    if let saved = state.leases {
      leases.resume(saved, wanted: core.leases.filter(\.value.isWanted).keys.sorted())
    }
    askAgain()
    workers.sweep()
    armTick()
    manager.resume(status: statusLine)
    giveMemoryBack()
  }

  /// Nothing new is begun until ``goOn()``: reloads wait, the rest is told that `operation` is under way.
  package func pause(for operation: OperationID) { send(.pause(operation)) }
  package func goOn() { send(.resume) }

  /// A reload that waited in another image of this program has its turn, or waits again.
  package func reload(_ saved: SavedReload, completion: @escaping (OperationOutcome) -> Void) {
    operations.resume(saved.operation, .reload, release: saved.wish.release, since: saved.askedAt, completion)
    send(.reload(saved.operation, saved.wish))
  }

  /// The questions that were under way.
  private func askAgain() {
    for engine in core.generations.values.flatMap(\.engines) {
      for worker in engine.workers {
        switch worker.state {
        case .starting where engine.plan.readiness == .asked: ask(.askReadiness(worker.id))
        case .stopping(let stopping) where engine.plan.asksPending:
          if case .finishing = stopping.step { ask(.askPending(worker.id)) }
        case .idle, .waiting, .starting, .ready, .stopping, .clearing, .failed: break
        }
      }
    }
  }
}
