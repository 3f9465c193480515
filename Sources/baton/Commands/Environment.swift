import ArgumentParser
import ControlClient
import ControlProtocol
import Vocabulary

struct Environment: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the environment an engine's workers are started with: names, and values for root with --reveal.",
    usage: "baton environment [<name>] <engine> [--reveal] [--control <path>] [--json]")

  @Argument(help: ArgumentHelp("The service, if it has to be named, then the engine.", valueName: "words"))
  var words: [String]
  @Flag(help: "Show values too. They may be secret: for root alone.") var reveal = false
  @OptionGroup var options: ServiceOptions

  func validate() throws {
    guard (1...2).contains(words.count), EngineName(rawValue: words.last ?? "") != nil else {
      throw ValidationError("say which engine, with the service in front if it has to be named")
    }
  }

  func run() throws {
    guard let engine = EngineName(rawValue: words.last ?? "") else { return }
    let choice = try ServiceChoice(words.count == 2 ? words[0] : nil, control: options.control)
    let variables = try choice.ask { (client) throws(ClientError) in
      try client.environment(engine: engine, reveal: reveal)
    }
    if options.json { return Terminal.print(EnvironmentReply(variables: variables).json) }
    for variable in variables {
      Terminal.print(plain(variable.name) + (variable.value.map { "=\(plain($0))" } ?? ""))
    }
  }
}
