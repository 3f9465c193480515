import Glibc

/// The variables a service manager leaves for a program. Read once, before the first thread is started; unset at the same
/// time so that no child takes them for its own. Source: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3).
enum ManagerEnvironment {
  static func take(_ name: String, unset: Bool) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    if unset { unsetenv(name) }
    return text
  }
}
