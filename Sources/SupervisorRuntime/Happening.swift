import Supervision
package import Vocabulary

/// Something that happened, in the words of people and with the fields of programs: one journal entry, one line of the
/// ledger, one line of `baton events`.
package struct Happening: Hashable, Sendable {
  package var kind: MessageKind
  package var text: String
  package var engine: EngineName?
  package var worker: WorkerID?
  package var generation: GenerationID?
  package var release: ReleaseID?
  package var operation: OperationID?
  package var from: String?
  package var to: String?
  package var reason: String?
  package var pid: Int32?

  package init(_ kind: MessageKind, _ text: String) {
    self.kind = kind
    self.text = text
  }
}

/// Turns the core's notes into happenings. What the core cannot know (pids, last lines, programs' names) is added by
/// whoever calls.
struct Narrator {
  /// The release of a generation, for the texts.
  let release: (GenerationID) -> ReleaseID?

  func tell(_ note: Note) -> Happening {
    switch note {
    case .generationStarting, .generationProving, .generationOnTrial, .generationServing, .handoverAborted,
      .generationDraining, .generationEnded, .drainCut, .settingsRefused:
      generation(note)
    case .workerStarting, .workerReady, .workerExited, .workerFault, .workerWaits, .workerFailed, .workerKilled,
      .engineScaled:
      worker(note)
    case .listenerLeft, .listenerRetired, .shutdownStarted, .stageEnded, .shutdownEnded:
      end(note)
    }
  }

  private func generation(_ note: Note) -> Happening {
    switch note {
    case .generationStarting(let id, let from, let operation):
      return about(id, .generationStarting, "generation \(named(id)) starts", from: from, operation)
    case .generationProving(let id):
      return about(id, .generationProving, "generation \(id) is ready and is asked through the public addresses")
    case .generationOnTrial(let id, let share, let duration):
      return about(
        id, .generationOnTrial,
        "generation \(id) meets \(share) of the clients for \(duration.text); clients' own errors are not seen by this")
    case .generationServing(let id, let from, let operation):
      return about(id, .generationServing, "generation \(named(id)) serves", from: from, operation)
    case .handoverAborted(let id, let refusal, let operation):
      var happening = about(id, .handoverAborted, "generation \(id) is refused: \(refusal.text)", operation)
      happening.reason = refusal.text
      return happening
    case .generationDraining(let id):
      return about(id, .generationDraining, "generation \(id) takes nothing new and finishes what it took")
    case .generationEnded(let id):
      return about(id, .generationEnded, "generation \(id) has ended")
    case .drainCut(let id):
      return about(id, .drainCut, "generation \(id) drained for too long and is killed")
    case .settingsRefused(let text, let operation):
      var happening = Happening(.settingsRefused, "the settings are refused: \(text)")
      happening.operation = operation
      happening.reason = text
      return happening
    default: return Happening(.generationStarting, "\(note)")
    }
  }

  private func worker(_ note: Note) -> Happening {
    switch note {
    case .workerStarting(let id): return about(id, .workerStarted, "\(id.label) starts")
    case .workerReady(let id): return about(id, .workerReady, "\(id.label) is ready")
    case .workerExited(let id, let reason, let wanted):
      return about(
        id, wanted ? .workerStopped : .workerExited, "\(id.label) ended with \(reason.text)", reason: reason.text)
    case .workerFault(let id, let fault):
      return about(id, .workerFault, "\(id.label) \(fault.text)", reason: fault.text)
    case .workerWaits(let id, let wait):
      return about(id, .workerWaits, "\(id.label) is started again in \(wait.text)")
    case .workerFailed(let id, let fault, let crashes):
      return about(
        id, .engineFailed,
        "\(id.label) is given up after \(crashes) crashes without a healthy run; the last: it \(fault.text)",
        reason: fault.text)
    case .workerKilled(let id, let after):
      return about(id, .workerKilled, "\(id.label) had not ended \(after.text) after SIGTERM and is killed")
    case .engineScaled(let name, let from, let to):
      var happening = Happening(.engineScaled, "\(name) goes from \(from) to \(to) workers")
      happening.engine = name
      happening.from = "\(from)"
      happening.to = "\(to)"
      return happening
    default: return Happening(.workerStarted, "\(note)")
    }
  }

  private func end(_ note: Note) -> Happening {
    switch note {
    case .listenerLeft(let listener):
      return Happening(
        .listenerLeft, "a worker called shutdown(2) on the listener of \(listener.key), which stopped it for all")
    case .listenerRetired(let listener, let unfinished):
      return Happening(
        .listenerRetired,
        unfinished == 0
          ? "the old listener of \(listener.key) is quiet"
          : "the old listener of \(listener.key) still had \(unfinished) connections being made when its time was up")
    case .shutdownStarted(let cause, let timeout):
      return Happening(.shutdownStarted, "\(cause.text); at most \(timeout.text)")
    case .stageEnded(let stage, let took, let cut):
      var happening = Happening(
        cut.isEmpty ? .shutdownStage : .shutdownCut,
        "shutdown: \(stage.text) took \(took.text)"
          + (cut.isEmpty ? "" : "; killed because its time was up: " + cut.map(\.label).joined(separator: ", ")))
      happening.to = stage.rawValue
      return happening
    case .shutdownEnded(let took, let cut):
      return Happening(.stopped, "stopped after \(took.text)" + (cut == 0 ? "" : ", \(cut) workers had to be killed"))
    default: return Happening(.stopped, "\(note)")
    }
  }

  private func named(_ id: GenerationID) -> String {
    guard let release = release(id), release.text != "-" else { return "\(id)" }
    return "\(id) (release \(release))"
  }

  private func about(
    _ id: GenerationID, _ kind: MessageKind, _ text: String, from: GenerationID? = nil, _ operation: OperationID? = nil
  ) -> Happening {
    var happening = Happening(kind, text)
    happening.generation = id
    happening.release = release(id)
    happening.operation = operation
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
