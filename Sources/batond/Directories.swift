import Glibc
import LinuxSystem
import Vocabulary

/// Where batond keeps what lives as long as the boot (sockets, lock) and what outlives it (ledger).
struct Directories {
  let runtime: String
  let state: String

  init(_ arguments: Arguments) throws(SystemError) {
    let name = arguments.name.rawValue
    let isRoot = geteuid() == 0
    let runtime = { () -> String in
      if let given = arguments.runtimeDirectory ?? Self.variable("RUNTIME_DIRECTORY") { return given }
      if isRoot { return "/run/baton/\(name)" }
      if let session = Self.variable("XDG_RUNTIME_DIR") { return "\(session)/baton/\(name)" }
      return "/tmp/baton-\(geteuid())/\(name)"
    }()
    let state = { () -> String in
      if let given = arguments.stateDirectory ?? Self.variable("STATE_DIRECTORY") { return given }
      if isRoot { return "/var/lib/baton/\(name)" }
      if let home = Self.variable("XDG_STATE_HOME") { return "\(home)/baton/\(name)" }
      return "\(Self.variable("HOME") ?? "/tmp/baton-\(geteuid())")/.local/state/baton/\(name)"
    }()
    // Workers are told these paths, and run elsewhere.
    self.runtime = try Self.absolute(runtime)
    self.state = try Self.absolute(state)
    try Self.make(self.runtime, mode: 0o755)
    try Self.make("\(self.runtime)/worker", mode: 0o755)
  }

  /// The state directory is made apart: without it the service runs, only its history is lost.
  func makeState() throws(SystemError) { try Self.make(state, mode: 0o750) }

  private static func variable(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
  }

  private static func absolute(_ path: String) throws(SystemError) -> String {
    guard !path.hasPrefix("/") else { return path }
    guard let here = getcwd(nil, 0) else { throw SystemError("find the current directory for", path, errno: errno) }
    defer { free(here) }
    return "\(String(cString: here))/\(path)"
  }

  /// With its parents. What exists is left as it is.
  private static func make(_ path: String, mode: mode_t) throws(SystemError) {
    var built = ""
    for part in path.split(separator: "/") {
      built += "/\(part)"
      if mkdir(built, mode) != 0, errno != EEXIST { throw SystemError("make the directory", built, errno: errno) }
    }
  }
}
