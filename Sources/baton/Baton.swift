import ArgumentParser
import ControlProtocol
import Glibc
import Settings

@main
struct Baton: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "baton",
    abstract: "Operates services that batond keeps answering.",
    discussion: """
      NAME may be left out when one service runs here, or when BATON_SERVICE names it.
      Exit status: 0 done, 1 failed and the old state holds, 2 failed and a person is needed, 64 usage, \
      69 supervisor unreachable, 70 a bug, 75 busy, 77 not allowed, 78 settings are wrong.
      """,
    version: "0.1.0",
    subcommands: [
      Status.self, Reload.self, Restart.self, Stop.self, Scale.self, Events.self, Logs.self, Check.self, Doctor.self,
      Init.self,
    ])

  static func main() {
    suggestCommand()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let failure as Failure {
      report(failure)
      Glibc.exit(Int32(failure.status.code))
    } catch {
      exit(withError: error)
    }
  }

  /// A first word that is no command, but nearly one.
  private static func suggestCommand() {
    guard let word = CommandLine.arguments.dropFirst().first, !word.hasPrefix("-") else { return }
    let names = configuration.subcommands.map { $0._commandName } + ["help"]
    guard !names.contains(word) else { return }
    let hint = NearestWord.to(word, among: names).map { "; did you mean \"\($0)\"?" } ?? ";"
    Terminal.say("baton: there is no command \"\(word)\"\(hint) baton --help lists them")
    Glibc.exit(Int32(ExitStatus.usage.code))
  }

  /// The last lines of who failed, then the three lines a person needs.
  private static func report(_ failure: Failure) {
    Terminal.endProgress()
    for line in failure.lines { Terminal.say("  | \(line)") }
    Terminal.say("baton: \(failure.what)")
    if let holds = failure.holds { Terminal.say("holds: \(holds)") }
    if let next = failure.next { Terminal.say("next:  \(next)") }
  }
}
