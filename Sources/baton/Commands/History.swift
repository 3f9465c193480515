import ArgumentParser
import Deployment
import DeploymentRuntime
import JSON
import Vocabulary

struct History: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists deploys, rollbacks and adoptions, the latest first: what, when, how it ended, by whom.")

  @OptionGroup var service: DeployedServiceOptions
  @Option(name: [.customShort("n"), .long], help: ArgumentHelp("How many of the latest.", valueName: "count"))
  var limit = 20

  func validate() throws {
    guard (1...1_000).contains(limit) else { throw ValidationError("--limit takes 1 to 1000") }
  }

  func run() throws {
    let service = try service.service()
    let history = DeployHistory.read(service.layout, limit: limit)
    if let trouble = history.trouble { Terminal.say("baton: \(plain(trouble))") }
    if self.service.json {
      var members: JSON.Members = ["service": service.name.json]
      members.append("operations", .array(history.operations.map { OperationText($0, service.layout).json }))
      return Terminal.print(.object(members))
    }
    guard !history.operations.isEmpty else { return Terminal.print("nothing was ever deployed here") }
    // When it began stands in the operation's name, in UTC, and when it was made in the release's.
    let isNarrow = Terminal.size.map { $0.columns < 120 } ?? false
    var table = Table(rightAligned: [isNarrow ? 3 : 4])
    let titles = isNarrow ? ["OPERATION", "WHAT"] : ["OPERATION", "BEGAN", "WHAT"]
    table.append((titles + ["OUTCOME", "TOOK", "RELEASE", "BY"]).map { ($0, .faint) })
    for summary in history.operations { table.append(OperationText(summary, service.layout).cells(isNarrow: isNarrow)) }
    for line in table.lines { Terminal.print(line.text(width: nil, colour: Terminal.usesColour)) }
  }
}

extension ReleaseID {
  /// Without its time: `…27e568b-f1ba`.
  fileprivate var short: String {
    guard let dash = text.firstIndex(of: "-") else { return text }
    return "…" + text[text.index(after: dash)...]
  }
}

/// One operation as people and programs see it.
struct OperationText {
  let summary: OperationSummary
  let isRunning: Bool

  /// Its name in `backups/`.
  let backup: String?

  init(_ summary: OperationSummary, _ layout: Layout) {
    self.summary = summary
    backup = Self.backup(summary, layout)
    isRunning = summary.outcome == nil && StepLog.isAlive(layout, summary.operation)
  }

  /// The plain copy that an adoption makes becomes an archive when all is well, after its last record.
  private static func backup(_ summary: OperationSummary, _ layout: Layout) -> String? {
    guard summary.intent.kind == .adopt, let release = summary.facts.release else { return summary.facts.backup }
    let archive = BackupStore.names(of: release, by: summary.operation).first {
      ((try? FileFacts.ifPresent("\(layout.backups)/\($0)")) ?? nil) != nil
    }
    return archive ?? summary.facts.backup
  }

  /// How it stands, in one word, and what it looks like.
  var state: (word: String, colour: StyledLine.Colour) {
    switch summary.outcome {
    case .good: ("good", .green)
    case .baking: ("baking", .yellow)
    case .refused: ("refused", .yellow)
    case .busy: ("busy", .yellow)
    case .failed: ("failed", .red)
    case .aborted: ("aborted", .yellow)
    case .stuck: ("stuck", .red)
    case nil: isRunning ? ("running", .yellow) : ("cut off", .red)
    }
  }

  func cells(isNarrow: Bool) -> [Table.Cell] {
    let (word, colour) = state
    let began: Table.Cell = (String(Ages.clock(WallTime(microseconds: summary.started)).prefix(19)), nil)
    let release = summary.facts.release.map { isNarrow ? $0.short : $0.text }
    return [(summary.operation.text, nil)] + (isNarrow ? [] : [began]) + [
      (summary.intent.kind.rawValue + (summary.intent.isQuick ? " --quick" : ""), nil), (word, colour),
      (summary.took.map { Ages.took($0) } ?? "-", nil), (release ?? "-", nil), (plain(summary.intent.who), nil),
    ]
  }

  var json: JSON {
    var members: JSON.Members = [
      "operation": summary.operation.json, "kind": summary.intent.kind.json, "state": .string(state.word),
      "startedUsec": summary.started.json,
    ]
    members.append("endedUsec", summary.ended)
    members.append("tookMs", summary.took)
    members.append("outcome", summary.outcome)
    members.append("release", summary.facts.release)
    members.append("previous", summary.facts.previous)
    members.append("commit", summary.facts.commit)
    members.append("failedStep", summary.turn?.step)
    members.append("what", summary.turn?.failure.what)
    members.append("quick", summary.intent.isQuick)
    members.append("who", summary.intent.who)
    members.append("resumptions", summary.resumptions)
    members.append(
      "steps",
      .array(
        summary.steps.map { step in
          var members: JSON.Members = [
            "step": step.step.json, "state": .string(step.state.rawValue), "beganUsec": step.began.json,
          ]
          members.append("endedUsec", step.ended)
          members.append("tookMs", step.took)
          members.append("what", step.what)
          return .object(members)
        }))
    return .object(members)
  }
}
