import ControlClient
import ControlProtocol
import Deployment
import LinuxSystem
import Settings
import Vocabulary

/// Activation where batond runs the service: the new generation is proved, held, put to the health check through the
/// public address, committed to, and then `current` moves. See docs/decisions/0007 for what a kill at each instant leaves.
struct SteeredActivation {
  let operation: Operation
  let unit: ServiceUnit
  /// Checks that were put to the new generation before any client met it.
  private(set) var asked: [Settings.Deploy.Health.Check] = []

  /// For the new generation to start, to prove itself, and to be on trial.
  private static let patience = Duration.seconds(1_800)

  init(_ operation: Operation, _ unit: ServiceUnit) {
    self.operation = operation
    self.unit = unit
  }

  // MARK: Forward

  mutating func run(to release: ReleaseID) throws(StepFailure) {
    let pointer = PreparedPointer(operation: operation, release: release)
    if operation.effects.mode == .plan { return try plan(release, pointer) }
    let before = try unit.settled(within: .seconds(300), operation)
    guard before.release != release || before.serving == nil else {
      // It was committed to before this was cut off.
      operation.audience.note("generation \(before.serving.map { "\($0)" } ?? "-") serves release \(release) already")
      operation.facts.generation = before.serving
      operation.facts.isExposed = true
      try pointer.prepare()
      try pointer.commit()
      return try prove(release, generation: before.serving, pid: nil)
    }
    try pointer.prepare()
    let holder = try unit.asked { () throws(ClientError) in try unit.client() }
    let (reload, held) = try hold(holder, release)
    try check(reload, holder)
    operation.facts.generation = held.generation
    operation.facts.isExposed = true
    // Before any client meets it: whoever recovers must know that one may have.
    try operation.recordFacts()
    try commit(reload, holder, release)
    try pointer.commit()
    try prove(release, generation: held.generation, pid: before.supervisor.pid)
  }

  /// What would be done, without asking anybody.
  private mutating func plan(_ release: ReleaseID, _ pointer: PreparedPointer) throws(StepFailure) {
    try pointer.prepare()
    try operation.effects.act(.control, "hold release \(release) in \(unit.name)", planned: ()) {}
    asked = operation.deploy.health.checks.filter { operation.settings.socket(asked: $0.url) != nil }
    try HealthRounds(operation: operation, checks: asked, whom: "the new generation").run()
    try operation.effects.act(.control, "commit to release \(release) in \(unit.name)", planned: ()) {}
    try pointer.commit()
  }

  /// Until the new generation waits. The connection is what holds it: if we die, it is given up.
  private func hold(
    _ holder: ControlClient, _ release: ReleaseID
  ) throws(StepFailure) -> (OperationID, Progress.Held) {
    let limit = min(max(operation.deploy.health.deadline + .seconds(60), .seconds(300)), .seconds(3_600))
    let planned = (OperationID("-"), Progress.Held(generation: GenerationID(0), release: release, limit: limit))
    return try operation.effects.act(.control, "hold release \(release) in \(unit.name)", planned: planned) {
      () throws(StepFailure) in
      try unit.asked { () throws(ClientError) in
        try holder.begin(.reload(wait: true, release: release, hold: limit))
      }
      while true {
        switch try news(of: holder) {
        case .verdict(let verdict): throw StepFailure(verdict)
        case .progress(let progress):
          operation.audience.note(progress.text)
          if let held = progress.held { return (progress.operation, held) }
        }
      }
    }
  }

  private func news(of holder: ControlClient) throws(StepFailure) -> ControlClient.News {
    try unit.asked { () throws(ClientError) in
      try holder.news(patience: Self.patience, interrupt: operation.abort)
    }
  }

  // MARK: The health check, out of sight of clients

  private mutating func check(_ reload: OperationID, _ holder: ControlClient) throws(StepFailure) {
    let asker = try unit.asked { () throws(ClientError) in try unit.client() }
    var reachable: [Settings.Deploy.Health.Check] = []
    for check in operation.deploy.health.checks {
      guard let socket = operation.settings.socket(asked: check.url) else { continue }
      do throws(ClientError) {
        _ = try asker.probe(reload, socket: socket)
        reachable.append(check)
      } catch {
        guard case .refused(.cannotProbe(_, let reason)) = error else { throw StepFailure(error, of: unit.name) }
        operation.audience.warn("socket \(socket): \(reason); its health check follows when clients meet it")
      }
    }
    asked = reachable
    let settings = operation.settings
    let name = unit.name
    var rounds = HealthRounds(operation: operation, checks: reachable, whom: "the new generation, before any client")
    rounds.route = { check throws(StepFailure) in
      guard let socket = settings.socket(asked: check.url) else { return nil }
      do throws(ClientError) { return try CandidateRoute(asker, reload, socket) } catch {
        throw StepFailure(error, of: name)
      }
    }
    // It may have died or been given up meanwhile: then nobody needs to ask it any more.
    rounds.proof = { () throws(StepFailure) in
      if let verdict = try Self.verdict(of: holder, within: .zero, name) { throw StepFailure(verdict) }
    }
    do throws(StepFailure) {
      try rounds.run()
    } catch {
      // Who ended it says better why.
      if error.kind != .aborted, let verdict = try? Self.verdict(of: holder, within: .milliseconds(100), name) {
        throw StepFailure(verdict)
      }
      throw error
    }
  }

