// Runs steps of a deploy on a service that is there: what tests see of them from outside.
//
//   fixture-activate SETTINGS RELEASE [--control PATH] [--previous ID] [--exposed] [--plan] [--boot] STEP...
//
// STEP: activate, check, bake, undo, running. Prints what the steps say; the status is 0, or 1 with `FAILED kind: what`.
// SIGTERM asks for an orderly end.
import Deployment
import DeploymentRuntime
import Glibc
import LinuxSystem
import Settings
import Vocabulary

final class Printer: OperationAudience {
  func note(_ text: String) { say("note: \(text)") }
  func warn(_ text: String) { say("warning: \(text)") }
  func output(_ line: String) { say("| \(line)") }
  func progress(done: Int64, total: Int64?, unit: String) {}

  func say(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = write(STDOUT_FILENO, bytes, bytes.count)
  }
}

struct Choice {
  var words: [String] = []
  var options: [String: String] = [:]

  init(_ arguments: [String]) {
    var rest = arguments[...]
    while let word = rest.popFirst() {
      guard word.hasPrefix("--") else {
        words.append(word)
        continue
      }
      let takesValue = ["--control", "--previous"].contains(word)
      options[String(word.dropFirst(2))] = takesValue ? rest.popFirst() ?? "" : ""
    }
  }
}

nonisolated(unsafe) var abortWriter: Int32 = -1

func run() -> Int32 {
  let printer = Printer()
  let choice = Choice(Array(CommandLine.arguments.dropFirst()))
  guard choice.words.count > 2, let reading = try? SettingsReader.examine(file: choice.words[0], for: .deploy).get(),
    let deploy = reading.settings.deploy, let pipe = try? Descriptor.pipe()
  else {
    printer.say("usage, or the settings are wrong")
    return 64
  }
  abortWriter = pipe.writer.raw
  signal(SIGTERM) { _ in _ = write(abortWriter, "x", 1) }
  let effects = Effects(choice.options["plan"] == nil ? .act : .plan)
  let operation = Operation(
    id: OperationID("op-1"), service: ServiceName(unchecked: "t"), settings: reading.settings, deploy: deploy,
    effects: effects, audience: printer, abort: pipe.reader)
  operation.facts.release = ReleaseID(choice.words[1])
  operation.facts.previous = choice.options["previous"].map { ReleaseID($0) }
  operation.facts.isExposed = choice.options["exposed"] != nil
  operation.isBooting = choice.options["boot"] != nil
  let unit = ServiceUnit(deploy.unit, control: choice.options["control"])
  let memory = ActivationMemory()
  do throws(StepFailure) {
    for word in choice.words.dropFirst(2) {
      switch word {
      case "activate": try ActivateStep(unit, memory).run(operation)
      case "check": try HealthCheckStep(unit, memory).run(operation)
      case "bake": try BakeStep(unit).run(operation)
      case "undo": try ActivateStep(unit, memory).undo(operation)
      case "running": printer.say("running: \(unit.running(operation))")
      default: throw StepFailure(.refused, "no step \(word)")
      }
    }
  } catch {
    printer.say("FAILED \(error.kind.rawValue): \(error.what)")
    if let next = error.next { printer.say("next: \(next)") }
    for line in error.lines { printer.say("> \(line)") }
    for effect in effects.log { printer.say("effect: \(effect.kind.rawValue) \(effect.subject)") }
    return 1
  }
  for effect in effects.log { printer.say("effect: \(effect.kind.rawValue) \(effect.subject)") }
  return 0
}

exit(run())
