import ArgumentParser
import ControlClient
import ControlProtocol
import Glibc
import JSON
import Settings
import Vocabulary

struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Reads settings and prints what they mean, every default filled in, or everything that is wrong.",
    discussion: "Exit status 78 when something is wrong. Warnings name what weakens a promise.")

  @Argument(
    help: "The settings file, or the service whose /etc/baton/NAME.toml it is; may be left out as NAME may.",
    completion: .file(extensions: ["toml"]))
  var file: String?
  @Flag(help: "Print JSON, a stable contract, instead of text.") var json = false

  func run() throws {
    let path = try path()
    switch SettingsReader.examine(file: path) {
    case .success(var read):
      read.warnings += BoundsHere.warnings(read, file: path) + runningWarnings(read, file: path)
      read.warnings += watchdogWarnings(read, file: path)
      if json {
        var members = JSON.Members()
        members.append("file", path.json)
        members.append("valid", true)
        members.append(
          "warnings", .array(read.warnings.map { Self.json($0.file, $0.line, $0.column, $0.message, nil) }))
        members.append("errors", .array([]))
        return Terminal.print(.object(members))
      }
      Terminal.print(ResolvedText.annotated(read))
      for warning in read.warnings { Terminal.say("\(warning)", indent: 2) }
    case .failure(let errors):
      if json {
        var members = JSON.Members()
        members.append("file", path.json)
        members.append("valid", false)
        members.append("warnings", .array([]))
        members.append(
          "errors", .array(errors.errors.map { Self.json($0.file, $0.line, $0.column, $0.message, $0.hint) }))
        Terminal.print(.object(members))
      } else {
        Terminal.say(errors.text, indent: 2)
      }
      let count = errors.errors.count == 1 ? "an error" : "\(errors.errors.count) errors"
      var failure = Failure(
        .settingsWrong, "\(path) has \(count)", holds: "what runs goes on with the settings it has",
        next: "correct the file and check it again")
      failure.isPrinted = true
      throw failure
    }
  }

  /// What a reload of the service that runs by that name would refuse, though the file is good for a start.
  private func runningWarnings(_ read: ReadSettings, file path: String) -> [SettingsWarning] {
    guard let choice = try? ServiceChoice(Self.service(of: path), control: nil),
      let report = try? choice.ask({ (client) throws(ClientError) in try client.status() }),
      let move = LeaseJudgement.move(of: report.leases ?? [], to: read.settings)
    else { return [] }
    let keys = ["redis.url", "redis.url-file", "database.url", "database.url-file", "leases.ttl"]
    let origin = keys.lazy.compactMap { read.origins[$0] }.first
    return [
      SettingsWarning(
        file: origin?.file ?? path, line: origin?.line ?? 1, column: 1, message: "a reload refuses this: \(move.text)")
    ]
  }

  private func watchdogWarnings(_ read: ReadSettings, file path: String) -> [SettingsWarning] {
    guard read.settings.engines.contains(where: { $0.lease != nil }) else { return [] }
    let unit = "baton@\(Self.service(of: path)).service"
    return WatchdogHere.warnings(read, file: path, unit: unit, found: Gathering.watchdog(of: unit))
  }

  /// As batond would call it.
  private static func service(of path: String) -> String {
    let word = path.split(separator: "/").last.map(String.init) ?? path
    return word.hasSuffix(".toml") ? String(word.dropLast(5)) : word
  }

  /// A word without a slash or `.toml` is a service.
  private func path() throws -> String {
    if let file, file.contains("/") || file.hasSuffix(".toml") { return file }
    return "/etc/baton/\(try ServiceChoice(file, control: nil).nameOfService()).toml"
  }

  private static func json(_ file: String, _ line: Int, _ column: Int, _ message: String, _ hint: String?) -> JSON {
    var members = JSON.Members()
    members.append("file", file.json)
    members.append("line", line.json)
    members.append("column", column.json)
    members.append("message", message.json)
    members.append("hint", hint)
    return .object(members)
  }
}
