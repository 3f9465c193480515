import Glibc
import Settings

/// A directory of its own with the programs and files that settings name; gone with the last reference.
final class SettingsFixture {
  let directory: String

  init() {
    var made = ""
    repeat {
      rmdir(made)
      var template = Array("/tmp/settings-tests-XXXXXX".utf8CString)
      made = mkdtemp(&template).map { String(cString: $0) } ?? "/nonexistent"
    } while made.contains("DIR")  // which stands for it in texts
    directory = made
    write("main", "#!/bin/sh\n", mode: 0o755)
    write("plain", "no program\n", mode: 0o644)
  }

  deinit { remove(directory) }

  func path(_ name: String) -> String { "\(directory)/\(name)" }

  func write(_ name: String, _ text: String, mode: mode_t = 0o644) { write(name, Array(text.utf8), mode: mode) }

  func write(_ name: String, _ bytes: [UInt8], mode: mode_t = 0o644) {
    let descriptor = open(path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { break }
      rest = rest.dropFirst(count)
    }
    close(descriptor)
  }

  private func remove(_ path: String) {
    if let folder = opendir(path) {
      while let entry = readdir(folder) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name != ".", name != ".." { remove("\(path)/\(name)") }
      }
      closedir(folder)
    }
    _ = Glibc.remove(path)
  }

  /// What a file with these lines says, DIR standing for the directory.
  func examine(_ text: String, isRoot: Bool = false) -> Result<ReadSettings, SettingsErrors> {
    let parts = text.split(separator: "DIR", omittingEmptySubsequences: false)
    return SettingsReader.examine(Array(parts.joined(separator: directory).utf8), file: "app.toml", isRoot: isRoot)
  }

  func settings(_ text: String, isRoot: Bool = false) throws -> Settings {
    try examine(text, isRoot: isRoot).get().settings
  }

  /// The errors of a file, one text each; empty when it is accepted.
  func errors(_ text: String, isRoot: Bool = false) -> [String] {
    switch examine(text, isRoot: isRoot) {
    case .success: []
    case .failure(let errors): errors.errors.map(\.description)
    }
  }

  func warnings(_ text: String) throws -> [String] { try examine(text).get().warnings.map(\.description) }

  /// A service with one engine; `engine` and `rest` add lines to it and after it.
  func minimal(engine: String = "", rest: String = "") -> String {
    "[service]\ndirectory = \"DIR\"\n[engine.web]\ncommand = [\"./main\"]\n\(engine)\n\(rest)\n"
  }
}
