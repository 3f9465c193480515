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
      NAME may be left out when one service is known here, or when BATON_SERVICE names it. See baton(1).
      Exit status: 0 done, 1 failed and the old state holds, 2 failed and a person is needed, 64 usage, \
      69 supervisor or store unreachable, 70 a bug, 75 busy, 77 not allowed, 78 settings are wrong.
      """,
    version: "0.1.0",
    subcommands: [
      Status.self, Reload.self, Restart.self, Stop.self, Scale.self, SendSignal.self, Upgrade.self,
      Events.self, Logs.self,
      Environment.self,
      Check.self, Doctor.self, Init.self, Probe.self, Deploy.self,
      Rollback.self, RecoverCommand.self, History.self, Show.self, Releases.self, Diff.self, Migrations.self,
      BackupCommand.self, Preflight.self, Prune.self, Adopt.self,
      LeasesCommand.self, LockCommand.self,
      RunOperation.self,
      MayDeploy.self,
    ])

  static func main() {
    // A reader that went away ends the program quietly, also where the parent ignored the signal (systemd does).
    signal(SIGPIPE, SIG_DFL)
    if let status = MayDeploy.answer(CommandLine.arguments) { Glibc.exit(status) }
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let failure as Failure {
      end(failure)
    } catch let code as ExitCode {
      // Everything is said.
      Glibc.exit(code.rawValue)
    } catch {
      if let failure = unknownCommand(CommandLine.arguments.dropFirst().first) { end(failure) }
      // Help, versions and completions are results; everything else here is about the command line.
      if exitCode(for: error) == .success { exit(withError: error) }
      let message = message(for: error).split(separator: "\n").first.map(String.init) ?? "the command line is wrong"
      end(Failure(.usage, message, next: "baton \(commandName(CommandLine.arguments)) --help"))
    }
  }

  private static func end(_ failure: Failure) -> Never {
    failure.report(json: CommandLine.arguments.contains("--json"))
    Glibc.exit(Int32(failure.status.code))
  }

  private static var commands: [String] { configuration.subcommands.map { $0._commandName } + ["help"] }

  private static func commandName(_ arguments: [String]) -> String {
    arguments.dropFirst().first.flatMap { commands.contains($0) ? $0 : nil } ?? ""
  }

  private static func unknownCommand(_ word: String?) -> Failure? {
    guard let word, !word.hasPrefix("-"), !commands.contains(word) else { return nil }
    let hint = NearestWord.hint(word, among: commands).map { "; \($0)" } ?? ""
    return Failure(.usage, "there is no command \"\(plain(word))\"\(hint)", next: "baton --help lists them")
  }
}
