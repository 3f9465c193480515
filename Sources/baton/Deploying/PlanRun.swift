import ArgumentParser
import ControlProtocol
import Deployment
import DeploymentRuntime
import JSON
import Settings
import Vocabulary

/// `--plan`: the same code with effects that are only written down.
struct PlanRun {
  let service: DeployedService
  let request: OperationRequest

  func run(json: Bool) throws {
    let effects = Effects(.plan)
    let secrets = try service.secrets()
    let masker = service.masker(secrets)
    let audience = PlanAudience(effects) { masker.mask($0) }
    let assembly: Assembly
    do throws(StepFailure) {
      assembly = try OperationAssembly(service: service, effects: effects, secrets: secrets)
        .make(request, audience: audience, abort: nil)
    } catch {
      throw Failure(.failed, error.what, holds: "nothing was done", next: error.next)
    }
    let outcome = Executor(assembly).run(request.intent)
    audience.close()
    try tell(outcome, assembly.operation, audience, masker, json: json)
  }

  /// - Throws: what would refuse it.
  func tell(
    _ outcome: OperationOutcome, _ operation: Operation, _ audience: PlanAudience, _ masker: Masker, json: Bool
  ) throws {
    let findings = operation.findings
    let refusals = Self.refusals(outcome, findings, masker)
    if json {
      Terminal.print(self.json(outcome, audience, findings.files, refusals))
    } else {
      print(outcome, audience)
      if let files = findings.files { print(files) }
      for refusal in refusals.dropFirst(refusals.count > 1 ? 0 : 1) { print(refusal) }
    }
    guard let first = refusals.first else { return }
    let more = refusals.count > 1 ? " (and \(refusals.count - 1) more, listed above)" : ""
    var failure = Failure(
      first.kind == .busy ? .busy : .failed, "it would be refused: \(first.what)\(more)", holds: "nothing was done",
      next: first.next)
    failure.lines = first.lines
    failure.isPrinted = json
    throw failure
  }

  /// All that is in the way, each once, without secrets.
  private static func refusals(
    _ outcome: OperationOutcome, _ findings: PlanFindings, _ masker: Masker
  ) -> [StepFailure] {
    var all = findings.refusals
    if outcome.exitStatus != 0 {
      all.append(outcome.failure ?? StepFailure(.refused, "it would end \(outcome.outcome.rawValue)"))
    }
    var seen: Set<String> = []
    return all.filter { seen.insert($0.what).inserted }.map { failure in
      StepFailure(
        failure.kind, masker.mask(failure.what), next: failure.next.map { masker.mask($0) },
        lines: failure.lines.map { masker.mask($0) })
    }
  }

  /// How long clients would notice it.
  private var interruption: String {
    let deploy = service.deploy
    if request.intent.kind == .adopt { return "none: the tree and the link to it change places in one instant" }
    if deploy.isSupervised {
      let exclusive = service.settings.engines.filter { $0.handover == .exclusive }.map(\.name.rawValue)
      return exclusive.isEmpty
        ? "none: both generations answer until the new one is proved"
        : "of \(exclusive.joined(separator: ", ")) alone, while the old one ends and the new one starts"
    }
    switch deploy.activation {
    case .reload: return "none if \(deploy.unit) reloads without one; a unit that cannot reload is restarted"
    case .restart: return "from the stop of \(deploy.unit) until it answers again"
    }
  }

  private func json(
    _ outcome: OperationOutcome, _ audience: PlanAudience, _ files: TreeDifferences?, _ refusals: [StepFailure]
  ) -> JSON {
    var members: JSON.Members = [
      "service": service.name.json, "kind": request.intent.kind.json, "possible": .bool(refusals.isEmpty),
      "interruption": .string(interruption),
    ]
    members.append("release", outcome.facts.release)
    members.append("previous", outcome.facts.previous)
    members.append("commit", outcome.facts.commit)
    members.append("migrations", outcome.facts.migrations)
    members.append("steps", .array(audience.steps.map(\.json)))
    if let files {
      var changes = JSON.Members()
      changes.append("added", files.added)
      changes.append("removed", files.removed)
      changes.append("changed", files.changed)
      changes.append("list", files.json)
      members.append("files", .object(changes))
    }
    members.append(
      "refusals",
      .array(
        refusals.map { refusal in
          var members: JSON.Members = ["what": .string(refusal.what)]
          members.append("next", refusal.next)
          return .object(members)
        }))
    members.append("what", refusals.first?.what)
    members.append("next", refusals.first?.next)
    return .object(members)
  }

