import Glibc
import LinuxSystem
import Settings
import Supervision
import SupervisorRuntime
import Systemd
import Vocabulary

/// Wires the parts of the supervisor together and runs it to its end.
enum Daemon {
  static let version = "0.1.0"

  /// Returns the exit status of design §8.
  static func main(_ arguments: [String]) -> Int32 {
    SharedHeap.use()
    if arguments == [DatabaseLeases.option] { return DatabaseLeasesProgram.run() }
    do throws(Arguments.Problem) {
      return run(try Arguments(arguments))
    } catch {
      switch error {
      case .help: say(Arguments.help, to: STDOUT_FILENO)
      case .version: say("batond \(version)", to: STDOUT_FILENO)
      case .usage(let text):
        say("batond: \(text); see batond --help", to: STDERR_FILENO)
        return 64
      }
      return 0
    }
  }

  private static func run(_ arguments: Arguments) -> Int32 {
    if arguments.isSelfCheck { return StateInheritance.check(arguments) }
    do {
      if let state = try StateInheritance.take() { return try Service(arguments, resuming: state).run() }
    } catch {
      say("batond: \(error)", to: STDERR_FILENO)
      return 1
    }
    let crash: CrashInheritance?
    do throws(SystemdError) {
      crash = arguments.isCheck ? nil : try CrashInheritance.take(of: arguments.name)
    } catch {
      say("batond: \(error)", to: STDERR_FILENO)
      return 1
    }
    // After a crash nobody has asked for what lies on disk now.
    if crash?.hasGeneration != true {
      switch SettingsReader.examine(file: arguments.settings, for: .supervisor) {
      case .failure(let errors):
        say(errors.text, to: STDERR_FILENO)
        return errors.exitCode
      case .success(let reading):
        for warning in reading.warnings { say("\(warning)", to: STDERR_FILENO) }
        if arguments.isCheck { return 0 }
      }
    }
    do {
      return try Service(arguments, after: crash).run()
    } catch {
      say("batond: \(error)", to: STDERR_FILENO)
      return (error as? LockedError) == nil ? 1 : 75
    }
  }

  static func say(_ text: String, to descriptor: Int32) {
    var bytes = Array((text + "\n").utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno != EINTR { return }
      bytes = bytes.dropFirst(max(count, 0))
    }
  }
}

/// Another batond runs this service.
struct LockedError: Error, CustomStringConvertible {
  let service: ServiceName
  let holder: String
  var description: String { "\(service) is run by another batond already (\(holder)); stop that one first" }
}
