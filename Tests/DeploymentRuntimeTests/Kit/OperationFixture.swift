import Glibc
import Settings
import Synchronization
import Vocabulary

@testable import DeploymentRuntime
@testable import LinuxSystem

/// Hears everything.
final class RecordingAudience: OperationAudience {
  var notes: [String] = []
  var warnings: [String] = []
  var lines: [String] = []
  /// Called with each line.
  var heard: (String) -> Void = { _ in }
  var noted: (String) -> Void = { _ in }

  func note(_ text: String) {
    notes.append(text)
    noted(text)
  }
  func warn(_ text: String) { warnings.append(text) }
  func output(_ line: String) {
    if lines.count < 100_000 { lines.append(line) }
    heard(line)
  }
  func progress(done: Int64, total: Int64?, unit: String) {}

  /// All that anybody may have seen.
  var everything: String { (notes + warnings + lines).joined(separator: "\n") }
}

/// An operation on a service that lies in a scratch directory, run by this test's own user.
final class OperationFixture {
  let scratch: Scratch
  let audience = RecordingAudience()
  let effects: Effects
  let operation: Operation
  private let abortWriter: Descriptor

  /// `deploy` has lines of `[deploy]` and of tables behind it, where DIR stands for the scratch directory; a given
  /// `scratch` is that of another operation on the same service.
  init(
    _ deploy: String = "", id: String = "op-1", mode: Effects.Mode = .act, scratch: Scratch = Scratch()
  ) throws {
    self.scratch = scratch
    scratch.make("app")
    scratch.write("app/main", "#!/bin/sh\n", mode: 0o755)
    let user = getpwuid(geteuid()).map { String(cString: $0.pointee.pw_name) } ?? "root"
    let name = deploy.contains("user =") ? "" : "user = \"\(user)\"\n"
    let text = """
      [service]
      user = "\(user)"
      directory = "\(scratch.path("app"))"
      [engine.web]
      command = ["\(scratch.path("app/main"))"]
      [deploy]
      \(name)\(deploy.split(separator: "DIR", omittingEmptySubsequences: false).joined(separator: scratch.directory))
      """
    let settings = try SettingsReader.examine(Array(text.utf8), file: "app.toml", isRoot: false).get().settings
    guard let settingsOfDeploy = settings.deploy else { throw SettingsAreMissing() }
    let pipe = try Descriptor.pipe()
    abortWriter = pipe.writer
    effects = Effects(mode, faults: nil)
    operation = Operation(
      id: OperationID(Self.unique(id)), service: ServiceName(unchecked: "app"), settings: settings,
      deploy: settingsOfDeploy, effects: effects, audience: audience, abort: pipe.reader)
  }

  private static let count = Atomic(0)

  /// Tests run side by side, and an operation ends whatever has its id in its environment.
  private static func unique(_ id: String) -> String {
    "\(id)-\(getpid())-\(count.add(1, ordering: .relaxed).newValue)"
  }

  struct SettingsAreMissing: Error {}

  /// As the first Ctrl-C does.
  func abort() { _ = write(abortWriter.raw, "x", 1) }

  /// A command of the shell, in the scratch directory.
  func shell(_ text: String) -> CommandRun {
    CommandRun(
      ["/bin/sh", "-c", text], in: scratch.directory, environment: operation.plainEnvironment, subject: "the shell")
  }
}
