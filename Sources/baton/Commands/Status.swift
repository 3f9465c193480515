import ArgumentParser
import ControlClient
import ControlProtocol

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows a service on one screen: engines, workers, generations, sockets, the last handover and why.",
    discussion: "On a terminal, workers of whom there is nothing to say are counted where the screen is too small.")

  @Flag(help: "Also what the workers of each engine run, and the names of their environment.") var details = false
  @Flag(help: "With --details, values of the environment too. They may be secret: for root alone.") var reveal = false
  @OptionGroup var service: NamedService

  func validate() throws {
    if reveal && !details { throw ValidationError("--reveal goes with --details") }
  }

  func run() throws {
    let report = try service.choice().ask { (client) throws(ClientError) in try client.status() }
    if service.json { return Terminal.print(report.json) }
    let text = StatusText(report: report, now: .now)
    for line in text.lines(height: Terminal.size?.rows) {
      Terminal.print(line.text(width: Terminal.size?.columns, colour: Terminal.usesColour))
    }
    if details { try show(report.engines) }
  }

  /// As it can be typed again; whole, however wide the terminal is.
  private func show(_ engines: [StatusReport.Engine]) throws {
    for engine in engines {
      let variables = try service.choice().ask { (client) throws(ClientError) in
        try client.environment(engine: engine.name, reveal: reveal)
      }
      Terminal.print("")
      let command = (engine.command ?? ["(not said)"]).map { Self.word($0) }.joined(separator: " ")
      Terminal.print("\(engine.name) runs \(command)")
      for variable in variables {
        Terminal.print("  \(plain(variable.name))" + (variable.value.map { "=\(plain($0))" } ?? ""))
      }
    }
  }

  private static func word(_ text: String) -> String {
    let isPlain = !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && !"\"'\\$`&|;<>()*?[]#~!{}".utf8.contains($0) }
    let parts = plain(text).split(separator: "'", omittingEmptySubsequences: false)
    return isPlain ? plain(text) : "'" + parts.joined(separator: "'\\''") + "'"
  }
}
