import ArgumentParser
import ControlClient
import ControlProtocol
import LinuxSystem
import Vocabulary

struct SendSignal: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "signal",
    abstract: "Sends a signal to the workers of an engine, or to one.",
    usage: "baton signal [<name>] <engine> <signal> [--worker <label>] [--control <path>] [--json]")

  @Argument(
    help: ArgumentHelp(
      "The service, if it has to be named, the engine, and the signal, such as HUP.", valueName: "words"))
  var words: [String]
  @Option(help: "Only to this worker, such as web.2.") var worker: String?
  @OptionGroup var options: ServiceOptions

  func validate() throws {
    guard (2...3).contains(words.count), EngineName(rawValue: words[words.count - 2]) != nil else {
      throw ValidationError("say which engine and which signal, with the service in front if it has to be named")
    }
    guard Signal(named: words[words.count - 1]) != nil else {
      throw ValidationError("there is no signal \(words[words.count - 1]); HUP, SIGUSR1 and 10 are signals")
    }
  }

  func run() throws {
    guard let engine = EngineName(rawValue: words[words.count - 2]) else { return }
    let choice = try ServiceChoice(words.count == 3 ? words[0] : nil, control: options.control)
    let reached = try choice.ask { (client) throws(ClientError) in
      try client.signal(words[words.count - 1], engine: engine, worker: worker)
    }
    if options.json { return Terminal.print(SignalReply(workers: reached).json) }
    if reached.isEmpty {
      throw Failure(
        .failed, "no worker of \(engine) runs", holds: "nothing was sent", next: "baton status shows the workers")
    }
    Terminal.print("sent to \(reached.map { plain($0) }.joined(separator: ", "))")
  }
}
