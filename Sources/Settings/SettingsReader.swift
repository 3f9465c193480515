internal import Glibc

/// A line of a file that gave a value.
package struct Origin: Hashable, Sendable, CustomStringConvertible {
  package var file: String
  package var line: Int
  package var description: String { "\(file):\(line)" }
}

/// Settings with what a person wants to know beside them.
package struct ReadSettings: Sendable {
  package var settings: Settings
  /// In the order of the file.
  package var warnings: [SettingsWarning]
  /// Where values come from, by their path (`engine.web.workers`); what is not here is a default.
  package var origins: [String: Origin]
}

/// Reads `/etc/baton/NAME.toml`. Nothing is kept between two readings: what is gone from the files is gone.
///
/// Reads files of at most 1 MiB and asks the user database; both may wait for a disk or a directory service, so a
/// supervisor calls it where that does no harm.
package enum SettingsReader {
  /// Who reads.
  package enum Purpose: Hashable, Sendable {
    /// To show and to judge: everything is looked at.
    case examination
    /// batond: engines are required, and `[deploy]` is checked and then let go, so that it costs no memory.
    case supervisor
    /// Programs and environment files of engines are not looked at: they may come with the release.
    case deploy
  }

  /// The settings, or everything that is wrong with them.
  package static func read(
    file path: String, for purpose: Purpose = .examination
  ) -> Result<Settings, SettingsErrors> {
    examine(file: path, for: purpose).map(\.settings)
  }

  /// As ``read(file:)``, with warnings and origins. `isRoot` says as whom batond will run.
  package static func examine(
    file path: String, isRoot: Bool = geteuid() == 0, for purpose: Purpose = .examination
  ) -> Result<ReadSettings, SettingsErrors> {
    do {
      return examine(try HostFiles.read(path), file: path, isRoot: isRoot, for: purpose)
    } catch {
      let message = "the settings cannot be read: \(error.reason)"
      var unreadable = SettingsError(file: path, at: .start, message: message)
      unreadable.isPassing = error.isPassing
      return .failure(SettingsErrors(errors: [unreadable]))
    }
  }

  /// The same for a file that is already in memory; `path` is what messages call it.
  package static func examine(
    _ bytes: [UInt8], file path: String, isRoot: Bool = geteuid() == 0, for purpose: Purpose = .examination
  ) -> Result<ReadSettings, SettingsErrors> {
    let root: TomlNode
    switch TomlNode.parse(bytes, file: path) {
    case .success(let node): root = node
    case .failure(let error): return .failure(SettingsErrors(errors: [error]))
    }
    let findings = Findings(file: path)
    let raw = RawSettings(root, findings)
    let file = path.split(separator: "/").last.map(String.init) ?? ""
    let name = file.hasSuffix(".toml") ? String(file.dropLast(5)) : file
    var resolver = SettingsResolver(raw, name: name, for: purpose, isRoot: isRoot, findings)
    var settings = resolver.resolve()
    if purpose == .supervisor { settings.deploy = nil }
    guard findings.errors.isEmpty else { return .failure(SettingsErrors(errors: findings.sortedErrors)) }
    let origins = root.origins(file: path).merging(resolver.environmentOrigins) { $1 }
    return .success(ReadSettings(settings: settings, warnings: findings.sortedWarnings, origins: origins))
  }
}

extension TomlNode {
  /// The lines of all values, by the path of their key.
  fileprivate func origins(file: String) -> [String: Origin] {
    var result: [String: Origin] = [:]
    func walk(_ node: TomlNode, _ path: String) {
      guard case .table(let entries) = node.value else { return }
      for entry in entries {
        let inner = path.isEmpty ? entry.key : "\(path).\(entry.key)"
        if case .table = entry.node.value {
          walk(entry.node, inner)
        } else if case .array(let elements) = entry.node.value, case .table = elements.first?.value {
          for (index, element) in elements.enumerated() { walk(element, "\(inner).\(index)") }
        } else {
          result[inner] = Origin(file: file, line: entry.keyPosition.line)
        }
      }
    }
    walk(self, "")
    return result
  }
}
