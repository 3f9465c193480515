import ArgumentParser
import ControlClient
import ControlProtocol
import Deployment
import DeploymentRuntime
import JSON
import Vocabulary

struct Releases: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the releases there are: which one serves, which are proven, which are bad.")

  @OptionGroup var service: DeployedServiceOptions

  func run() throws {
    let service = try service.service()
    let history = DeployHistory.read(service.layout)
    let current = currentRelease(service.layout)
    if let trouble = history.trouble { Terminal.say("baton: \(plain(trouble))") }
    let live = service.liveReleases
    let releases = history.releases.map { record in
      ReleaseText(record, current, service.layout, isRunning: live?.contains(record.id))
    }
    if self.service.json {
      var members: JSON.Members = ["service": service.name.json]
      members.append("current", current)
      members.append("releases", .array(releases.map(\.json)))
      return Terminal.print(.object(members))
    }
    guard !releases.isEmpty else { return Terminal.print("there is no release yet") }
    var table = Table(rightAligned: [])
    // Its short form stands in the release's name.
    let isNarrow = Terminal.size.map { $0.columns < 110 } ?? false
    let titles = isNarrow ? ["RELEASE", "VERDICT", "MADE"] : ["RELEASE", "VERDICT", "COMMIT", "MADE"]
    table.append((titles + ["BY", "NOTE"]).map { ($0, .faint) })
    for release in releases { table.append(release.cells(isNarrow: isNarrow)) }
    for line in table.lines { Terminal.print(line.text(width: nil, colour: Terminal.usesColour)) }
  }
}

extension DeployedService {
  /// What the generations of its supervisor run, those that drain included; nil where none says it.
  fileprivate var liveReleases: [ReleaseID]? {
    guard deploy.isSupervised, let choice = try? ServiceChoice(name.rawValue, control: nil) else { return nil }
    return try? ControlClient(path: choice.path, patience: .seconds(1)).status().liveReleases
  }
}

struct ReleaseText {
  let record: ReleaseRecord
  let isCurrent: Bool
  let isThere: Bool
  /// nil where nobody says it.
  let isRunning: Bool?

  init(_ record: ReleaseRecord, _ current: ReleaseID?, _ layout: Layout, isRunning: Bool?) {
    self.isRunning = isRunning
    self.record = record
    isCurrent = record.id == current
    isThere = ((try? FileFacts.ifPresent(layout.release(record.id))) ?? nil)?.kind == .directory
  }

  func cells(isNarrow: Bool) -> [Table.Cell] {
    let colour: StyledLine.Colour =
      switch record.verdict {
      case .good: .green
      case .new: .yellow
      case .bad: .red
      }
    let runs: String? =
      switch (isCurrent, isRunning) {
      case (false, true?): "still runs"
      case (true, false?): "does not run"
      case (_, _): nil
      }
    let note = [isCurrent ? "current" : nil, runs, isThere ? nil : "its directory is gone"].compactMap { $0 }
    let made = record.made.map { Ages.clock(WallTime(microseconds: $0)).prefix(isNarrow ? 16 : 19) }
    let commit: Table.Cell = (record.commit.map { String($0.prefix(12)) } ?? "-", nil)
    return [(plain(record.id.text), isCurrent ? .bold : nil), (record.verdict.rawValue, colour)]
      + (isNarrow ? [] : [commit]) + [
        (made.map { String($0) } ?? "-", nil), (plain(record.who ?? "-"), nil), (note.joined(separator: ", "), nil),
      ]
  }

  var json: JSON {
    var members: JSON.Members = [
      "release": record.id.json, "verdict": record.verdict.json, "current": .bool(isCurrent), "present": .bool(isThere),
    ]
    members.append("running", isRunning)
    members.append("commit", record.commit)
    members.append("madeUsec", record.made)
    members.append("operation", record.operation)
    members.append("who", record.who)
    return .object(members)
  }
}