  /// The verdict, if it has come; news before it is passed over.
  private static func verdict(
    of holder: ControlClient, within limit: Duration, _ name: String
  ) throws(StepFailure) -> VerdictReport? {
    let deadline = Instant.monotonicNow() + limit
    while true {
      do throws(ClientError) {
        let left = max(.zero, deadline - .monotonicNow())
        if case .verdict(let verdict) = try holder.news(patience: left) { return verdict }
      } catch {
        if case .slow = error { return nil }
        throw StepFailure(error, of: name)
      }
    }
  }

  // MARK: Commit

  private func commit(_ reload: OperationID, _ holder: ControlClient, _ release: ReleaseID) throws(StepFailure) {
    try operation.effects.act(.control, "commit to release \(release) in \(unit.name)", planned: ()) {
      () throws(StepFailure) in
      let client = try unit.asked { () throws(ClientError) in try unit.client() }
      try unit.asked { () throws(ClientError) in try client.commit(reload) }
      let verdict = try decided(reload, holder, client)
      guard verdict.succeeded else { throw StepFailure(verdict) }
      guard verdict.release == release else {
        throw StepFailure(.failed, "\(unit.name) serves release \(verdict.release?.text ?? "-"), not \(release)")
      }
      operation.audience.note(verdict.what + "; " + verdict.holds)
    }
  }

  /// The verdict. Who asks for an end during a trial gets one: clients are steered back.
  private func decided(
    _ reload: OperationID, _ holder: ControlClient, _ client: ControlClient
  ) throws(StepFailure) -> VerdictReport {
    var isCalledOff = false
    while true {
      do throws(ClientError) {
        switch try holder.news(patience: Self.patience, interrupt: isCalledOff ? nil : operation.abort) {
        case .progress(let progress): operation.audience.note(progress.text)
        case .verdict(let verdict):
          if isCalledOff && !verdict.succeeded { throw ClientError.interrupted }
          return verdict
        }
      } catch {
        guard case .interrupted = error, !isCalledOff else { throw StepFailure(error, of: unit.name) }
        isCalledOff = true
        // Decided already: then the verdict says so.
        _ = try? client.abort(reload)
      }
    }
  }

  /// The same supervisor serves what it committed to: one that crashed in between serves what `current` named then.
  private func prove(_ release: ReleaseID, generation: GenerationID?, pid: Int?) throws(StepFailure) {
    let status = try unit.asked { () throws(ClientError) in try unit.status() }
    guard status.release == release, status.serving == generation || generation == nil,
      pid == nil || status.supervisor.pid == pid
    else {
      let serves = "generation \(status.serving.map { "\($0)" } ?? "-") of release \(status.release?.text ?? "-")"
      throw StepFailure(
        .failed, "\(unit.name) does not serve what it committed to: \(serves) serves, by pid \(status.supervisor.pid)",
        next: "baton events says what happened meanwhile")
    }
  }

  // MARK: Back

  /// Clients meet `previous` again, if they met anything else.
  func restore(_ previous: ReleaseID?, instead release: ReleaseID) throws(StepFailure) {
    let status: StatusReport
    do throws(ClientError) {
      let now = try unit.status()
      if let handover = now.handover, handover.release == release {
        // On trial: who decided for it is not there any more.
        operation.audience.note("the handover to release \(release) is called off")
        _ = try? unit.client().abort(handover.operation)
      }
    } catch {
      guard case .unreachable = error else { throw StepFailure(error, of: unit.name) }
      return try awaitStart(with: previous)
    }
    status = try unit.settled(within: .seconds(300), operation)
    guard status.release == release else { return }
    guard let previous else { return try leave(release) }
    try reload(to: previous, "to release \(previous)")
  }

  private func reload(to release: ReleaseID?, _ words: String) throws(StepFailure) {
    try operation.effects.act(.control, "reload \(unit.name) \(words)", planned: ()) {
      () throws(StepFailure) in
      let verdict = try unit.asked { () throws(ClientError) in
        try unit.client().act(.reload(wait: true, release: release), patience: Self.patience) {
          operation.audience.note($0.text)
        }
      }
      guard verdict.succeeded else { throw StepFailure(verdict) }
    }
  }

  /// Before the first release the service ran from its directory, or not at all.
  private func leave(_ release: ReleaseID) throws(StepFailure) {
    do throws(StepFailure) {
      return try reload(to: nil, "without a release")
    } catch {
      operation.audience.warn("\(unit.name) does not run without a release: \(error.what)")
    }
    do throws(StepFailure) {
      try PlainActivation(operation: operation, unit: unit).stop()
    } catch {
      throw StepFailure(
        .failed, "release \(release) serves on, since there was none before it: \(error.what)",
        next: "stop \(unit.name), then baton recover")
    }
  }

  /// The supervisor does not answer: it starts with what `current` names, which is right again.
  private func awaitStart(with previous: ReleaseID?) throws(StepFailure) {
    guard !unit.isInactive else {
      return operation.audience.warn("\(unit.name) does not run; it starts with \(previous?.text ?? "no release")")
    }
    let status = try unit.answering(within: .seconds(60), operation, ignoringAbort: true)
    guard status.release == previous else {
      throw StepFailure(.failed, "\(unit.name) serves release \(status.release?.text ?? "-")")
    }
  }
}
