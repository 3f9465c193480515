import ArgumentParser
import JSON

/// What every command that talks to a supervisor takes.
struct ServiceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The control socket itself, for a service started by hand; BATON_CONTROL says it too.", valueName: "path"))
  var control: String?

  @Flag(help: "Print JSON, a stable contract, instead of text.")
  var json = false
}

/// `[NAME]` and the options; for commands with one service and nothing else.
struct NamedService: ParsableArguments {
  @Argument(
    help: "The service; may be left out when only one is known here.",
    completion: .custom { _, _, _ in ServiceChoice.known })
  var name: String?

  @OptionGroup var options: ServiceOptions

  var json: Bool { options.json }

  func choice() throws -> ServiceChoice { try ServiceChoice(name, control: options.control) }
}