  private func print(_ outcome: OperationOutcome, _ audience: PlanAudience) {
    Terminal.print("\(request.intent.kind.rawValue) of \(service.name), as it would be done; nothing is:")
    for step in audience.steps {
      var title = StyledLine(step.step.rawValue, .bold)
      if step.effects.isEmpty && step.lines.isEmpty { title.append("  nothing to do", .faint) }
      Terminal.print(title.text(width: nil, colour: Terminal.usesColour))
      for line in step.lines {
        var text = StyledLine("  ")
        if line.isWarning { text.append("warning: ", .yellow) }
        text.append(plain(line.text), .faint)
        Terminal.print(text, indent: 2)
      }
      for effect in step.effects {
        let kind = effect.kind.rawValue
        Terminal.print("  \(kind)\(String(repeating: " ", count: max(1, 15 - kind.count)))\(plain(effect.subject))")
      }
      if step.left > 0 { Terminal.print("  … and \(step.left) more") }
    }
    if let previous = outcome.facts.previous { Terminal.print("from release  \(previous)") }
    if let commit = outcome.facts.commit { Terminal.print("commit        \(commit)") }
    if !outcome.facts.migrations.isEmpty {
      Terminal.print("migrations    \(outcome.facts.migrations.joined(separator: ", "))")
    }
    Terminal.print("interruption  \(interruption)")
  }

  /// Files that are named in a text.
  private static let shown = 40

  private func print(_ files: TreeDifferences) {
    Terminal.print("files         \(files.isEmpty ? "the same" : files.summary)")
    for file in files.first.prefix(Self.shown) { Terminal.print("  \(file.line)") }
    let left = files.count - min(files.first.count, Self.shown)
    if left > 0 { Terminal.print("  … and \(left) more") }
  }

  private func print(_ refusal: StepFailure) {
    var text = StyledLine("refused", .red)
    text.append("       \(plain(refusal.what))")
    Terminal.print(text, indent: 14)
    if let next = refusal.next { Terminal.print(StyledLine("  next: \(plain(next))"), indent: 14) }
  }
}

extension Settings.Deploy {
  /// batond runs the unit: generations overlap, and a reload carries the release.
  var isSupervised: Bool { unit.hasPrefix("baton@") }
}

/// Takes down what a plan's steps would do and what they say.
final class PlanAudience: OperationAudience {
  struct Planned {
    let step: Step
    var effects: [Effect] = []
    var lines: [(isWarning: Bool, text: String)] = []
    /// Effects that are not shown.
    var left = 0

    var json: JSON {
      var members: JSON.Members = ["step": step.json]
      members.append(
        "effects",
        .array(effects.map { .object(["kind": .string($0.kind.rawValue), "subject": .string($0.subject)]) }))
      members.append("effectsLeftOut", left)
      members.append("notes", lines.filter { !$0.isWarning }.map(\.text))
      members.append("warnings", lines.filter(\.isWarning).map(\.text))
      return .object(members)
    }
  }

  private(set) var steps: [Planned] = []
  private let effects: Effects
  private let mask: (String) -> String
  private var seen = 0
  private var made: Set<String> = []
  /// Of one step, for people.
  private static let limit = 200

  init(_ effects: Effects, mask: @escaping (String) -> String) {
    self.effects = effects
    self.mask = mask
  }

  func note(_ text: String) { add(false, text) }
  func warn(_ text: String) { add(true, text) }
  func output(_ line: String) { add(false, line) }
  func progress(done: Int64, total: Int64?, unit: String) {}
  func masked(_ text: String) -> String { mask(text) }

  func announce(_ announcement: Announcement) {
    guard case .began(let step) = announcement else { return }
    close()
    steps.append(Planned(step: step))
  }

  /// What was done since belongs to the step before.
  func close() {
    // What several steps make sure of is made once, and the directory around it synced with it.
    var isMade = false
    let fresh = effects.log.dropFirst(seen).filter { effect in
      let isRest = isMade && effect.kind == .sync
      isMade = effect.kind == .makeDirectory && !made.insert(effect.subject).inserted
      return !isMade && !isRest
    }
    seen = effects.log.count
    guard !steps.isEmpty else { return }
    let room = max(0, Self.limit - steps[steps.count - 1].effects.count)
    steps[steps.count - 1].effects += fresh.prefix(room).map { Effect($0.kind, mask($0.subject)) }
    steps[steps.count - 1].left += max(0, fresh.count - room)
  }

  private func add(_ isWarning: Bool, _ text: String) {
    guard !steps.isEmpty, steps[steps.count - 1].lines.count < Self.limit else { return }
    steps[steps.count - 1].lines.append((isWarning, mask(text)))
  }
}
