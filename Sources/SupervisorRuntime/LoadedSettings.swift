import LinuxSystem
import Settings
import Vocabulary

/// What reading the settings for a new generation gave.
enum LoadedSettings: Sendable {
  case loaded(ResolvedGeneration, warnings: [String])
  /// Every error of the file, a line each.
  case refused(String)
  /// Why the release that was asked for cannot be run.
  case releaseRefused(String)

  /// Reads on a thread of its own and answers through `reply`. `release` nil: the one that `current` names.
  static func read(_ path: String, as id: GenerationID, release: ReleaseID?, reply: Reply<LoadedSettings>) {
    HelperThread.run {
      switch SettingsReader.examine(file: path, for: .supervisor) {
      case .success(let reading):
        do throws(ReleaseError) {
          let generation = try ResolvedGeneration(id: id, settings: reading.settings, release: release)
          reply.send(.loaded(generation, warnings: reading.warnings.map { "\($0)" }))
        } catch { reply.send(.releaseRefused(error.description)) }
      case .failure(let errors): reply.send(.refused(errors.text))
      }
    }
  }
}
