import ArgumentParser

@main
struct Baton: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "baton",
    abstract: "Operates and deploys services that batond keeps answering.")
}
