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
    if !Self.isNamed(unit, user) { throw ExitCode(Int32(ExitStatus.notAllowed.code)) }
  }

  /// The answer without reading the command line as people's is read, which takes longer than all else: an activation
  /// waits for it.
  static func answer(_ arguments: [String]) -> Int32? {
    guard arguments.count == 4, arguments[1] == configuration.commandName,
      arguments[2...].allSatisfy({ !$0.hasPrefix("-") })
    else { return nil }
    return isNamed(arguments[2], arguments[3]) ? 0 : Int32(ExitStatus.notAllowed.code)
  }

  private static func isNamed(_ unit: String, _ user: String) -> Bool {
    ServiceChoice.configured.contains { name in
      guard case .success(let settings) = SettingsReader.read(file: "/etc/baton/\(name).toml", for: .deploy) else {
        return false
      }
      return settings.deploy?.unit == unit && settings.deploy?.user == user
    }
  }
}
