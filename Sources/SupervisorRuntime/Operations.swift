package import Supervision
package import Vocabulary

/// How an operation ended, in the three lines people read, with the facts programs read.
package struct OperationOutcome: Hashable, Sendable {
  package enum Act: String, Hashable, Sendable, CaseIterable { case start, reload, restart, scale }
  package enum Result: String, Hashable, Sendable, CaseIterable {
    case done
    /// The old state holds.
    case failed
    /// Nothing serves now.
    case needsPerson
    case settingsWrong
    /// Another operation is under way.
    case busy
  }

  package let operation: OperationID
  package let act: Act
  package let result: Result
  package let what: String
  package let holds: String
  package let next: String?
  package let lastLines: [String]
  package let took: Duration
  package let endedAt: Instant
  package let generation: GenerationID?
  package let release: ReleaseID?
  /// The operation that is in the way, if `busy`.
  package let other: OperationID?
}

/// The operations under way: who asked, since when, and whom to tell how it ended. Each is told exactly once.
final class Operations {
  private struct Open {
    let act: OperationOutcome.Act
    let startedAt: Instant
    let release: ReleaseID?
    var isWatchedByManager = false
    let completion: (OperationOutcome) -> Void
  }

  private var open: [OperationID: Open] = [:]
  private var next: UInt64 = 1
  private let prefix: String

  /// `prefix` makes ids unique over lives of the supervisor.
  init(prefix: String) { self.prefix = prefix }

  /// `release` is the one asked for by name, if any.
  func begin(
    _ act: OperationOutcome.Act, release: ReleaseID? = nil, isWatchedByManager: Bool = false, at now: Instant,
    completion: @escaping (OperationOutcome) -> Void
  ) -> OperationID {
    let id = OperationID("\(act.rawValue)-\(prefix)-\(next)")
    next += 1
    open[id] = Open(
      act: act, startedAt: now, release: release, isWatchedByManager: isWatchedByManager, completion: completion)
    return id
  }

  /// systemd has started `baton reload` itself and waits for its end.
  func isWatchedByManager(_ id: OperationID) -> Bool { open[id]?.isWatchedByManager ?? false }

  /// One that was begun in another image of this program.
  func resume(
    _ id: OperationID, _ act: OperationOutcome.Act, release: ReleaseID?, since: Instant,
    _ completion: @escaping (OperationOutcome) -> Void
  ) {
    open[id] = Open(act: act, startedAt: since, release: release, completion: completion)
  }

  func startedAt(_ id: OperationID) -> Instant? { open[id]?.startedAt }

  func release(of id: OperationID) -> ReleaseID? { open[id]?.release }

  func act(of id: OperationID) -> OperationOutcome.Act? { open[id]?.act }

  /// Tells whoever asked. `release` is that of a generation, `lastLines` what the worker that failed printed last.
  /// nil when no such operation is under way.
  @discardableResult
  func finish(
    _ id: OperationID, _ verdict: Verdict, at now: Instant, duringTrial: Bool, release: (GenerationID) -> ReleaseID?,
    lastLines: (WorkerID) -> [String]
  ) -> OperationOutcome? {
    guard let operation = open.removeValue(forKey: id) else { return nil }
    let act = operation.act
    let took = now - operation.startedAt
    func outcome(
      _ result: OperationOutcome.Result, _ what: String, _ holds: String, _ next: String? = nil,
      lines: [String] = [], generation: GenerationID? = nil, other: OperationID? = nil
    ) -> OperationOutcome {
      OperationOutcome(
        operation: id, act: act, result: result, what: what, holds: holds, next: next, lastLines: lines, took: took,
        endedAt: now, generation: generation, release: generation.flatMap(release), other: other)
    }
    let result: OperationOutcome
    switch verdict {
    case .done(let generation):
      result = outcome(
        .done, "\(act.rawValue) done in \(took.text)", "generation \(generation) serves", generation: generation)
    case .busy(let other):
      result = outcome(
        .busy, "\(act.rawValue) not begun: \(other.map { "\($0) is under way" } ?? "too many reloads wait already")",
        "nothing was changed", "try again when it has ended; baton status shows it", other: other)
    case .refused(let refusal, let serving):
      let lines = refusal.worker.map(lastLines) ?? []
      let what = "\(act.rawValue) refused" + (duringTrial ? " in its trial" : "") + ": \(refusal.text)"
      if let serving {
        result = outcome(
          refusal.isAboutSettings ? .settingsWrong : .failed, what, "generation \(serving) serves, untouched",
          refusal.remedy(duringTrial: duringTrial), lines: lines, generation: serving)
      } else {
        result = outcome(
          refusal.isAboutSettings ? .settingsWrong : .needsPerson, what, "nothing serves",
          refusal.remedy(duringTrial: duringTrial), lines: lines)
      }
    }
    operation.completion(result)
    return result
  }
}

extension Refusal {
  /// What a person can do next.
  package func remedy(duringTrial: Bool) -> String {
    switch self {
    case .settings: "correct the settings; baton check shows every error"
    case .release: "name a release that lies in the directory releases/ of the service"
    case .worker(_, .exited(.outOfMemory)): "give it more memory, by memory-max, the unit's MemoryMax= or the host"
    case .worker(_, .exited): "see its last lines and baton logs, correct it and try again"
    case .worker(_, .notReady): "see baton logs; a program that needs longer takes a larger start-timeout"
    case .worker(_, .spawn): "correct the command or its permissions and try again"
    case .worker(_, .hangs): "see baton logs, correct it and try again"
    case .listener: "free the address or change the settings; baton doctor names who holds it"
    case .listenerLeft: "a worker must close(2) its listener, never shutdown(2) it: the socket is shared"
    case .disproved:
      "correct the new version and try again; "
        + (duringTrial ? "only the share of clients on trial met it" : "no client has met it")
    case .failedCheck: "see what the check asks; only the share of clients on trial met the new version"
    case .held(.asked): "nothing has to be done"
    case .held(.callerLeft): "ask again: baton deploy, or baton recover, brings it to an end"
    case .held(.expired): "whoever asked said neither commit nor abort; ask again"
    case .notExclusive: "wait until it has ended"
    case .stopped: "start the service again"
    case .unknownEngine: "baton status lists the engines"
    case .nothingStarted: "see baton logs for what the engines said"
    }
  }
}
