import ArgumentParser
import ControlProtocol

struct Upgrade: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Puts the batond that is installed now in place of the running one. Interrupts nothing.",
    discussion: """
      Same process, same workers, same sockets. The new program first says that it can go on from the running state and \
      the settings; a reload or hold under way comes to its end before. If anything is wrong the running batond goes on.
      """)

  @OptionGroup var service: NamedService
  @Flag(help: "Do not wait for the verdict; baton events shows it.") var noWait = false

  func run() throws { try service.choice().act(.upgrade(wait: !noWait), json: service.json) }
}
