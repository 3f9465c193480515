import Glibc
import JSON
import LinuxSystem
import Settings
import SupervisorRuntime

/// The state that another image of this program left for this one.
enum StateInheritance {
  /// Names the descriptor of the sealed memory it lies in.
  static let variable = "BATON_STATE_FD"

  /// What was left, read and closed; nil when this is a start like any other. The variable is removed: no child is to
  /// find it.
  static func take() throws(StateError) -> SavedState? {
    guard let value = getenv(variable) else { return nil }
    let text = String(cString: value)
    unsetenv(variable)
    guard let number = Int32(text), number > 2 else { throw StateError("\(variable) is no descriptor") }
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try SealedMemory.read(try Descriptor.inherited(number), limit: SavedState.limits.bytes)
    } catch { throw StateError("the state cannot be read: \(error)") }
    return try SavedState(bytes: bytes)
  }

  /// The dry run of an upgrade: 0 when this program could go on from the state and the settings, else 78 and why.
  static func check(_ arguments: Arguments) -> Int32 {
    do throws(StateError) {
      guard let state = try take() else {
        throw StateError("there is no state to check; batond runs this by itself before an upgrade")
      }
      guard state.service == arguments.name else {
        throw StateError("the state is of service \(state.service), not of \(arguments.name)")
      }
    } catch {
      Daemon.say("\(error)", to: STDERR_FILENO)
      return 78
    }
    guard case .failure(let errors) = SettingsReader.examine(file: arguments.settings, for: .supervisor) else {
      return 0
    }
    Daemon.say(errors.text, to: STDERR_FILENO)
    return 78
  }
}
