import ArgumentParser
import ControlProtocol

struct Restart: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Stops all workers in order and starts them from newly read settings. Interrupts the service.",
    discussion: "The sockets stay: connections made meanwhile wait in the queue.")

  @OptionGroup var service: NamedService
  @Flag(help: "Do not wait for the verdict; baton status shows it.") var noWait = false

  func run() throws { try service.choice().act(.restart(wait: !noWait), json: service.json) }
}
