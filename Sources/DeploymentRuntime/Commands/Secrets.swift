import Databases
package import Deployment
import Settings
import Vocabulary

/// The variables of the environment files that `[deploy] secrets` names, and the masker that knows their values.
package struct Secrets: Sendable {
  package private(set) var variables: [String: String] = [:]
  package private(set) var masker = Masker()

  /// None.
  package init() {}

  package init(_ variables: [String: String]) {
    self.variables = variables
    masker = Self.masker(Array(variables.values))
  }

  /// Reads all files, in their order: the last value of a name counts for programs, all of them are masked. Relative
  /// paths are taken from `directory`. What it throws names the file and the line, never a value.
  package static func read(_ files: [String], in directory: String) throws(StepFailure) -> Secrets {
    var secrets = Secrets()
    var values: [String] = []
    for file in files {
      let path = file.hasPrefix("/") ? file : "\(directory)/\(file)"
      do throws(SettingsError) {
        for (name, value) in try EnvironmentFile.readSecrets(path) {
          secrets.variables[name] = value
          values.append(value)
        }
      } catch {
        throw StepFailure(
          .refused, "secrets cannot be used: \(error)",
          next: "the deploy user must be able to read the file, and each line must be NAME=VALUE")
      }
    }
    secrets.masker = masker(values)
    return secrets
  }

  /// A password in a URL shows up without the rest of it too.
  private static func masker(_ values: [String]) -> Masker {
    Masker(values + values.flatMap(DatabaseAddress.passwords))
  }
}
