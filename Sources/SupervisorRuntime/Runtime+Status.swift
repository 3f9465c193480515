package import Supervision
package import Vocabulary

extension Runtime {
  package func pid(of worker: WorkerID) -> Int32? { workers.pid(of: worker) }
  package func statusText(of worker: WorkerID) -> String? { workers.statusText(of: worker) }
  package func queued(_ listener: ListenerID) -> Int { listeners.queued(listener) }
  package func address(of listener: ListenerID) -> SocketAddress? { listeners.address(of: listener) }

  /// Something is under way that the manager's time limits may be too short for.
  var isBusy: Bool {
    switch core.phase {
    case .changing, .stopping: true
    case .new, .steady, .ended: false
    }
  }

  /// The truth in one line, for systemd's STATUS= and `baton status`.
  package var statusLine: String {
    switch core.phase {
    case .new: return "starting"
    case .changing(let change):
      let step = change.step.text
      guard change.kind == .handover, let serving = core.serving else { return "starting: \(step)" }
      return "generation \(serving) serves; generation \(change.candidate): \(step)"
    case .steady: return steadyLine
    case .stopping(let shutdown): return "stopping: \(shutdown.stage.text)"
    case .ended: return "stopped" + (cut.isEmpty ? "" : "; had to be killed: \(cut.joined(separator: ", "))")
    }
  }

  private var steadyLine: String {
    guard let serving = core.serving, let generation = core.generations[serving] else { return "nothing serves" }
    let wanted = generation.engines.reduce(0) { $0 + ($1.phase == .standby ? 0 : $1.wanted) }
    let ready = generation.engines.reduce(0) { $0 + $1.workers.count { $0.isReady && $0.isWanted } }
    let failed = generation.engines.filter { $0.workers.contains(where: \.hasFailed) }.map(\.plan.name.rawValue)
    var line = "generation \(serving) serves, \(ready) of \(wanted) workers ready"
    if !failed.isEmpty { line += "; failed: \(failed.joined(separator: ", "))" }
    let draining = core.generations.values.filter { $0.role != .serving }.map(\.id).sorted()
    if !draining.isEmpty { line += "; draining: \(draining.map { "\($0)" }.joined(separator: ", "))" }
    let leases = leases.line
    if !leases.isEmpty { line += "; \(leases)" }
    if let outcome = lastOutcome, outcome.result != .done { line += "; last \(outcome.what)" }
    return line
  }
}

extension Change.Step {
  package var text: String {
    switch self {
    case .loading: "reading settings"
    case .ending: "ending the old workers"
    case .opening: "opening listeners"
    case .starting: "starting workers"
    case .proving: "proving"
    case .holding: "proved, waits for a commit"
    case .trial: "on trial"
    case .swapping(let engine, _): "changing over \(engine)"
    case .restoring: "refused, the old generation holds"
    }
  }
}
