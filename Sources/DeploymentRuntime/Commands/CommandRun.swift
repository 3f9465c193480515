package import Deployment
package import LinuxSystem
package import Vocabulary

/// A program to be run to its end: what it is given, where its output goes, and when it is given up.
///
/// The child gets exactly this environment, no terminal, a session of its own and no descriptor but 0, 1 and 2. When
/// ``run(_:)`` returns or throws, nothing it started lives any more, also what made itself a daemon (see
/// ``CommandGroup`` for the one case that escapes without a cgroup).
package struct CommandRun {
  /// The program and its arguments; never seen by a shell. A program without a slash is looked up in `PATH` of
  /// `environment`, one with a slash is relative to `directory`.
  package var arguments: [String]
  package var environment: [String: String]
  /// Absolute.
  package var directory: String
  /// What effects, messages and logs call it. Must hold no secret; the masker goes over it in any case.
  package var subject: String
  package var input: Input = .nothing
  package var output: Output = .lines
  /// nil: as long as it takes.
  package var timeout: Duration?
  /// Between SIGTERM and SIGKILL, after an abort or the time-out.
  package var grace: Duration = .seconds(10)
  /// For all of it together where our cgroup is delegated to us, else for each process (RLIMIT_DATA: RLIMIT_AS would
  /// refuse address space that Go, Java and others reserve and never use).
  package var memoryLimit: ByteCount?
  /// Yields processor and disk to everyone else: for builds.
  package var isBackground = false
  /// For what an undo or a recovery runs: the abort that led to it stays readable and must not end it at once.
  package var ignoresAbort = false
  /// It changes nothing: no effect, and done in a plan too.
  package var isReading = false
  /// What it prints is kept in ``CommandResult/lastLines`` only.
  package var isQuiet = false

  package enum Input {
    case nothing
    /// Held in memory.
    case bytes([UInt8])
    case descriptor(Descriptor)
  }

  /// Where standard output goes. Standard error always becomes lines.
  package enum Output {
    /// Line by line to the audience, together with standard error, in the order printed.
    case lines
    /// Into ``CommandResult/captured``, as it is, unmasked. A program that prints more than `limit` bytes has failed.
    case captured(limit: Int)
    case descriptor(Descriptor)
  }

  package init(
    _ arguments: [String], in directory: String, environment: [String: String], subject: String? = nil
  ) {
    self.arguments = arguments
    self.environment = environment
    self.directory = directory
    self.subject = subject ?? Self.line(of: arguments)
  }

  /// Runs it to its end. A non-zero exit status is a result; see ``CommandResult/succeeded(next:)``.
  ///
  /// - Throws: when it could not be started, or was ended because of ``Operation/abort``.
  package func run(_ operation: Operation) throws(StepFailure) -> CommandResult {
    var command = self
    command.subject = operation.masker.mask(subject)
    do throws(CommandFailure) {
      guard !isReading else { return try command.started(operation).finish() }
      return try operation.effects.perform(
        .execute, command.subject, planned: CommandResult(subject: command.subject)
      ) { () throws(CommandFailure) in try command.started(operation).finish() }
    } catch { throw error.failure }
  }

  private func started(_ operation: Operation) throws(CommandFailure) -> RunningCommand {
    do throws(StepFailure) {
      return try RunningCommand(self, operation)
    } catch { throw CommandFailure(failure: error) }
  }

  /// As a person would type it, cut at 200 bytes: for people only, never to be parsed.
  package static func line(of arguments: [String]) -> String {
    let plain = arguments.map { argument in
      let isPlain = argument.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "-_./=:,+@%".utf8.contains(byte)
        }
      }
      return isPlain && !argument.isEmpty
        ? argument : "'" + argument.split(separator: "\n").joined(separator: "⏎") + "'"
    }
    let whole = plain.joined(separator: " ")
    return whole.utf8.count <= 200 ? whole : String(decoding: whole.utf8.prefix(200), as: UTF8.self) + "…"
  }
}

/// A `StepFailure` that tests can inject.
struct CommandFailure: InjectableError {
  let failure: StepFailure

  init(failure: StepFailure) { self.failure = failure }

  init(injected errno: Int32, into effect: Effect) {
    failure = StepFailure(
      .failed, "\(effect.subject) could not be run: \(ErrorNumber.name(errno)) \(ErrorNumber.text(errno))")
  }
}
