// systemd's protocols for servers, without Foundation and without linking libsystemd:
//
//   NotifyClient        tells the manager READY=1, STATUS=…, FDSTORE=1 …            sd_notify(3)
//   NotifyServer        hears the same from processes this program starts itself
//   ListenDescriptors   sockets the manager opened or kept                          sd_listen_fds(3)
//   Watchdog            how often the manager wants to hear from us                 sd_watchdog_enabled(3)
//   Journal             entries with fields, or plain lines on standard error       systemd.journal-fields(7)
//   SystemBus           units, their properties and jobs                            org.freedesktop.systemd1(5)
//
// All of it belongs to the thread that uses it, nothing blocks but `SystemBus` and ``NotifyClient/barrier(timeout:)``,
// nothing logs. Descriptors are plain numbers here, because users of the library have their own types for them; each
// call says who owns them.
import Glibc
import LinuxSystem

/// A message that could not be sent or a socket that could not be made: what was attempted, on what, and why.
public struct SystemdError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Cause: Hashable, Sendable {
    /// The receiver's queue is full: nothing was sent, and trying again later may work.
    case wouldBlock
    /// The kernel's refusal, as errno.
    case system(errno: Int32)
    /// Refused before it reached the kernel; the text says what would have been accepted.
    case invalid(String)
  }

  /// In words: `send READY=1`.
  public let attempt: String
  /// A path or a name; may be empty.
  public let subject: String
  public let cause: Cause

  public init(_ attempt: String, _ subject: String = "", cause: Cause) {
    self.attempt = attempt
    self.subject = subject
    self.cause = cause
  }

  init(_ attempt: String, _ subject: String = "", errno number: Int32) {
    let wouldBlock = number == EAGAIN || number == EWOULDBLOCK
    self.init(attempt, subject, cause: wouldBlock ? .wouldBlock : .system(errno: number))
  }

  public var description: String {
    let what = subject.isEmpty ? attempt : "\(attempt) \(subject)"
    switch cause {
    case .wouldBlock: return "\(what): the receiver's queue is full"
    case .system(let number): return "\(what): \(ErrorNumber.name(number)) \(ErrorNumber.text(number))"
    case .invalid(let reason): return "\(what): \(reason)"
    }
  }
}
