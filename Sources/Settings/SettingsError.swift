internal import LinuxSystem

/// One thing wrong in a settings file, or in an environment file it names.
package struct SettingsError: Error, Hashable, Sendable, CustomStringConvertible {
  package var file: String
  /// 1:1 where it is about the file as a whole.
  package var line: Int
  package var column: Int
  /// What was found; what is accepted.
  package var message: String
  /// What was probably meant: `did you mean "workers"?`, `write workers = 4`.
  package var hint: String?
  /// Nothing is known to be wrong with the file: the host lacks something just now, and a later try may find it right.
  package var isPassing = false

  package init(file: String, at position: Position, message: String, hint: String? = nil) {
    self.file = file
    line = position.line
    column = position.column
    self.message = message
    self.hint = hint
  }

  package var description: String {
    "\(file):\(line):\(column): \(message)" + (hint.map { "; \($0)" } ?? "")
  }
}

/// Everything wrong with a settings file at once, in the order of the file. Never empty. A program ends with
/// ``exitCode``.
package struct SettingsErrors: Error, Hashable, Sendable, CustomStringConvertible {
  package var errors: [SettingsError]

  /// EX_CONFIG of sysexits.h(3).
  package static let exitCode: Int32 = 78

  /// What a program that is started again after a while ends with: after ``exitCode`` nobody would try again.
  package var exitCode: Int32 { errors.allSatisfy(\.isPassing) ? 1 : Self.exitCode }

  /// One line each, without a last newline.
  package var text: String { errors.map(\.description).joined(separator: "\n") }
  package var description: String { text }
}

/// Something that works but may not be what was meant. Same form as an error; the settings are used.
package struct SettingsWarning: Hashable, Sendable, CustomStringConvertible {
  package var file: String
  package var line: Int
  package var column: Int
  package var message: String

  package init(file: String, line: Int, column: Int, message: String) {
    self.file = file
    self.line = line
    self.column = column
    self.message = message
  }

  package var description: String { "\(file):\(line):\(column): warning: \(message)" }
}

/// Collects while a file is read, so that one reading finds everything. Lives for one reading, on one thread.
final class Findings {
  let file: String
  private(set) var errors: [SettingsError] = []
  private(set) var warnings: [SettingsWarning] = []
  /// Paths of keys that stand in the file with a value of a wrong type: they have their error and are not missing.
  private(set) var refused: Set<String> = []

  init(file: String) { self.file = file }

  func error(_ message: String, at position: Position, hint: String? = nil) {
    add(SettingsError(file: file, at: position, message: message, hint: hint))
  }

  /// The host could not answer.
  func trouble(_ what: String, _ cause: SystemError, at position: Position) {
    var error = SettingsError(file: file, at: position, message: "\(what): \(cause.name) \(cause.text)")
    error.isPassing = cause.isPassing
    add(error)
  }

  func refuse(_ path: String) { refused.insert(path) }

  func add(_ error: SettingsError) { errors.append(error) }

  func warn(_ message: String, at position: Position) {
    warnings.append(
      SettingsWarning(file: file, line: position.line, column: position.column, message: message))
  }

  /// In the order of the file; those of other files after those of this one.
  var sortedErrors: [SettingsError] {
    errors.sorted { (rank($0.file), $0.line, $0.column) < (rank($1.file), $1.line, $1.column) }
  }

  var sortedWarnings: [SettingsWarning] {
    warnings.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
  }

  private func rank(_ name: String) -> String { name == file ? "" : name }
}
