import Supervision
import Vocabulary

/// Turns the core's notes into happenings. What the core cannot know (pids, last lines, programs' names) is added by
/// whoever calls.
struct Narrator {
  /// The release of a generation, for the texts.
  let release: (GenerationID) -> ReleaseID?

  func tell(_ note: Note) -> Happening {
    switch note {
    case .generationStarting(let id, let from, let operation):
      about(id, .generationStarting, "generation \(named(id)) starts", from: from, operation)
    case .generationProving(let id):
      about(id, .generationProving, "generation \(id) is ready and is asked through the public addresses")
    case .generationHeld(let id, let limit, let operation):
      about(
        id, .generationHeld,
        "generation \(named(id)) is proved and waits, at most \(limit.text), for a commit; no client meets it",
        operation)
    case .generationOnTrial(let id, let share, let time):
      about(
        id, .generationOnTrial,
        "generation \(id) meets \(share) of the clients for \(time.text); clients' own errors are not seen by this")
    case .generationRolling(let id, let batch, let count, let time):
      about(
        id, .generationRolling,
        "batch \(batch) of \(count) of generation \(id) is at work, and as many workers before it make room; the next one "
          + "comes in \(time.text)")
    case .generationServing(let id, let from, let operation):
      about(id, .generationServing, "generation \(named(id)) serves", from: from, operation)
    case .handoverAborted(let id, let refusal, let operation):
      about(
        id, .handoverAborted, "generation \(id) is refused: \(refusal.text)", operation, reason: refusal.text)
    case .generationDraining(let id):
      about(id, .generationDraining, "generation \(id) takes nothing new and finishes what it took")
    case .generationEnded(let id): about(id, .generationEnded, "generation \(id) has ended")
    case .drainCut(let id, let bound):
      about(id, .drainCut, "generation \(id) still drains and is killed: \(bound.text)", reason: bound.text)
    case .settingsRefused(let text, let operation): refused(text, operation)
    case .workerStarting(let id): about(id, .workerStarted, "\(id.label) starts")
    case .workerReady(let id): about(id, .workerReady, "\(id.label) is ready")
    case .workerExited(let id, let reason, let wanted): exited(id, reason, wanted)
    case .workerFault(let id, let fault):
      about(id, .workerFault, "\(id.label) \(fault.text)", reason: fault.text)
    case .workerWaits(let id, let wait): about(id, .workerWaits, "\(id.label) is started again in \(wait.text)")
    case .workerFailed(let id, let fault, let crashes): givenUp(id, fault, crashes)
    case .workerKilled(let id, let after):
      about(id, .workerKilled, "\(id.label) had not ended \(after.text) after SIGTERM and is killed")
    case .workerRecycling(let id, let reason):
      about(id, .workerRecycling, "\(id.label) is replaced by a fresh one: \(reason.text)", reason: reason.text)
    case .workerRecycled(let id): about(id, .workerRecycled, "\(id.label) is a fresh one, and the one before has ended")
    case .workerNotRecycled(let id, let fault):
      about(
        id, .workerNotRecycled,
        "\(id.label) goes on: the one that was to replace it \(fault?.text ?? "is not wanted any more")",
        reason: fault?.text)
    case .supervisorAway(let gap):
      Happening(
        .supervisorAway,
        "batond did not run for \(gap.text): it was stopped, or the host was; no worker is blamed for that")
    case .leasePermitted(let name): Happening(.leasePermitted, "engines under lease \(name) may work here")
    case .engineScaled(let name, let from, let to): scaled(name, from, to)
    case .listenerLeft(let listener):
      Happening(
        .listenerLeft, "a worker called shutdown(2) on the listener of \(listener.key), which stopped it for all")
    case .listenerRetired(let listener, let unfinished): retired(listener, unfinished)
    case .queueGivenUp(let listener):
      Happening(
        .listenerRetired,
        "what waited in listener \(listener) when batond ended without notice is given up: nobody could be started for "
          + "it")
    case .shutdownStarted(let cause, let timeout):
      Happening(.shutdownStarted, "\(cause.text); at most \(timeout.text)")
    case .stageEnded(let stage, let took, let cut): stageEnded(stage, took, cut)
    case .shutdownEnded(let took, let cut):
      Happening(.stopped, "stopped after \(took.text)" + (cut == 0 ? "" : ", \(cut) workers had to be killed"))
    }
  }

  private func refused(_ text: String, _ operation: OperationID) -> Happening {
    var happening = Happening(.settingsRefused, "the settings are refused: \(text)")
    happening.operation = operation
    happening.reason = text
    return happening
  }

  private func exited(_ id: WorkerID, _ reason: ExitReason, _ wanted: Bool) -> Happening {
    let kind: MessageKind =
      switch reason {
      case .outOfMemory: .workerOutOfMemory
      case .exited, .signalled: wanted ? .workerStopped : .workerExited
      }
    return about(id, kind, "\(id.label) ended with \(reason.text)", reason: reason.text)
  }

  private func givenUp(_ id: WorkerID, _ fault: WorkerFault, _ crashes: Int) -> Happening {
    about(
      id, .engineFailed,
      "\(id.label) is given up after \(crashes) crashes without a healthy run; the last: it \(fault.text)",
      reason: fault.text)
  }

  private func scaled(_ name: EngineName, _ from: Int, _ to: Int) -> Happening {
    var happening = Happening(.engineScaled, "\(name) goes from \(from) to \(to) workers")
    happening.engine = name
    happening.from = "\(from)"
    happening.to = "\(to)"
    return happening
  }

  private func retired(_ listener: ListenerID, _ unfinished: Int) -> Happening {
    Happening(
      .listenerRetired,
      unfinished == 0
        ? "the old listener of \(listener.key) is quiet"
        : "the old listener of \(listener.key) still had \(unfinished) connections being made when its time was up")
  }

  private func stageEnded(_ stage: Stage, _ took: Duration, _ cut: [WorkerID]) -> Happening {
    var happening = Happening(
      cut.isEmpty ? .shutdownStage : .shutdownCut,
      "shutdown: \(stage.text) took \(took.text)"
        + (cut.isEmpty ? "" : "; killed because its time was up: " + cut.map(\.label).joined(separator: ", ")))
    happening.to = stage.rawValue
    return happening
  }

  private func named(_ id: GenerationID) -> String {
    guard let release = release(id), release.text != "-" else { return "\(id)" }
    return "\(id) (release \(release))"
  }

  private func about(
    _ id: GenerationID, _ kind: MessageKind, _ text: String, from: GenerationID? = nil, _ operation: OperationID? = nil,
    reason: String? = nil
  ) -> Happening {
    var happening = Happening(kind, text)
    happening.generation = id
    happening.release = release(id)
    happening.operation = operation
    happening.reason = reason
    happening.from = from.map { "\($0)" }
    happening.to = "\(id)"
    return happening
  }

  private func about(_ id: WorkerID, _ kind: MessageKind, _ text: String, reason: String? = nil) -> Happening {
    var happening = Happening(kind, text)
    happening.engine = id.engine
    happening.worker = id
    happening.generation = id.generation
    happening.release = release(id.generation)
    happening.reason = reason
    return happening
  }
}
