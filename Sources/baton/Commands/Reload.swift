import ArgumentParser
import ControlProtocol

struct Reload: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Replaces the running generation by a new one, without refusing a connection, or says why not.",
    discussion: "Waits for the verdict. A new version that is no good leaves the old one serving: exit status 1.")

  @OptionGroup var service: NamedService
  @Flag(help: "Do not wait for the verdict; baton status shows it.") var noWait = false

  func run() throws { try service.choice().act(.reload(wait: !noWait), json: service.json) }
}
