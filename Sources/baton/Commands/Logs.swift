import ArgumentParser
import ControlProtocol
import Vocabulary

struct Logs: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows what a service and its workers printed: journalctl with the right filters.",
    usage: "baton logs [<name>] [<engine>] [--follow] [--lines <count>] [--control <path>] [--json]")

  @Argument(help: ArgumentHelp("The service, if it has to be named, then an engine.", valueName: "words"))
  var words: [String] = []
  @Flag(name: [.short, .long], help: "Go on with what is printed from now on.") var follow = false
  @Option(
    name: [.customShort("n"), .long], help: ArgumentHelp("How many of the latest lines.", valueName: "count"))
  var lines = 100
  @OptionGroup var options: ServiceOptions

  func validate() throws {
    guard words.count <= 2 else { throw ValidationError("say at most a service and an engine") }
    guard lines >= 0 else { throw ValidationError("--lines takes 0 or more") }
  }

  func run() throws { try Program.become(try arguments()) }

  /// What journalctl is asked for. One word is an engine, unless it is a service that is known.
  func arguments() throws -> [String] {
    let namesService = words.count == 2 || words.first.map(ServiceChoice.known.contains) ?? false
    let engine = namesService ? words.dropFirst().first : words.first
    let name = try ServiceChoice(namesService ? words.first : nil, control: options.control).nameOfService()
    var arguments = ["journalctl", "--no-hostname", "--lines=\(lines)"]
    if follow { arguments.append("--follow") }
    if options.json { arguments.append("--output=json") }
    if let engine {
      do throws(NameError) {
        return arguments + ["BATON_SERVICE=\(name)", "BATON_ENGINE=\(try EngineName(engine))"]
      } catch { throw Failure(.usage, "\(error)") }
    }
    // Its own words and its workers'; what it said before it could speak to the journal; what systemd says about it.
    let unit = "baton@\(name).service"
    return arguments + ["BATON_SERVICE=\(name)", "+", "_SYSTEMD_UNIT=\(unit)", "+", "_PID=1", "UNIT=\(unit)"]
  }
}
