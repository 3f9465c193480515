import ArgumentParser
import ControlClient
import ControlProtocol

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows a service on one screen: engines, workers, generations, sockets, the last handover and why.",
    discussion: "On a terminal, workers of whom there is nothing to say are counted where the screen is too small.")

  @OptionGroup var service: NamedService

  func run() throws {
    let report = try service.choice().ask { (client) throws(ClientError) in try client.status() }
    if service.json { return Terminal.print(report.json) }
    let text = StatusText(report: report, now: .now)
    for line in text.lines(height: Terminal.size?.rows) {
      Terminal.print(line.text(width: Terminal.size?.columns, colour: Terminal.usesColour))
    }
  }
}
