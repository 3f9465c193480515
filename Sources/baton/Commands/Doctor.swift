import ArgumentParser
import ControlClient
import ControlProtocol
import Glibc
import JSON
import Settings
import Vocabulary

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compares the loaded unit and the host with the settings, and says what will bite.",
    discussion: """
      Reads only. Exit status 1 when a promise does not hold, 0 with warnings or nothing. As root it also sees who else \
      listens on the service's ports.
      """)

  @Argument(help: "The service.") var name: String?
  @Option(help: "The settings file, if it is not /etc/baton/NAME.toml.") var settings: String?
  @Option(help: "The unit, if it is not baton@NAME.service.") var unit: String?
  @OptionGroup var options: ServiceOptions

  func run() throws {
    let service = try ServiceName(
      checking: name ?? serviceOfSettings ?? ServiceChoice(nil, control: options.control).nameOfService())
    let path = settings ?? "/etc/baton/\(service).toml"
    let read: Settings
    switch SettingsReader.read(file: path) {
    case .success(let settings): read = settings
    case .failure(let errors):
      Terminal.say(errors.text, indent: 2)
      throw Failure(
        .settingsWrong, "\(path) is wrong, and what holds cannot be compared with it",
        holds: "nothing was changed", next: "correct the file; baton check \(path) reads it")
    }
    let answer = try ask(service)
    var facts = Gathering.facts(
      service: service, unit: unit ?? "baton@\(service).service", settings: read,
      supervisor: (try? answer?.get())?.supervisor.pid)
    if read.engines.contains(where: { $0.lease != nil }) {
      switch answer {
      case .success(let report)?: facts.leases = report.leases ?? []
      case .failure(let failure)?: facts.leasesUnknown = failure.what
      case nil: break
      }
    }
    let findings = Examination(facts: facts).findings
    let isSound = !findings.contains { $0.severity == .error }
    if options.json {
      printJSON(service, findings, isSound: isSound)
    } else {
      printText(service, findings)
    }
    if !isSound { throw ExitCode(Int32(ExitStatus.failed.code)) }
  }

  /// nil of one that does not run: it has no leases, and no process of its own.
  private func ask(_ service: ServiceName) throws -> Result<StatusReport, Failure>? {
    let choice = try ServiceChoice(service.rawValue, control: options.control)
    guard access(choice.path, F_OK) == 0 else { return nil }
    do {
      return .success(try choice.ask { (client) throws(ClientError) in try client.status() })
    } catch let failure as Failure { return .failure(failure) }
  }

  /// `--settings hotgo.toml` names the service as batond would.
  private var serviceOfSettings: String? {
    guard let file = settings?.split(separator: "/").last else { return nil }
    return file.hasSuffix(".toml") ? String(file.dropLast(5)) : String(file)
  }

  private func printJSON(_ service: ServiceName, _ findings: [Finding], isSound: Bool) {
    var members = JSON.Members()
    members.append("service", service.rawValue.json)
    members.append("sound", isSound.json)
    members.append("findings", .array(findings.map(\.json)))
    Terminal.print(.object(members))
  }

  private func printText(_ service: ServiceName, _ findings: [Finding]) {
    guard !findings.isEmpty else {
      return Terminal.print("\(service): nothing will bite, as far as can be seen from here")
    }
    for finding in findings {
      var line = StyledLine(finding.severity.rawValue, finding.severity.colour)
      line.append(": \(plain(finding.what))")
      Terminal.print(line.text(width: nil, colour: Terminal.usesColour))
      Terminal.print("  why:    \(plain(finding.why))")
      Terminal.print("  remedy: \(plain(finding.remedy))")
    }
  }
}

extension Finding.Severity {
  fileprivate var colour: StyledLine.Colour {
    switch self {
    case .error: .red
    case .warning: .yellow
    case .note: .faint
    }
  }
}
