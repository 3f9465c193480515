import CSystemd
import Glibc
import LinuxSystem

/// Why the bus, or systemd over it, did not do what was asked.
public struct BusError: Error, Hashable, Sendable, CustomStringConvertible {
  /// In words: `restart hotgo.service`.
  public let attempt: String
  /// The D-Bus name of the error, such as `org.freedesktop.systemd1.NoSuchUnit`; nil when it never got that far.
  public let name: String?
  /// The other side's words, or the kernel's.
  public let message: String
  /// What a person can do, where something can be done.
  public let remedy: String?

  public init(_ attempt: String, name: String? = nil, message: String, remedy: String? = nil) {
    self.attempt = attempt
    self.name = name
    self.message = message
    self.remedy = remedy ?? name.flatMap(Self.remedy)
  }

  public var description: String {
    let cause = name.map { "\(message) (\($0))" } ?? message
    return "cannot \(attempt): \(cause)" + (remedy.map { "; \($0)" } ?? "")
  }

  /// `answer` is a negative errno of sd-bus(3); `error` what the other side sent with it, if it did.
  init(_ attempt: String, answer: Int32, error: sd_bus_error? = nil) {
    let number = answer < 0 ? -answer : answer
    let text = "\(ErrorNumber.name(number)) \(ErrorNumber.text(number))"
    guard let error, let name = error.name else {
      self.init(attempt, message: text, remedy: Self.remedy(errno: number))
      return
    }
    self.init(attempt, name: String(cString: name), message: error.message.map { String(cString: $0) } ?? text)
  }

  private static func remedy(_ name: String) -> String? {
    switch name {
    case "org.freedesktop.DBus.Error.AccessDenied", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired":
      "run it as root, or allow it by a polkit rule"
    case "org.freedesktop.systemd1.NoSuchUnit":
      "`systemctl list-units --all` shows the units there are"
    case "org.freedesktop.systemd1.UnitMasked":
      "`systemctl unmask` allows it again"
    case "org.freedesktop.systemd1.OnlyByDependency":
      "the unit refuses to be started or stopped by hand"
    case "org.freedesktop.DBus.Error.Timeout", "org.freedesktop.DBus.Error.NoReply":
      "`systemctl list-jobs` shows what systemd is waiting for"
    default: nil
    }
  }

  private static func remedy(errno number: Int32) -> String? {
    switch number {
    case ENOENT, ECONNREFUSED, ENOTCONN: "is systemd running here, and the D-Bus system bus (dbus.socket)?"
    case EACCES, EPERM: "run it as root, or allow it by a polkit rule"
    default: nil
    }
  }
}
