import ArgumentParser
import ControlClient
import ControlProtocol
import Glibc

struct Events: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tells what happened to a service: who started or ended what, when and why.")

  @OptionGroup var service: NamedService
  @Flag(name: [.short, .long], help: "Go on with what happens from now on.") var follow = false
  @Option(
    name: [.customShort("n"), .long],
    help: ArgumentHelp("How many of the latest events.", valueName: "count"))
  var limit = Request.defaultEvents

  func validate() throws {
    guard (0...Request.maximumEvents).contains(limit) else {
      throw ValidationError("--limit takes 0 to \(Request.maximumEvents)")
    }
  }

  func run() throws {
    try service.choice().ask { (client) throws(ClientError) in
      try client.events(limit: limit, follow: follow, audience: STDOUT_FILENO) { event in
        if service.json {
          Terminal.print(event.json)
        } else {
          Terminal.print(EventText(event: event).line.text(width: nil, colour: Terminal.usesColour))
        }
        return true
      }
    }
  }
}
