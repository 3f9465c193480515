import ArgumentParser
import ControlProtocol
import Deployment
import DeploymentRuntime
import JSON
import Vocabulary

struct Show: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows one operation: its steps and how long they took, what it printed, how it ended, who asked.",
    usage: "baton show [<name>] <operation> [--settings <file>] [--no-log] [--json]")

  @Argument(
    help: ArgumentHelp(
      "The service, if it has to be named, then the operation; last is the latest.", valueName: "words"))
  var words: [String]
  @Option(help: ArgumentHelp("The settings file, if it is not /etc/baton/NAME.toml.", valueName: "file"))
  var settings: String?
  @Flag(help: "Without what it printed.") var noLog = false
  @Flag(help: "Print JSON, a stable contract, instead of text.") var json = false

  func validate() throws {
    guard (1...2).contains(words.count) else {
      throw ValidationError("say which operation, with the service in front if it has to be named")
    }
  }

  func run() throws {
    let service = try DeployedService(words.count == 2 ? words[0] : nil, settings: settings)
    let id = try operation(of: service)
    guard let (summary, _) = DeployHistory.show(service.layout, id) else {
      throw Failure(
        .failed, "there is no operation \(id) of \(service.name)", holds: "nothing was changed",
        next: "baton history \(service.mention)")
    }
    let news = log(service.layout, id)
    let text = OperationText(summary, service.layout)
    if json {
      guard case .object(var members) = text.json else { return }
      if !noLog { members.append("log", .array(news.map(\.json))) }
      return Terminal.print(.object(members))
    }
    printText(summary, text, news)
  }

  private func operation(of service: DeployedService) throws -> OperationID {
    guard let word = words.last, word != "last" else {
      guard let last = DeployHistory.read(service.layout, limit: 1).operations.first else {
        throw Failure(.failed, "nothing was ever deployed here", holds: "nothing was changed")
      }
      return last.operation
    }
    // Never a path: it becomes one.
    guard !word.contains("/"), !word.hasPrefix(".") else {
      throw Failure(.usage, "\"\(plain(word))\" is no operation", next: "baton history lists them")
    }
    return OperationID(word)
  }

  private func log(_ layout: Layout, _ id: OperationID) -> [OperationNews] {
    guard !noLog else { return [] }
    let reader = OperationNewsReader(layout, id)
    var all: [OperationNews] = []
    while case let news = reader.next(), !news.isEmpty { all += news }
    return all
  }

  private func printText(_ summary: OperationSummary, _ text: OperationText, _ news: [OperationNews]) {
    let (word, colour) = text.state
    var lines: [StyledLine] = []
    func fact(_ label: String, _ value: String?, _ colour: StyledLine.Colour? = nil) {
      guard let value, !value.isEmpty else { return }
      var line = StyledLine(label + String(repeating: " ", count: max(1, 11 - label.count)), .faint)
      line.append(plain(value), colour)
      lines.append(line)
    }
    fact(
      "operation", "\(summary.operation)  \(summary.intent.kind.rawValue)\(summary.intent.isQuick ? " --quick" : "")")
    fact("outcome", word, colour)
    fact("why", summary.turn?.failure.what)
    fact("release", summary.facts.release?.text)
    fact("previous", summary.facts.previous?.text)
    fact("commit", summary.facts.commit)
    fact("backup", text.backup)
    fact("migrations", summary.facts.migrations.joined(separator: ", "))
    fact(
      "began",
      Ages.clock(WallTime(microseconds: summary.started)) + (summary.took.map { ", took \(Ages.took($0))" } ?? "")
    )
    fact("by", summary.intent.who)
    if summary.resumptions > 0 { fact("resumed", "\(summary.resumptions) times: it was cut off") }
    for line in lines { Terminal.print(line, indent: 11) }
    Terminal.print("")
    var table = Table(rightAligned: [2])
    for step in summary.steps {
      let took = step.took.map { Ages.took($0) } ?? "-"
      let colour: StyledLine.Colour =
        switch step.state {
        case .done: .green
        case .running, .undone: .yellow
        case .failed, .notUndone: .red
        }
      table.append([
        (step.state.rawValue, colour), (step.step.rawValue, nil), (took, nil), (plain(step.what ?? ""), nil),
      ])
    }
    for line in table.lines { Terminal.print(line, indent: 8) }
    let printed = news.filter { [.output, .note, .warning].contains($0.kind) }
    if printed.isEmpty { return }
    Terminal.print("")
    for item in printed {
      let step = item.step?.rawValue ?? ""
      let mark = item.kind == .output ? "| " : item.kind == .warning ? "warning: " : ""
      let label = step + String(repeating: " ", count: max(1, 13 - step.count))
      Terminal.print(StyledLine("\(label)\(mark)\(plain(item.text ?? ""))"), indent: 13)
    }
  }
}
