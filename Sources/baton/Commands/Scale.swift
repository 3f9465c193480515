import ArgumentParser
import ControlProtocol
import Vocabulary

struct Scale: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Changes how many workers an engine has, until the settings are read again.",
    usage: "baton scale [<name>] <engine>=<workers> [--no-wait] [--control <path>] [--json]")

  @Argument(help: ArgumentHelp("The service, if it has to be named, then ENGINE=WORKERS.", valueName: "words"))
  var words: [String]
  @Flag(help: "Do not wait until it is done; baton status shows it.") var noWait = false
  @OptionGroup var options: ServiceOptions

  func validate() throws {
    guard (1...2).contains(words.count), Self.parse(words.last ?? "") != nil else {
      throw ValidationError(
        "say ENGINE=WORKERS, such as web=4 (0 to \(Request.maximumWorkers)), with the service in front if it has to be named"
      )
    }
  }

  private static func parse(_ text: String) -> (EngineName, Int)? {
    let parts = text.split(separator: "=", omittingEmptySubsequences: false)
    guard parts.count == 2, let engine = EngineName(rawValue: String(parts[0])), let count = Int(parts[1]),
      (0...Request.maximumWorkers).contains(count)
    else { return nil }
    return (engine, count)
  }

  func run() throws {
    guard let (engine, count) = Self.parse(words.last ?? "") else { return }
    let choice = try ServiceChoice(words.count == 2 ? words[0] : nil, control: options.control)
    try choice.act(.scale(engine: engine, workers: count, wait: !noWait), json: options.json)
  }
}
