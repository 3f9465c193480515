import ArgumentParser
import ControlProtocol
import Settings

/// What polkit asks: whether a settings file of this host lets a user deploy to a unit.
struct MayDeploy: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "may-deploy",
    abstract: "Exits 0 if a file in /etc/baton names this unit and this user in [deploy]. polkit asks it.",
    shouldDisplay: false)

  @Argument(help: "The unit.") var unit: String
  @Argument(help: "The user.") var user: String

  func run() throws {
    let isNamed = ServiceChoice.configured.contains { name in
      guard case .success(let settings) = SettingsReader.read(file: "/etc/baton/\(name).toml", for: .deploy) else {
        return false
      }
      return settings.deploy?.unit == unit && settings.deploy?.user == user
    }
    if !isNamed { throw ExitCode(Int32(ExitStatus.notAllowed.code)) }
  }
}
