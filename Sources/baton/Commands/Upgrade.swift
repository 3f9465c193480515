import ArgumentParser
import ControlProtocol
import JSON

struct Upgrade: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Puts the batond that is installed now in place of the running one. Interrupts nothing.",
    discussion: """
      Same process, same workers, same sockets. The new program first says that it can go on from the running state and \
      the settings; a reload or hold under way comes to its end before. If anything is wrong the running batond goes on.
      """)

  @OptionGroup var service: NamedService
  @Flag(help: "Every service that runs here, one after the other: what an installation ends with.") var all = false
  @Flag(help: "Do not wait for the verdict; baton events shows it.") var noWait = false

  func validate() throws {
    if all && (service.name != nil || service.options.control != nil) {
      throw ValidationError("--all names all of them")
    }
  }

  func run() throws {
    guard all else { return try upgrade(service.choice()) }
    let services = ServiceChoice.answering
    if services.isEmpty && !service.json { Terminal.print("no service runs here") }
    var worst: Int32 = 0
    for each in services {
      let name = each.name ?? each.path
      if service.json { Terminal.print(["service": .string(name)]) } else { Terminal.print("\(name):") }
      // One that goes on as it is keeps no other from its own.
      do { try upgrade(each) } catch let failure as Failure {
        failure.report(json: service.json)
        worst = max(worst, Int32(failure.status.code))
      }
    }
    if worst != 0 { throw ExitCode(worst) }
  }

  private func upgrade(_ choice: ServiceChoice) throws { try choice.act(.upgrade(wait: !noWait), json: service.json) }
}
