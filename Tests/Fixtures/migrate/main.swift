// Runs the migrations of one release from the command line, so that tests from outside can kill it, run two at once and
// look at the database beside it: fixture-migrate SETTINGS OPERATION RELEASE PREVIOUS|- run|undo|plan|gate
import Deployment
import DeploymentRuntime
import Glibc
import LinuxSystem
import Settings
import Vocabulary

setvbuf(stdoutFile(), nil, _IOLBF, 0)
let words = CommandLine.arguments
guard words.count == 6 else { fail("five words are wanted") }

func stdoutFile() -> UnsafeMutablePointer<FILE>? { fdopen(STDOUT_FILENO, "w") }

func fail(_ text: String) -> Never {
  print("fixture-migrate: \(text)")
  exit(64)
}

final class Printer: OperationAudience {
  func note(_ text: String) { print("note: \(text)") }
  func warn(_ text: String) { print("warn: \(text)") }
  func output(_ line: String) { print("output: \(line)") }
  func progress(done: Int64, total: Int64?, unit: String) {}
}

func operation(_ mode: Effects.Mode) throws -> Operation {
  let settings = try SettingsReader.examine(readFile(words[1]), file: words[1], isRoot: false).get().settings
  guard let deploy = settings.deploy else { fail("there is no [deploy]") }
  mkdir(Layout(directory: settings.service.directory).deploys, 0o755)
  mkdir(Layout(directory: settings.service.directory).operation(OperationID(words[2])), 0o755)
  let abort = try AbortPipe(Layout(directory: settings.service.directory), OperationID(words[2]))
  abort.takeSignals()
  let operation = Operation(
    id: OperationID(words[2]), service: ServiceName(unchecked: "app"), settings: settings, deploy: deploy,
    effects: Effects(mode), audience: Printer(), abort: abort.descriptor)
  operation.secrets = try Secrets.read(deploy.secrets, in: settings.service.directory)
  operation.facts.release = ReleaseID(words[3])
  operation.facts.previous = words[4] == "-" ? nil : ReleaseID(words[4])
  return operation
}

func end(_ failure: StepFailure) -> Never {
  print("\(failure.kind.rawValue): \(failure.what)")
  if let next = failure.next { print("next: \(next)") }
  for line in failure.lines { print("line: \(line)") }
  exit(failure.kind == .busy ? 75 : 1)
}

do {
  let operation = try operation(words[5] == "plan" ? .plan : .act)
  switch words[5] {
  case "run", "plan": try MigrateStep().run(operation)
  case "undo": try MigrateStep().undo(operation)
  case "gate":
    let answer = MigrationGate.look(at: [ReleaseID(words[3])], operation)
    for value in answer.values { print("gate: \(value)") }
  default: fail("no such act")
  }
  for effect in operation.effects.log { print("effect: \(effect.kind.rawValue) \(effect.subject)") }
  for name in operation.facts.migrations { print("applied: \(name)") }
} catch let failure as StepFailure {
  end(failure)
} catch {
  fail("\(error)")
}
