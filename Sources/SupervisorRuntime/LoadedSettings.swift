import LinuxSystem
import Settings
import Vocabulary

/// What reading the settings for a new generation gave.
enum LoadedSettings: Sendable {
  case loaded(ResolvedGeneration, warnings: [String])
  /// Every error of the file, a line each.
  case refused(String)

  /// Reads on a thread of its own and answers through `reply`.
  static func read(_ path: String, as id: GenerationID, reply: Reply<LoadedSettings>) {
    HelperThread.run {
      switch SettingsReader.examine(file: path, for: .supervisor) {
      case .success(let reading):
        reply.send(
          .loaded(
            ResolvedGeneration(id: id, settings: reading.settings), warnings: reading.warnings.map { "\($0)" }))
      case .failure(let errors): reply.send(.refused(errors.text))
      }
    }
  }
}
